"""The operator `rules` as the file writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from cortex.config.diagnostics import did_you_mean
from cortex.config.scalars import BOOLEAN, TEXT, Scalar, read_text, refuse, whole
from cortex.config.section import Section
from routing.semantic.language import LANGUAGES


def _read_language(value: object) -> str:
    language = read_text(value)
    if language not in LANGUAGES:
        hint = did_you_mean(language, LANGUAGES) or f"known are {', '.join(sorted(LANGUAGES))}"
        refuse("not a language that can be told apart", hint)
    return language


def _read_header_name(value: object) -> str:
    name = read_text(value).lower()
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        refuse("not the name of a header")
    return name


def _read_header_value(value: object) -> str | bool:
    return True if value is True else read_text(value)


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


_Language: TypeAlias = Annotated[str, Scalar(_read_language, {"enum": sorted(LANGUAGES)})]
_HeaderName: TypeAlias = Annotated[str, Scalar(_read_header_name, {"type": "string"})]
_HeaderValue: TypeAlias = Annotated[
    str | bool, Scalar(_read_header_value, {"anyOf": [{"type": "string", "minLength": 1}, {"const": True}]})
]

_Client: TypeAlias = Annotated[str, TEXT]
_HeaderValues: TypeAlias = Annotated[
    tuple[_HeaderValue, ...],
    BeforeValidator(_as_list, json_schema_input_type=_HeaderValue | tuple[_HeaderValue, ...]),
]
_Clients: TypeAlias = Annotated[
    tuple[_Client, ...], BeforeValidator(_as_list, json_schema_input_type=_Client | tuple[_Client, ...])
]
_Languages: TypeAlias = Annotated[
    tuple[_Language, ...], BeforeValidator(_as_list, json_schema_input_type=_Language | tuple[_Language, ...])
]


class TokensConfig(Section):
    """The estimated length of the prompt, tools included."""

    over: Annotated[int, whole(0)] | None = Field(default=None, description="More tokens than this.")
    under: Annotated[int, whole(1)] | None = Field(default=None, description="Fewer tokens than this.")


class WhenConfig(Section):
    """Conditions that must all hold."""

    prompt_tokens: TokensConfig | None = Field(default=None, description="How long the prompt is, estimated.")
    tools: Annotated[bool, BOOLEAN] | None = Field(default=None, description="Whether the request brings tools.")
    images: Annotated[bool, BOOLEAN] | None = Field(default=None, description="Whether the request brings images.")
    json_schema: Annotated[bool, BOOLEAN] | None = Field(
        default=None, description="Whether the answer must keep to a JSON schema."
    )
    header: Mapping[_HeaderName, _HeaderValues] = Field(
        default={}, description="Headers of the request: a value, several, or true for any."
    )
    client: _Clients = Field(
        default=(), description="Names of client keys, as client#1: the first of server.client_keys."
    )
    language: _Languages = Field(
        default=(), description="Languages of the last human turn: en, es, pt, fr, de and others."
    )


class CaseConfig(Section):
    """One rule: where to, and when."""

    when: WhenConfig | None = Field(default=None, description="Left out in the last rule: always.")
    to: Annotated[str, TEXT] = Field(description="A node, a provider (its default model) or provider/model.")
