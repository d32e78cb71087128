"""The vocabulary of an embeddings call, in OpenAI's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from cortex.chat import Json, Usage


@dataclass(frozen=True)
class EmbeddingsRequest:
    """`members` keeps every top-level member with its value's bytes untouched."""

    members: Mapping[str, msgspec.Raw]
    model: str | None
    base64: bool  # whether the client asked for base64 instead of numbers

    @cached_property
    def body(self) -> dict[str, Json]:
        return {name: msgspec.json.decode(raw) for name, raw in self.members.items()}

    @cached_property
    def prompt_tokens(self) -> int:
        """An estimate, four bytes a token."""
        return len(bytes(self.members["input"])) // 4


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector an input, in the order of the inputs: numbers, or the upstream's base64 of little-endian float32."""

    model: str
    vectors: Sequence[Sequence[float] | str]
    usage: Usage | None
