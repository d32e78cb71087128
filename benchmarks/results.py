"""The results page: what the benchmarks found, as Markdown with plots beside it, and as one JSON file.

Promises that a page of figures that do not count says so at its top.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.outcome import Machine, Outcome, one_line

_PAGE = "README.md"
_DATA = "results.json"


def write(directory: Path, outcomes: Sequence[Outcome]) -> Path:
    """Page, plots and data into a directory; plots of an earlier page are removed. Gives the page's path."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.svg"):
        old.unlink()
    for outcome in outcomes:
        for name, plot in outcome.plots.items():
            (directory / name).write_text(plot)
    documents = {outcome.name: outcome.document() for outcome in outcomes}
    (directory / _DATA).write_text(json.dumps(documents, indent=1) + "\n")
    page = directory / _PAGE
    page.write_text(markdown(outcomes))
    return page


def write_one(page: Path, outcome: Outcome) -> None:
    """A page of one benchmark alone, in a folder of the results; its plots and its data go beside it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    for name, plot in outcome.plots.items():
        (page.parent / name).write_text(plot)
    page.with_suffix(".json").write_text(json.dumps(outcome.document(), indent=1) + "\n")
    page.write_text(markdown([outcome], command=outcome.name, guide="../../README.md"))


def markdown(outcomes: Sequence[Outcome], command: str = "all", guide: str = "../README.md") -> str:
    parts = [
        "# Results",
        f"Written by `python -m benchmarks.{command}`. Cells are medians of all rounds, with the least and the most in"
        f" parentheses.\nAbsolute figures tell about the machine; [how to read them]({guide}).",
    ]
    if any(outcome.errors for outcome in outcomes):
        parts.append("> **There were errors: these figures do not count.** They are told below.")
    if outcomes:
        parts.append(_machine(outcomes[0].machine))
    for outcome in outcomes:
        parts += _section(outcome)
    return "\n\n".join(parts) + "\n"


def _machine(machine: Machine) -> str:
    rows = [f"| {name} | {value} |" for name, value in machine.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *rows])


def _section(outcome: Outcome) -> list[str]:
    parts = [f"## {outcome.title}", f"`benchmarks.{outcome.name}`: {one_line(outcome.settings)}"]
    parts += [f"> {note}" for note in outcome.notes]
    if outcome.errors:
        # A message may quote what a server said, over several lines.
        parts.append("\n".join(["Errors:", "", *(f"- {' '.join(error.split())}" for error in outcome.errors)]))
    parts += [table.markdown() for table in outcome.tables]
    if outcome.plots:
        parts.append("\n".join(f"![{name.removesuffix('.svg')}]({name})" for name in outcome.plots))
    return parts
