"""What is known of models without being told: context windows and prices, from a table shipped with Cortex.

The table ages. What the configuration says comes first, and a model that the table does not know is simply unknown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownModel:
    """None: unknown."""

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None


_UNKNOWN = KnownModel()
_FILE = Path(__file__).parent.parent / "data" / "models.json"  # a row: the fields above, in their order


def known_model(provider_type: str, model: str) -> KnownModel:
    """What the table says of a type's model; nothing, if it does not list it."""
    row = _table().get(provider_type, {}).get(model)
    return KnownModel(*row) if row else _UNKNOWN


@cache
def _table() -> dict[str, dict[str, list[Any]]]:
    text = _FILE.read_text(encoding="utf-8")
    table: dict[str, dict[str, list[Any]]] = json.loads(text)["providers"]
    return table
