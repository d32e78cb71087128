"""The plain scalars of the configuration: how each is read, and how the JSON Schema describes it.

A reader takes the text that a variable was replaced by as well as the value that YAML gives. It says in its own words
what is wrong, and never quotes the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from cortex.config.diagnostics import did_you_mean

# What the JSON Schema lets stand in any value's place: text that holds a variable.
VARIABLE_PATTERN = r"\$\{[A-Za-z_]|^os\.environ/"
VARIABLE: Mapping[str, Any] = {"type": "string", "pattern": VARIABLE_PATTERN}

REFUSED = "refused"


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Refuse the value that is being validated. Raises what pydantic collects; both texts are told as they are."""
    raise PydanticCustomError(REFUSED, REFUSED, {"message": message, "hint": hint})


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: typing wants metadata hashable
class Scalar:
    """Metadata of an `Annotated` type: read by `read`, whatever the type, and described by `described`."""

    read: Callable[[object], Any]
    described: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.described)


_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,3})?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MAX_TEXT_CHARS = 256


def is_number(value: object) -> bool:
    """Whether it is a number or the text of one."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    refuse("must be a whole number")


def read_number(value: object) -> float:
    """A finite number."""
    if isinstance(value, int | float | str) and is_number(value) and math.isfinite(number := float(value)):
        return number
    refuse("must be a number")


def read_boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (word := value.strip().lower()) in ("true", "false"):
        return word == "true"
    refuse("must be true or false")


def read_text(value: object) -> str:
    """One line that is not empty."""
    if not isinstance(value, str):
        refuse("must be a string", "put it in quotes" if isinstance(value, bool | int | float) else None)
    text = value.strip()
    if not text:
        refuse("must not be empty")
    if _UNPRINTABLE.search(text) or len(text) > _MAX_TEXT_CHARS:
        refuse(f"must be one line of at most {_MAX_TEXT_CHARS} characters")
    return text


def whole(least: int, most: int | None = None) -> Scalar:
    """A whole number within limits, both included."""

    def read(value: object) -> int:
        number = read_integer(value)
        if number < least or (most is not None and number > most):
            refuse(f"must be {least} or more" if most is None else f"must be from {least} to {most}")
        return number

    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return Scalar(read, {"type": ["integer", "string"], "pattern": rf"^[0-9]+$|{VARIABLE_PATTERN}", **limits})


def number(*, above_zero: bool = False) -> Scalar:
    """A number of zero or more."""

    def read(value: object) -> float:
        found = read_number(value)
        if found < 0 or (above_zero and found == 0):
            refuse("must be more than 0" if above_zero else "must be 0 or more")
        return found

    limit = {"exclusiveMinimum": 0} if above_zero else {"minimum": 0}
    pattern = rf"^[0-9]*\.?[0-9]+$|{VARIABLE_PATTERN}"
    return Scalar(read, {"type": ["number", "string"], "pattern": pattern, **limit})


def choice(allowed: tuple[str, ...]) -> Scalar:
    """One of a few words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        refuse(
            f"must be one of: {', '.join(allowed)}", did_you_mean(value, allowed) if isinstance(value, str) else None
        )

    return Scalar(read, {"anyOf": [{"enum": list(allowed)}, dict(VARIABLE)]})


BOOLEAN = Scalar(read_boolean, {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}, dict(VARIABLE)]})
TEXT = Scalar(read_text, {"type": "string", "minLength": 1})
