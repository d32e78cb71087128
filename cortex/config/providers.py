"""The providers as the file writes them, with what their type fills in."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from cortex.config.base_url import BASE_URL
from cortex.config.keys import Keys
from cortex.config.provider_types import PROVIDER_TYPES
from cortex.config.scalars import BOOLEAN, TEXT, choice, number, refuse, whole
from cortex.config.section import Section
from cortex.config.timeouts import ProviderTimeouts
from cortex.config.units import Delay, Duration, Share, as_written

Rotation: TypeAlias = Literal["round_robin", "least_used", "random"]
SimulatedFault: TypeAlias = Literal[
    "status_429",
    "status_500",
    "status_503",
    "status_401",
    "status_400",
    "garbage",
    "empty",
    "error_body",
    "cut",
    "stall",
    "refused",
]


class ModelConfig(Section):
    """One model of a provider. What is left out comes from a shipped table, if it knows the model."""

    name: Annotated[str, TEXT] = Field(description="As the provider calls it.")
    context: Annotated[int, whole(1)] | None = Field(
        default=None, description="Tokens of prompt and answer together; a longer request skips this model."
    )
    max_output: Annotated[int, whole(1)] | None = Field(default=None, description="Tokens of the longest answer.")
    input_usd_per_mtok: Annotated[float, number()] | None = Field(
        default=None, description="US dollars a million tokens."
    )
    output_usd_per_mtok: Annotated[float, number()] | None = Field(
        default=None, description="US dollars a million tokens."
    )

    cached_input_usd_per_mtok: Annotated[float, number()] | None = Field(
        default=None, description="US dollars a million tokens that the provider has in its cache."
    )
    cache_write_usd_per_mtok: Annotated[float, number()] | None = Field(
        default=None, description="US dollars a million tokens that the provider puts in its cache."
    )
    tools: Annotated[bool, BOOLEAN] | None = Field(
        default=None, description="Whether it calls tools; if not, a request that has some skips this model."
    )
    vision: Annotated[bool, BOOLEAN] | None = Field(
        default=None, description="Whether it sees images; if not, a request that has some skips this model."
    )
    json_schema: Annotated[bool, BOOLEAN] | None = Field(
        default=None, description="Whether it keeps to a JSON schema; if not, a request that has one skips this model."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if not isinstance(data, dict):
            refuse("must be a model's name, or a mapping with a `name`")
        return data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(schema)]}


class SimulateConfig(Section):
    """How a simulated provider answers, and how it fails."""

    text: str | None = Field(default=None, description="The answer. Left out: one made up from the question.")
    delay: Delay = as_written("0s", 0.0, "Before the first token.")
    tokens_per_second: Annotated[float, number()] = Field(
        default=0.0, description="The pace of an answer; 0: all at once."
    )
    fail_rate: Share = as_written("0%", 0.0, "Of the requests.")
    faults: tuple[Annotated[SimulatedFault, choice(get_args(SimulatedFault))], ...] = Field(
        default=("status_503",), description="The kinds of failure, one of them drawn for each."
    )
    seed: Annotated[int, whole(0)] = Field(default=0, description="The same seed gives the same failures.")


_API_VERSIONS = tuple(dict.fromkeys(version for row in PROVIDER_TYPES.values() for version in row.api_versions))
_BY_TYPE = ("base_url", "priority", "models")  # members whose default is a matter of the type


def _describe(schema: dict[str, Any]) -> None:
    """What the JSON Schema says of a provider beyond its members: which types come without defaults."""
    for name in _BY_TYPE:
        del schema["properties"][name]["default"]
    schema["allOf"] = [
        {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": {"required": required}}
        for name, row in PROVIDER_TYPES.items()
        if (required := [member for member in ("base_url", "models") if member not in row.defaults])
    ]


class ProviderConfig(Section):
    """One upstream."""

    model_config = ConfigDict(json_schema_extra=_describe)

    type: Annotated[str, choice(tuple(PROVIDER_TYPES))] = Field(description="How it speaks.")
    base_url: Annotated[str, BASE_URL] = Field(
        default="",
        description="Its address, with /v1 for the types that speak OpenAI's protocol. Left out: the vendor's.",
    )
    priority: Annotated[int, whole(0)] = Field(
        default=100,
        description="Without nodes, providers are tried in this order, the lowest first. Each type has a default.",
    )
    api_version: Annotated[str, choice(_API_VERSIONS)] | None = Field(
        default=None,
        description="Of the type anthropic: the version that it is asked under. Left out: 2023-06-01, the last under "
        "which models take temperature, top_p and top_k.",
    )
    keys: Keys = Field(default=(), description="API keys. Without one, a provider that needs it is switched off.")
    key_rotation: Annotated[Rotation, choice(get_args(Rotation))] = Field(
        default="round_robin", description="Which free key comes next."
    )
    key_cooldown: Duration = as_written("15m", 900.0, "A key's pause after a rate limit that names no reset time.")
    models: tuple[ModelConfig, ...] = Field(default=(), description="Its models. The first is its default.")
    timeouts: ProviderTimeouts = Field(
        default=ProviderTimeouts(), description="Limits of its own, before the general ones."
    )
    simulate: SimulateConfig | None = Field(default=None, description="Of a simulated provider: its behaviour.")

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            return data
        row = PROVIDER_TYPES.get(data["type"])
        return {**row.defaults, **cls.given(data)} if row else data

    @property
    def off(self) -> str | None:
        """Why this provider is switched off, or None."""
        return "no key" if not self.keys and PROVIDER_TYPES[self.type].needs_key else None
