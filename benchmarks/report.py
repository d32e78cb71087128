"""From samples to figures: medians with their spread, ratios within one round, a table and a JSON document.

Pure. Promises that a ratio compares runs of the same round only, so that a slow minute of the machine hits both sides,
and that nothing measured is left out of the document.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from benchmarks.exchange import SCENARIOS, Scenario
from benchmarks.load import LoadResult

UPSTREAM = "upstream alone"
BARE = "bare proxy"
CORTEX = "cortex"
SUBJECTS = (UPSTREAM, BARE, CORTEX)

_MIB = 1024 * 1024
_LABEL_WIDTH = 20
_CELL_WIDTH = 28
_QUIET_PERCENT = 5.0  # how long a gateway may have waited for its core before rates mean nothing


@dataclass(frozen=True, slots=True)
class Start:
    """One start of Cortex."""

    ready_s: float  # from the start of the process to its first 200 of /readyz
    idle_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one scenario against one subject."""

    scenario: str
    subject: str
    round: int
    rss_bytes: int  # of the subject, at the end of the run
    load: LoadResult


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
class _Metric:
    """One row of a scenario's table, and one name in the document."""

    name: str
    label: str
    digits: int
    value: Callable[[Sample], float]


def _rate(sample: Sample) -> float:
    return (sample.load.events or sample.load.requests) / sample.load.seconds


def _cpu_us(sample: Sample) -> float:
    return sample.load.server_cpu_s * 1e6 / max(1, sample.load.requests)


def _waited_percent(sample: Sample) -> float:
    return sample.load.server_waited_s / sample.load.seconds * 100


_METRICS = (
    _Metric("rate", "", 0, _rate),  # labelled with the scenario's unit
    _Metric("cpu_us", "CPU µs a request", 1, _cpu_us),
    _Metric("p50_ms", "p50 ms", 3, lambda sample: sample.load.p50_ms),
    _Metric("p90_ms", "p90 ms", 3, lambda sample: sample.load.p90_ms),
    _Metric("p99_ms", "p99 ms", 3, lambda sample: sample.load.p99_ms),
    _Metric("busy_percent", "core busy %", 0, lambda sample: sample.load.server_cpu_s / sample.load.seconds * 100),
    _Metric("waited_percent", "core taken %", 0, _waited_percent),
    _Metric("rss_mib", "RSS MiB", 1, lambda sample: sample.rss_bytes / _MIB),
)
_ADDED = tuple(metric for metric in _METRICS if metric.name.endswith("_ms"))


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one call of the benchmark measured."""

    machine: dict[str, str | int | None]
    settings: dict[str, Any]
    starts: Sequence[Start]
    samples: Sequence[Sample]
    errors: Sequence[str]

    @property
    def quiet(self) -> bool:
        """Whether the gateways had their core to themselves. If not, rates and times compare luck."""
        waited = Spread.of(_waited_percent(sample) for sample in self.samples if sample.subject != UPSTREAM)
        return waited is None or waited.median <= _QUIET_PERCENT

    def document(self) -> dict[str, Any]:
        """For a file: figures by scenario, metric and subject, and the samples that they come from."""
        return {
            "machine": self.machine,
            "settings": self.settings,
            "quiet": self.quiet,
            "start": {name: asdict(spread) for name, spread in self._start_figures().items()},
            "scenarios": {
                scenario.name: {
                    "title": scenario.title,
                    "unit": scenario.unit,
                    "metrics": {
                        name: {column: asdict(spread) for column, spread in row.items()}
                        for name, _, _, row in self._rows(scenario)
                    },
                }
                for scenario in self._scenarios()
            },
            "errors": list(self.errors),
            "starts": [asdict(start) for start in self.starts],
            "samples": [asdict(sample) for sample in self.samples],
        }

    def text(self) -> str:
        """For a terminal: medians of all rounds, with least and most in parentheses."""
        lines = [", ".join(f"{name} {value}" for name, value in self.machine.items() if value is not None)]
        lines += [", ".join(f"{name} {value}" for name, value in self.settings.items()), ""]
        lines += [f"{name}: {spread.text(2)}" for name, spread in self._start_figures().items()]
        for scenario in self._scenarios():
            lines += ["", scenario.title, _line("", [*SUBJECTS, _RATIO])]
            for _, label, digits, row in self._rows(scenario):
                cells = [row[column].text(digits) if column in row else "-" for column in SUBJECTS]
                cells.append(row[_RATIO].text(2) if _RATIO in row else "-")
                lines.append(_line(label, cells))
        if not self.quiet:
            lines += ["", "NOT QUIET: other programs ran on the gateway's core; compare CPU µs a request, nothing else"]
        if self.errors:
            lines += ["", "ERRORS: these figures do not count", *self.errors]
        return "\n".join(lines)

    def _start_figures(self) -> dict[str, Spread]:
        figures = {
            "ready_s": Spread.of(start.ready_s for start in self.starts),
            "idle_rss_mib": Spread.of(start.idle_rss_bytes / _MIB for start in self.starts),
        }
        return {name: spread for name, spread in figures.items() if spread is not None}

    def _scenarios(self) -> list[Scenario]:
        return [SCENARIOS[name] for name in dict.fromkeys(sample.scenario for sample in self.samples)]

    def _rows(self, scenario: Scenario) -> list[tuple[str, str, int, dict[str, Spread]]]:
        """Name, label, digits, and a spread for each subject and for the ratio."""
        rows = [
            (metric.name, metric.label or scenario.unit, metric.digits, self._figures(scenario, metric.value))
            for metric in _METRICS
        ]
        if scenario.connections == 1:  # with more, a latency tells of the queue, not of the way through
            rows += [
                (f"added_{metric.name}", f"added {metric.label}", metric.digits, self._added(scenario, metric.value))
                for metric in _ADDED
            ]
        return rows

    def _figures(self, scenario: Scenario, value: Callable[[Sample], float]) -> dict[str, Spread]:
        return _spreads(self._values(scenario, value))

    def _added(self, scenario: Scenario, value: Callable[[Sample], float]) -> dict[str, Spread]:
        """What the proxies add to the upstream's own latency of the same round."""
        values = self._values(scenario, value)
        alone = values.pop(UPSTREAM, {})
        return _spreads(
            {
                subject: {number: took - alone[number] for number, took in rounds.items() if number in alone}
                for subject, rounds in values.items()
            }
        )

    def _values(self, scenario: Scenario, value: Callable[[Sample], float]) -> dict[str, dict[int, float]]:
        """Subject → round → value."""
        values: dict[str, dict[int, float]] = {}
        for sample in self.samples:
            if sample.scenario == scenario.name:
                values.setdefault(sample.subject, {})[sample.round] = value(sample)
        return values


_RATIO = f"{CORTEX} / {BARE}"


def _spreads(values: dict[str, dict[int, float]]) -> dict[str, Spread]:
    bare, cortex = values.get(BARE, {}), values.get(CORTEX, {})
    ratios = [took / bare[number] for number, took in cortex.items() if bare.get(number)]
    columns = {subject: Spread.of(rounds.values()) for subject, rounds in values.items()}
    columns[_RATIO] = Spread.of(ratios)
    return {column: spread for column, spread in columns.items() if spread is not None}


def _line(label: str, cells: Sequence[str]) -> str:
    return (label.ljust(_LABEL_WIDTH) + "".join(cell.ljust(_CELL_WIDTH) for cell in cells)).rstrip()
