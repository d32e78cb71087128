"""The operator `classify` and the embedder as the file writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import Field, model_validator

from cortex.config.scalars import BOOLEAN, TEXT, Scalar, choice, is_number, read_number, refuse
from cortex.config.section import Section
from cortex.config.units import Duration
from cortex.embedding.factory import EmbedderType
from routing.graph import Threshold
from routing.semantic.lexicon import TASKS

MOST_ROUTES = 256
MOST_EXAMPLES = 1000  # of one route, or of `none`
MOST_EXAMPLE_CHARS = 4000
_TARGET = "A node, a provider (its default model) or provider/model."


def _read_threshold(value: object) -> Threshold:
    if value == "auto":
        return "auto"
    if not is_number(value) or not 0 <= (threshold := read_number(value)) <= 1:
        refuse("must be auto, or a probability from 0 to 1")
    return threshold


def _read_example(value: object) -> str:
    if not isinstance(value, str):
        refuse("must be a string", "put it in quotes" if isinstance(value, bool | int | float) else None)
    text = value.strip()
    if not text:
        refuse("must not be empty")
    if len(text) > MOST_EXAMPLE_CHARS:
        refuse(f"must have at most {MOST_EXAMPLE_CHARS} characters", "the beginning of a prompt is enough")
    return text


_Threshold: TypeAlias = Annotated[
    Threshold,
    Scalar(_read_threshold, {"anyOf": [{"const": "auto"}, {"type": ["number", "string"], "minimum": 0, "maximum": 1}]}),
]
_Example: TypeAlias = Annotated[
    str, Scalar(_read_example, {"type": "string", "minLength": 1, "maxLength": MOST_EXAMPLE_CHARS})
]
_Examples: TypeAlias = Annotated[tuple[_Example, ...], Field(max_length=MOST_EXAMPLES)]


class RouteConfig(Section):
    """One way of a classified node: a task known out of the box, prompts like your examples, or both."""

    to: Annotated[str, TEXT] = Field(description=_TARGET)
    task: Annotated[str, choice(TASKS)] | None = Field(default=None, description="A task known out of the box.")
    examples: _Examples = Field(default=(), description="Prompts that belong here; about twenty make it yours.")
    threshold: _Threshold | None = Field(
        default=None, description="The least probability that takes this route. Left out: the node's."
    )


class ClassifyConfig(Section):
    """The route that the prompt belongs to, or the default where none is sure enough."""

    default: Annotated[str, TEXT] = Field(description="Where to when no route is sure enough.")
    threshold: _Threshold = Field(
        default="auto", description="The least probability that takes a route; auto: calibrated for each; 0: always."
    )
    routes: Annotated[Mapping[str, RouteConfig], Field(max_length=MOST_ROUTES)] = Field(
        description="The ways, by a name of your own."
    )
    none: _Examples = Field(default=(), description="Prompts that belong to no route.")


class EmbedderConfig(Section):
    """What turns a text into a vector, for `classify` nodes. Loaded only if one asks for it."""

    type: Annotated[EmbedderType, choice(get_args(EmbedderType))] = Field(
        default="builtin", description="builtin: MiniLM, English best. none: words and shapes alone."
    )
    model: Annotated[str, TEXT] | None = Field(
        default=None, description="For sentence_transformers: a folder, or a name on the hub."
    )
    device: Annotated[str, TEXT] | None = Field(
        default=None, description="For sentence_transformers: cpu, cuda, mps. Left out: the library chooses."
    )

    multilingual: Annotated[bool, BOOLEAN] | None = Field(
        default=None, description="Whether it reads every language. Left out: if the model's name says so."
    )
    timeout: Duration | None = Field(
        default=None, description="For one prompt's vector; without it the prompt is judged by its words and shape."
    )

    @property
    def reads_all_languages(self) -> bool:
        return "multilingual" in (self.model or "").lower() if self.multilingual is None else self.multilingual

    @model_validator(mode="before")
    @classmethod
    def _from_type(cls, data: Any) -> Any:
        return {"type": data} if isinstance(data, str) else data
