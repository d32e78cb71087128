"""Figures: percentiles, medians with their spread, comparisons within one round, tables. Pure.

Promises that a ratio or a difference compares runs of the same round only, so that a slow minute of the machine hits
both sides.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

UPSTREAM = "upstream alone"
BARE = "bare proxy"
CORTEX = "cortex"

MIB = 1024 * 1024

_LABEL_WIDTH = 20
_CELL_WIDTH = 28


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in order; 0 without any."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """None without values."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1]) if ordered else None

    def text(self, digits: int) -> str:
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a label and cells, for a terminal or for a page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]

    def text(self) -> str:
        label_width = max([_LABEL_WIDTH, *(len(label) + 2 for label, _ in self.rows)])

        def line(label: str, cells: Sequence[str]) -> str:
            return (label.ljust(label_width) + "".join(cell.ljust(_CELL_WIDTH) for cell in cells)).rstrip()

        return "\n".join([self.title, line("", self.columns), *(line(label, cells) for label, cells in self.rows)])

    def markdown(self) -> str:
        lines = [["", *self.columns], ["---", *["---:"] * len(self.columns)]]
        lines += [[label, *cells] for label, cells in self.rows]
        return "\n".join([f"**{self.title}**", "", *("| " + " | ".join(cells) + " |" for cells in lines)])


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a table, and one name in a document. `value` takes a sample and gives None where it has none."""

    name: str
    label: str
    digits: int
    value: Callable[[Any], float | None]


@dataclass(frozen=True, slots=True)
class Run:
    """One sample, with what it may be compared with: those of other subjects in the same round."""

    subject: str
    round: int
    sample: Any


@dataclass(frozen=True, slots=True)
class Row:
    """One metric: a spread for each subject, and for the ratio of Cortex to each other gateway."""

    name: str
    label: str
    digits: int
    spreads: Mapping[str, Spread]

    def cells(self, columns: Iterable[str]) -> list[str]:
        return [self._cell(column) for column in columns]

    def _cell(self, column: str) -> str:
        if column not in self.spreads:
            return "-"
        return self.spreads[column].text(2 if column.startswith(f"{CORTEX} / ") else self.digits)


class Comparison:
    """All runs of one kind of traffic."""

    def __init__(
        self, title: str, runs: Sequence[Run], metrics: Sequence[Metric], added: Sequence[Metric] = ()
    ) -> None:
        """`added`: metrics that are told once more less the upstream's own."""
        self.title = title
        self.subjects = list(dict.fromkeys(run.subject for run in runs))
        self._runs = runs
        self.rows = [Row(metric.name, metric.label, metric.digits, self._figures(metric)) for metric in metrics]
        self.rows += [
            Row(f"added_{metric.name}", f"added {metric.label}", metric.digits, self._added(metric)) for metric in added
        ]

    def table(self) -> Table:
        columns = [*self.subjects, *(column for column in self._ratio_columns())]
        return Table(self.title, columns, [(row.label, row.cells(columns)) for row in self.rows])

    def figures(self) -> dict[str, dict[str, dict[str, float]]]:
        """Metric → column → median, low, high."""
        return {row.name: {column: asdict(spread) for column, spread in row.spreads.items()} for row in self.rows}

    def medians(self, name: str) -> dict[str, float]:
        """Subject → median of one metric; empty where nothing was measured."""
        spreads = next((row.spreads for row in self.rows if row.name == name), {})
        return {subject: spreads[subject].median for subject in self.subjects if subject in spreads}

    def spread(self, name: str, subject: str) -> Spread | None:
        """Of one metric; None where nothing was measured."""
        return next((row.spreads.get(subject) for row in self.rows if row.name == name), None)

    def _ratio_columns(self) -> list[str]:
        others = [subject for subject in self.subjects if subject not in (UPSTREAM, CORTEX)]
        return [ratio(other) for other in others] if CORTEX in self.subjects else []

    def _figures(self, metric: Metric) -> dict[str, Spread]:
        return _spreads(self._values(metric))

    def _added(self, metric: Metric) -> dict[str, Spread]:
        """What the gateways add to the upstream's own of the same round."""
        values = self._values(metric)
        alone = values.pop(UPSTREAM, {})
        return _spreads(
            {
                subject: {number: took - alone[number] for number, took in rounds.items() if number in alone}
                for subject, rounds in values.items()
            }
        )

    def _values(self, metric: Metric) -> dict[str, dict[int, float]]:
        """Subject → round → value."""
        values: dict[str, dict[int, float]] = {}
        for run in self._runs:
            if (value := metric.value(run.sample)) is not None:
                values.setdefault(run.subject, {})[run.round] = value
        return values


def ratio(other: str) -> str:
    """The column that compares Cortex with another gateway."""
    return f"{CORTEX} / {other}"


def _spreads(values: dict[str, dict[int, float]]) -> dict[str, Spread]:
    columns = {subject: Spread.of(rounds.values()) for subject, rounds in values.items()}
    cortex = values.get(CORTEX, {})
    for other, rounds in values.items():
        if other not in (UPSTREAM, CORTEX):
            columns[ratio(other)] = Spread.of(
                took / rounds[number] for number, took in cortex.items() if rounds.get(number)
            )
    return {column: spread for column, spread in columns.items() if spread is not None}
