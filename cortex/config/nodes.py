"""The nodes of the routing graph as the file writes them: one operator each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from cortex.config.classify import ClassifyConfig
from cortex.config.rules import CaseConfig
from cortex.config.scalars import TEXT, choice, number, refuse
from cortex.config.section import Section
from routing.strategies import STRATEGIES

_TARGET = "A node, a provider (its default model) or provider/model."


class BalanceTarget(Section):
    """A target and its share of the requests."""

    to: Annotated[str, TEXT] = Field(description=_TARGET)
    weight: Annotated[float, number(above_zero=True)] = Field(default=1.0, description="For the strategy `weighted`.")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"to": data}
        if not isinstance(data, dict):
            refuse("must be a target, or a mapping of `to` and `weight`")
        return data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "minLength": 1, "description": _TARGET}, handler(schema)]}


class BalanceConfig(Section):
    """Targets ordered anew for each request: the first is the choice, the rest are failover."""

    strategy: Annotated[str, choice(tuple(STRATEGIES))] = Field(description="What the order goes by.")
    targets: tuple[BalanceTarget, ...] = Field(description="What is chosen from.")


class NodeConfig(Section):
    """A name that a client may ask for, with exactly one operator."""

    cascade: tuple[Annotated[str, TEXT], ...] | None = Field(default=None, description="Targets, tried in this order.")
    balance: BalanceConfig | None = Field(default=None, description="Targets, one of them chosen for each request.")
    rules: tuple[CaseConfig, ...] | None = Field(
        default=None, description="The first whose conditions hold is the way; the last has none."
    )
    classify: ClassifyConfig | None = Field(default=None, description="The way by what the prompt asks for.")
