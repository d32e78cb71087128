"""What is known of models without being told: windows, prices and what they lack, from a table shipped with Cortex.

The table ages. What the configuration says comes first, and a model that the table does not know is simply unknown.
"""

from __future__ import annotations

import json
from collections.abc import Collection
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
    cached_input_usd_per_mtok: float | None = None
    cache_write_usd_per_mtok: float | None = None
    lacks: Collection[str] = ()  # of routing.demand.CAPABILITIES; what is not named may be there or not


UNKNOWN = KnownModel()
# A row: the fields above in their order; unknown ones at its end are left out.
_FILE = Path(__file__).parent.parent / "data" / "models.json"


def known_model(provider_type: str, model: str) -> KnownModel:
    """What the table says of a type's model; nothing, if it does not list it."""
    row = _table().get(provider_type, {}).get(model)
    return KnownModel(*row) if row else UNKNOWN


@cache
def _table() -> dict[str, dict[str, list[Any]]]:
    text = _FILE.read_text(encoding="utf-8")
    table: dict[str, dict[str, list[Any]]] = json.loads(text)["providers"]
    return table
