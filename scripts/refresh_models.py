"""Makes cortex/data/models.json, the table of context windows, prices and gaps, from a longer list of model facts.

    python scripts/refresh_models.py FACTS.json

FACTS.json is `{"source": "…", "providers": {TYPE: {MODEL: {"mode", "context", "max_output", "input_usd_per_mtok",
"output_usd_per_mtok", "cached_input_usd_per_mtok", "cache_write_usd_per_mtok", "tools", "vision", "json_schema",
…}}}}` with types as cortex.yaml names them; a fact that is not known is left out. What Cortex does not read is not
shipped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent.parent / "cortex" / "data" / "models.json"
NUMBERS = (
    "context",
    "max_output",
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
)
CAPABILITIES = ("tools", "vision", "json_schema")
# A local server decides on its own how long a context it gives a model; what the model could take says nothing.
LEFT_OUT = frozenset({"ollama"})


def table(facts: dict[str, Any]) -> str:
    """The table as JSON text, one line a model, in alphabetical order so that a refresh shows what changed."""
    sections = [
        f" {json.dumps(name)}: {{\n" + ",\n".join(_rows(models)) + "\n }"
        for name, models in sorted(facts["providers"].items())
        if name not in LEFT_OUT
    ]
    columns = json.dumps([*NUMBERS, "lacks"])
    head = f'{{"source": {json.dumps(facts["source"])},\n "columns": {columns},\n "providers": {{\n'
    return head + ",\n".join(sections) + "\n}}\n"


def _rows(models: dict[str, dict[str, Any]]) -> list[str]:
    return [f"  {json.dumps(name)}: {json.dumps(_row(facts))}" for name, facts in sorted(models.items())]


def _row(facts: dict[str, Any]) -> list[Any]:
    """The columns, but for unknown ones at the end."""
    row: list[Any] = [*(_short(facts.get(column)) for column in NUMBERS), _lacks(facts) or None]
    while row and row[-1] is None:
        row.pop()
    return row


def _lacks(facts: dict[str, Any]) -> list[str]:
    """What a chat model is said to be without.

    The source names vision only where it is there, so that it is missing where other capabilities are named; of the
    others, what is not named is not known.
    """
    if facts.get("mode") != "chat":
        return []
    told = {name: facts[name] for name in CAPABILITIES if name in facts}
    if told:
        told.setdefault("vision", False)
    return [name for name in CAPABILITIES if told.get(name) is False]


def _short(number: float | None) -> float | None:
    return int(number) if isinstance(number, float) and number.is_integer() else number


if __name__ == "__main__":
    TABLE.write_text(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
