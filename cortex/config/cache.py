"""The section `cache` as the file writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from cortex.config.scalars import BOOLEAN, TEXT, Scalar, is_number, number, read_number, refuse, whole
from cortex.config.section import Section
from cortex.config.units import Delay, Duration, Size, as_written


def _read_similarity(value: object) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    if not is_number(value) or not 0 < (similarity := read_number(value)) <= 1:
        refuse("must be auto, or a cosine above 0 and up to 1")
    return similarity


_Similarity: TypeAlias = Annotated[
    float | Literal["auto"],
    Scalar(
        _read_similarity,
        {"anyOf": [{"const": "auto"}, {"type": ["number", "string"], "exclusiveMinimum": 0, "maximum": 1}]},
    ),
]


class ExactConfig(Section):
    """Answers to requests that mean the same, word for word."""

    enabled: Annotated[bool, BOOLEAN] = Field(default=True, description="Whether answers are remembered.")
    max_entries: Annotated[int, whole(1, 10_000_000)] = Field(default=10_000, description="The least used go first.")
    max_bytes: Size = as_written("256MiB", 256 * 2**20, "Of memory, all entries together.")
    max_entry_bytes: Size = as_written("4MiB", 4 * 2**20, "A larger answer is not remembered.")
    ttl: Duration = as_written("1h", 3600.0, "How long an answer is good for.")
    ttl_by_model: Mapping[Annotated[str, TEXT], Delay] = Field(
        default={},
        description="The same for single names: what was asked for, or the provider/model or provider that answered. "
        "0s: not remembered.",
    )
    max_temperature: Annotated[float, number()] | None = Field(
        default=None, description="Requests above it are always asked anew; none named counts as 1. Left out: none is."
    )


class SemanticConfig(Section):
    """Answers to questions that ask the same in other words."""

    enabled: Annotated[bool, BOOLEAN] = Field(default=False, description="Whether such an answer will do.")
    threshold: _Similarity = Field(
        default="auto", description="The least cosine of two questions; auto: calibrated for the built-in embedder."
    )
    ttl: Duration = as_written("1h", 3600.0, "How old an answer to another question may be.")
    max_entries: Annotated[int, whole(1, 20_000)] = Field(default=10_000, description="The oldest go first.")


class CacheConfig(Section):
    """What is remembered of answers, and for whom."""

    share: Annotated[bool, BOOLEAN] = Field(
        default=False, description="Whether clients with different keys get each other's answers."
    )
    exact: ExactConfig = Field(default=ExactConfig(), description="The same request again.")
    semantic: SemanticConfig = Field(default=SemanticConfig(), description="The same question in other words.")
