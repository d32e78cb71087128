"""What the runs of `benchmarks.overhead` amount to: tables, plots and a document.

Pure. Promises that nothing measured is left out of the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.exchange import SCENARIOS, TRANSLATED, Scenario
from benchmarks.figures import CORTEX, MIB, UPSTREAM, Comparison, Metric, Run, Spread, Table
from benchmarks.load import LoadResult
from benchmarks.outcome import Machine, Outcome
from benchmarks.svg import bars

_QUIET_PERCENT = 5.0  # how long a gateway may have waited for its core before rates mean nothing
NOT_QUIET = "NOT QUIET: other programs ran on the gateway's core; compare CPU time, nothing else"


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


def _rate(sample: Sample) -> float:
    return (sample.load.events or sample.load.requests) / sample.load.seconds


def _cpu_us(sample: Sample) -> float:
    return sample.load.server_cpu_s * 1e6 / max(1, sample.load.requests)


def waited_percent(sample: Sample) -> float:
    return sample.load.server_waited_s / sample.load.seconds * 100


METRICS = (
    Metric("cpu_us", "CPU µs a request", 1, _cpu_us),
    Metric("p50_ms", "p50 ms", 3, lambda sample: sample.load.p50_ms),
    Metric("p90_ms", "p90 ms", 3, lambda sample: sample.load.p90_ms),
    Metric("p99_ms", "p99 ms", 3, lambda sample: sample.load.p99_ms),
    Metric("busy_percent", "core busy %", 0, lambda sample: sample.load.server_cpu_s / sample.load.seconds * 100),
    Metric("waited_percent", "core taken %", 0, waited_percent),
    Metric("rss_mib", "RSS MiB", 1, lambda sample: sample.rss_bytes / MIB),
)
ADDED = tuple(metric for metric in METRICS if metric.name.endswith("_ms"))


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one call of the benchmark measured."""

    machine: Machine
    settings: dict[str, Any]
    starts: Sequence[Start]
    samples: Sequence[Sample]
    errors: Sequence[str]

    @property
    def quiet(self) -> bool:
        """Whether the gateways had their core to themselves. If not, rates and times compare luck."""
        return quiet(waited_percent(sample) for sample in self.samples if sample.subject != UPSTREAM)

    def document(self) -> dict[str, Any]:
        """For a file: figures by scenario, metric and subject, and the samples that they come from."""
        return self.outcome().document()

    def text(self) -> str:
        """For a terminal: medians of all rounds, with least and most in parentheses."""
        return self.outcome().text()

    def outcome(self) -> Outcome:
        compared = {scenario: self._comparison(scenario) for scenario in self._scenarios()}
        data = {
            "quiet": self.quiet,
            "start": {name: asdict(spread) for name, spread in self._start_figures().items()},
            "scenarios": {
                scenario.name: {"title": scenario.title, "unit": scenario.unit, "metrics": comparison.figures()}
                for scenario, comparison in compared.items()
            },
            "starts": [asdict(start) for start in self.starts],
            "samples": [asdict(sample) for sample in self.samples],
        }
        return Outcome(
            name="overhead",
            title="What Cortex adds to a request",
            machine=self.machine,
            settings=self.settings,
            tables=[*self._start_table(), *(comparison.table() for comparison in compared.values())],
            data=data,
            errors=self.errors,
            notes=[] if self.quiet else [NOT_QUIET],
            plots=_plots(compared),
        )

    def _start_table(self) -> list[Table]:
        rows = [(name, [spread.text(2)]) for name, spread in self._start_figures().items()]
        return [Table("Start", [CORTEX], rows)] if rows else []

    def _start_figures(self) -> dict[str, Spread]:
        figures = {
            "ready_s": Spread.of(start.ready_s for start in self.starts),
            "idle_rss_mib": Spread.of(start.idle_rss_bytes / MIB for start in self.starts),
        }
        return {name: spread for name, spread in figures.items() if spread is not None}

    def _scenarios(self) -> list[Scenario]:
        return [SCENARIOS[name] for name in dict.fromkeys(sample.scenario for sample in self.samples)]

    def _comparison(self, scenario: Scenario) -> Comparison:
        runs = [
            Run(sample.subject, sample.round, sample) for sample in self.samples if sample.scenario == scenario.name
        ]
        metrics = [Metric("rate", scenario.unit, 0, _rate), *METRICS]
        # With more connections a latency tells of the queue, not of the way through.
        return Comparison(scenario.title, runs, metrics, added=ADDED if scenario.connections == 1 else ())


def quiet(waited_percents: Iterable[float]) -> bool:
    """Whether gateways that waited so long for their core, in percent of a run, had it to themselves."""
    waited = Spread.of(waited_percents)
    return waited is None or waited.median <= _QUIET_PERCENT


def _plots(compared: dict[Scenario, Comparison]) -> dict[str, str]:
    """The rates, and the time added; Cortex first, and without the upstream alone, which is no gateway."""

    def gateways(name: str, comparison: Comparison) -> dict[str, float]:
        medians = comparison.medians(name)
        ordered = sorted(medians, key=lambda subject: subject != CORTEX)
        return {subject: medians[subject] for subject in ordered if subject != UPSTREAM}

    plots: dict[str, str] = {}
    translated: dict[str, float] = {}
    for scenario, comparison in compared.items():
        if scenario.translated is not None:
            translated[TRANSLATED[scenario.translated]] = comparison.medians("rate")[CORTEX]
        elif scenario.connections == 1:
            plots[f"overhead-{scenario.name}.svg"] = bars(
                f"Added time, median: {scenario.title}", "ms", gateways("added_p50_ms", comparison), digits=2
            )
        else:
            title = f"{scenario.title}: {scenario.unit}"
            plots[f"overhead-{scenario.name}.svg"] = bars(title, scenario.unit, gateways("rate", comparison))
    if translated:
        title = "Streams that Cortex translates, by what the upstream speaks: events/s"
        plots["overhead-translated.svg"] = bars(title, "events/s", translated)
    return plots
