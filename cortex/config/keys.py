"""Secrets in the configuration: one string with commas, or a list. Their values never show in a repr."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from cortex.config.scalars import TEXT, Scalar, refuse
from cortex.config.section import Section

# What can stand in a header. A space would be a slip of the hand, a line break an attack.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]*")


def split(value: str) -> list[str]:
    """The keys in one string: apart at commas, without the empty ones."""
    return [part for part in (part.strip() for part in value.split(",")) if part]


def _read_secrets(value: object) -> str:
    if not isinstance(value, str):
        refuse("must be a string", "put it in quotes" if isinstance(value, int | float) else None)
    if not all(_HEADER_SAFE.fullmatch(part) for part in split(value)):
        refuse("holds a character that no key can have", "keys are separated by commas")
    return value


def _as_list(value: object) -> object:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        refuse("must be a string or a list", "put it in quotes" if isinstance(value, int | float) else None)
    return value


_SECRETS = Scalar(_read_secrets, {"type": "string"})


class Key(Section):
    """One API key. Keys of one `account` share its limits; a key without one is its own account."""

    value: Annotated[str, _SECRETS] = Field(repr=False, description="The key; several may stand here, with commas.")
    account: Annotated[str, TEXT] | None = Field(
        default=None, description="Keys of one account reach its limits together. Left out: an account of its own."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"value": data}
        if not isinstance(data, dict):
            refuse("must be a key, or a mapping of `value` and `account`")
        return data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


def _one_each(entries: Iterable[Key]) -> tuple[Key, ...]:
    """One `Key` a secret, the first if it is given twice."""
    keys: dict[str, Key] = {}
    for entry in entries:
        for value in split(entry.value):
            keys.setdefault(value, Key.model_construct(value=value, account=entry.account))
    return tuple(keys.values())


def _distinct(entries: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for entry in entries for value in split(entry)))


Keys: TypeAlias = Annotated[
    tuple[Key, ...],
    BeforeValidator(_as_list, json_schema_input_type=str | tuple[Key, ...]),
    AfterValidator(_one_each),
]
Secrets: TypeAlias = Annotated[
    tuple[Annotated[str, _SECRETS], ...],
    BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...]),
    AfterValidator(_distinct),
]
