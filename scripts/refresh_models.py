"""Makes cortex/data/models.json, the table of context windows and prices, from a longer list of model facts.

    python scripts/refresh_models.py FACTS.json

FACTS.json is `{"source": "…", "providers": {TYPE: {MODEL: {"context", "max_output", "input_usd_per_mtok",
"output_usd_per_mtok", …}}}}` with types as cortex.yaml names them; a fact that is not known is left out. Cortex reads
four numbers a model and no more, so no more is shipped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent.parent / "cortex" / "data" / "models.json"
COLUMNS = ("context", "max_output", "input_usd_per_mtok", "output_usd_per_mtok")
# A local server decides on its own how long a context it gives a model; what the model could take says nothing.
LEFT_OUT = frozenset({"ollama"})


def table(facts: dict[str, Any]) -> str:
    """The table as JSON text, one line a model, in alphabetical order so that a refresh shows what changed."""
    sections = [
        f" {json.dumps(name)}: {{\n" + ",\n".join(_rows(models)) + "\n }"
        for name, models in sorted(facts["providers"].items())
        if name not in LEFT_OUT
    ]
    head = f'{{"source": {json.dumps(facts["source"])},\n "columns": {json.dumps(COLUMNS)},\n "providers": {{\n'
    return head + ",\n".join(sections) + "\n}}\n"


def _rows(models: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"  {json.dumps(name)}: {json.dumps([_short(facts.get(column)) for column in COLUMNS])}"
        for name, facts in sorted(models.items())
    ]


def _short(number: float | None) -> float | None:
    return int(number) if isinstance(number, float) and number.is_integer() else number


if __name__ == "__main__":
    TABLE.write_text(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
