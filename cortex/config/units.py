"""Quantities that are written with a unit: durations, sizes and shares, and the number that each becomes."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from cortex.config.scalars import VARIABLE_PATTERN, Scalar, is_number, read_number, refuse

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MAX_DURATION_S = 366 * 24 * 3600.0

_DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h)")
_DURATION = re.compile(rf"({_DURATION_PART.pattern})+")
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KB|MB|GB|KiB|MiB|GiB)")
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?%")

_DURATION_FORM = "write it as 250ms, 30s, 15m or 1h"
_SIZE_FORM = "write it as 64KiB or 32MiB"
_SHARE_FORM = "write it as 20% or 0.2"


def read_delay(value: object) -> float:
    """Seconds; 0 is one."""
    text = value.strip() if isinstance(value, str) else ""
    if not _DURATION.fullmatch(text):
        refuse("a duration without a unit" if is_number(value) else "not a duration", _DURATION_FORM)
    seconds = math.fsum(float(amount) * _SECONDS[unit] for amount, unit in _DURATION_PART.findall(text))
    if seconds > _MAX_DURATION_S:
        refuse("longer than a year")
    return seconds


def read_duration(value: object) -> float:
    """Seconds, more than 0."""
    seconds = read_delay(value)
    if seconds <= 0:
        refuse("must be longer than 0")
    return seconds


def read_size(value: object) -> int:
    """Bytes, at least one."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        refuse("a size without a unit" if is_number(value) else "not a size", _SIZE_FORM)
    amount = int(match[1]) * _BYTES[match[2]]
    if amount == 0:
        refuse("must be more than 0")
    return amount


def read_share(value: object) -> float:
    """A part of one, from 0 to 1."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
        share = float(match[1]) / 100
    elif is_number(value):
        share = read_number(value)
    else:
        refuse("not a share", _SHARE_FORM)
    if not 0 <= share <= 1:
        refuse("must be from 0% to 100%", _SHARE_FORM)
    return share


def _described(pattern: re.Pattern[str], *examples: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern.pattern}$|{VARIABLE_PATTERN}", "examples": list(examples)}


Duration: TypeAlias = Annotated[float, Scalar(read_duration, _described(_DURATION, "250ms", "30s", "15m", "1h"))]
Delay: TypeAlias = Annotated[float, Scalar(read_delay, _described(_DURATION, "0s", "250ms"))]
Size: TypeAlias = Annotated[int, Scalar(read_size, _described(_SIZE, "64KiB", "32MiB"))]
Share: TypeAlias = Annotated[
    float,
    Scalar(
        read_share,
        {
            "type": ["string", "number"],
            "pattern": rf"^{_PERCENT.pattern}$|^[0-9]*\.?[0-9]+$|{VARIABLE_PATTERN}",
            "minimum": 0,
            "maximum": 1,
            "examples": ["20%", 0.2],
        },
    ),
]


def as_written(text: str, value: float, description: str) -> Any:
    """A field whose default the JSON Schema shows as a person writes it."""
    return Field(default=value, description=description, json_schema_extra={"default": text})
