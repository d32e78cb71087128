"""What the runs of `benchmarks.routing_latency` amount to: tables, a plot and a document. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.arrivals import ArrivalResult
from benchmarks.figures import MIB, Spread, Table, percentile
from benchmarks.prompt_load import PromptResult
from benchmarks.prompts import Prompt
from benchmarks.svg import lines

PLAIN, CLASSIFIED = "plain cascade", "classify node"
NEW, AGAIN = "each time a new text", "the same texts again"
GOALS = {NEW: "added p50 ≤ 1 ms, p99 ≤ 10 ms", AGAIN: "decision ≤ 0.05 ms"}
DEADLINE_MS = 25.0  # of a vector, as Cortex has it
_SHARES = (0.50, 0.90, 0.99)


@dataclass(frozen=True, slots=True)
class Start:
    """One start of one Cortex."""

    subject: str
    ready_s: float
    idle_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Lag:
    """One run at a rate."""

    subject: str
    late_ms: Sequence[float]  # in order of size: how late the event loop was, each 2 ms
    load: ArrivalResult
    stages: Mapping[str, int]  # of the last requests

    def late(self, share: float) -> float:
        return percentile(self.late_ms, share)


@dataclass(frozen=True, slots=True)
class Timed:
    """One way to send the prompts: each time a new text, or the same again."""

    title: str
    prompts: Sequence[Prompt]
    result: PromptResult

    def places(self, kind: str | None = None) -> list[int]:
        return [place for place, prompt in enumerate(self.prompts) if kind in (None, prompt.kind)]

    def times(self, subject: str, kind: str | None = None) -> list[float]:
        """Of every request, in ms, in order of size."""
        rounds = self.result.plain_ms if subject == PLAIN else self.result.classified_ms
        return sorted(each[place] for each in rounds for place in self.places(kind))

    def added(self, subject: str, kind: str | None = None) -> list[float]:
        """Of every request, in order of size: its time less what the same prompt usually takes without classifying.

        Of the plain cascade itself it tells how much of the rest is chance.
        """
        rounds = self.result.plain_ms if subject == PLAIN else self.result.classified_ms
        usual = [median(each[place] for each in self.result.plain_ms) for place in range(len(self.prompts))]
        return sorted(each[place] - usual[place] for each in rounds for place in self.places(kind))

    def decided(self, kind: str | None = None) -> list[float]:
        """How long the node itself says that it took."""
        return sorted(each[place]["took_ms"] for each in self.result.decisions for place in self.places(kind))

    def stages(self, kind: str | None = None) -> Counter[str]:
        return stages_of(each[place] for each in self.result.decisions for place in self.places(kind))

    def kinds(self) -> list[str]:
        return sorted({prompt.kind for prompt in self.prompts})


def stages_of(decisions: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What decided: the stage, and of those that went to the default the reason; those late for their vector apart."""
    found: Counter[str] = Counter()
    for decision in decisions:
        if decision["took_ms"] >= DEADLINE_MS:
            found["no vector in time"] += 1
        elif decision["stage"] != "abstained":
            found[decision["stage"]] += 1
        elif decision["reason"].startswith("language"):
            found["default: language"] += 1
        else:
            found["default: not sure"] += 1
    return found


def start_table(starts: Sequence[Start], rss_bytes_after: Mapping[str, int]) -> Table:
    def of(subject: str, value: Callable[[Start], float]) -> list[float]:
        return [value(start) for start in starts if start.subject == subject]

    def row(name: str, value: Callable[[Start], float]) -> tuple[str, list[str]]:
        plain, classified = of(PLAIN, value), of(CLASSIFIED, value)
        added = [there - here for here, there in zip(plain, classified, strict=True)]
        return name, [spread.text(2) for each in (plain, classified, added) if (spread := Spread.of(each)) is not None]

    after = [rss_bytes_after[subject] / MIB for subject in (PLAIN, CLASSIFIED)]
    return Table(
        "Start and memory; goals: ready within 1.5 s, at most 110 MiB more",
        [PLAIN, CLASSIFIED, "added"],
        [
            row("ready s", lambda start: start.ready_s),
            row("RSS MiB, idle", lambda start: start.idle_rss_bytes / MIB),
            ("RSS MiB, after the prompts", [f"{each:.2f}" for each in (*after, after[1] - after[0])]),
        ],
    )


def _rows(timed: Timed) -> list[tuple[str, str | None]]:
    return [("all", None), *((kind.replace("_", ", "), kind) for kind in timed.kinds())]


def time_table(timed: Timed) -> Table:
    columns = ["prompts", "plain p50", "added p50 · p90 · p99", "chance p99", "decision p50 · p90 · p99"]

    def cells(kind: str | None) -> list[str]:
        added, decided = timed.added(CLASSIFIED, kind), timed.decided(kind)
        return [
            str(len(timed.places(kind))),
            f"{percentile(timed.times(PLAIN, kind), 0.5):.3f}",
            " · ".join(f"{percentile(added, share):.3f}" for share in _SHARES),
            f"{percentile(timed.added(PLAIN, kind), 0.99):.3f}",
            " · ".join(f"{percentile(decided, share):.3f}" for share in _SHARES),
        ]

    title = f"One request at a time, {timed.title}: ms; goals: {GOALS[timed.title]}"
    return Table(title, columns, [(label, cells(kind)) for label, kind in _rows(timed)])


def stage_table(timed: Timed) -> Table:
    stages = [stage for stage, _ in timed.stages().most_common()]

    def cells(kind: str | None) -> list[str]:
        found = timed.stages(kind)
        return [f"{found[stage] / found.total() * 100:.1f} %" for stage in stages]

    return Table(f"What decided, {timed.title}", stages, [(label, cells(kind)) for label, kind in _rows(timed)])


def _cpu_ms(timed: Timed) -> tuple[float, float]:
    requests = sum(len(each) for each in timed.result.plain_ms)
    return timed.result.plain_cpu_s * 1000 / requests, timed.result.classified_cpu_s * 1000 / requests


def cpu_table(timed: Sequence[Timed]) -> Table:
    both = [(each, *_cpu_ms(each)) for each in timed]
    rows = [(each.title, [f"{ms:.3f}" for ms in (plain, there, there - plain)]) for each, plain, there in both]
    return Table("CPU ms a request", [PLAIN, CLASSIFIED, "added"], rows)


def lag_tables(lags: Sequence[Lag], rate: float, seconds: float) -> list[Table]:
    columns = [
        "loop late p50 · p99 · most",
        "answer p50 · p99 · longest",
        "client late p99",
        "core busy %",
        "core taken %",
    ]

    def cells(lag: Lag) -> list[str]:
        load = lag.load
        return [
            f"{lag.late(0.5):.2f} · {lag.late(0.99):.2f} · {lag.late(1.0):.2f}",
            f"{load.p50_ms:.2f} · {load.p99_ms:.2f} · {load.longest_ms:.2f}",
            f"{load.late_p99_ms:.2f}",
            f"{load.server_cpu_s / load.seconds * 100:.0f}",
            f"{load.server_waited_s / load.seconds * 100:.0f}",
        ]

    title = f"{rate:g} requests a second for {seconds:g} s: ms; goal: loop late p99 ≤ 2 ms"
    classified = Counter(next(lag for lag in lags if lag.subject == CLASSIFIED).stages)
    shares = [f"{count / classified.total() * 100:.1f} %" for _, count in classified.most_common()]
    return [
        Table(title, columns, [(lag.subject, cells(lag)) for lag in lags]),
        Table("What decided, at that rate", [stage for stage, _ in classified.most_common()], [("the last", shares)]),
    ]


def document(timed: Timed) -> dict[str, Any]:
    plain_cpu_ms, classified_cpu_ms = _cpu_ms(timed)
    return {
        "cpu_ms": {PLAIN: plain_cpu_ms, CLASSIFIED: classified_cpu_ms},
        "kinds": {
            label: {
                "prompts": len(timed.places(kind)),
                "plain_ms": _percentiles(timed.times(PLAIN, kind)),
                "added_ms": _percentiles(timed.added(CLASSIFIED, kind)),
                "chance_ms": _percentiles(timed.added(PLAIN, kind)),
                "decision_ms": _percentiles(timed.decided(kind)),
                "decided": dict(timed.stages(kind)),
            }
            for label, kind in _rows(timed)
        },
    }


def lag_document(lag: Lag) -> dict[str, Any]:
    return {
        "late_ms": {**_percentiles(lag.late_ms), "most": lag.late(1.0), "noted": len(lag.late_ms)},
        "decided": dict(lag.stages),
        "load": asdict(lag.load),
    }


def _percentiles(ordered: Sequence[float]) -> dict[str, float]:
    return {f"p{share * 100:.0f}": round(percentile(ordered, share), 4) for share in _SHARES}


def plot(timed: Sequence[Timed]) -> str:
    def curve(ordered: Sequence[float]) -> list[tuple[float, float]]:
        return [(share, percentile(ordered, share / 100)) for share in (*range(0, 100, 5), 99, 99.9)]

    names = {NEW: "new text", AGAIN: "text known"}
    series = {names[each.title]: curve(each.times(CLASSIFIED)) for each in timed}
    series[PLAIN] = curve(timed[0].times(PLAIN))
    return lines("Time of a classified request: so many took no longer", "% of requests", "ms", series)
