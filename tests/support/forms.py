"""What the vendors' own types say of a request, as far as it must be looked at to be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def exhaust(value: Any) -> None:
    """Lazy parts are checked when they are read."""
    if isinstance(value, dict):
        for each in value.values():
            exhaust(each)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            exhaust(each)
