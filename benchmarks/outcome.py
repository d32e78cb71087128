"""What one benchmark found, in the one form that a terminal, a file and the results page are made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Table

Machine = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures with errors do not count: whoever shows them must show the errors, too."""

    name: str  # of the benchmark, as a word
    title: str
    machine: Machine
    settings: Mapping[str, Any]
    tables: Sequence[Table]
    data: Mapping[str, Any]  # for the document: figures, and the samples that they come from
    errors: Sequence[str]
    notes: Sequence[str] = ()  # what a reader must know of this run
    plots: Mapping[str, str] = field(default_factory=dict)  # file name → SVG

    def document(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            **self.data,
            "notes": list(self.notes),
            "errors": list(self.errors),
        }

    def text(self) -> str:
        """For a terminal."""
        parts = [f"{one_line(self.machine)}\n{one_line(self.settings)}"]
        parts += [table.text() for table in self.tables]
        parts += self.notes
        if self.errors:
            parts.append("\n".join(["ERRORS: these figures do not count", *self.errors]))
        return "\n\n".join(parts)


def one_line(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
