"""What Cortex adds to a stream that comes token by token: time, processor, memory; for 1 to 1,000 streams at once.

Prints tables, and with `--json FILE` writes everything. Promises that each run has a gateway of its own, so that memory
tells of these streams, and that every event of every stream is accounted for; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.command import parser, perform, run, say
from benchmarks.figures import BARE, CORTEX, MIB, UPSTREAM, Comparison, Metric, Run, Table
from benchmarks.machine import machine
from benchmarks.outcome import Outcome
from benchmarks.overhead import served
from benchmarks.paced_load import PacedResult
from benchmarks.processes import Server, get
from benchmarks.report import NOT_QUIET, quiet
from benchmarks.stage import Stage
from benchmarks.svg import lines

_STARTS: dict[str, Callable[[Stage, Server], AbstractContextManager[Server]]] = {
    UPSTREAM: lambda stage, upstream: nullcontext(upstream),
    BARE: lambda stage, upstream: stage.bare_proxy(upstream.port),
    CORTEX: lambda stage, upstream: stage.cortex(upstream.port),
}
_NEVER_S = 3600.0  # between two events of an idle stream
_HANG_UP_WITHIN_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Settings:
    streams: Sequence[int]  # at once, one run each
    events: int  # of each stream
    interval_ms: float
    rounds: int
    idle: int  # streams held open; 0: not measured


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    streams: int
    idle: bool
    subject: str
    round: int
    result: PacedResult


def _waited_percent(result: PacedResult) -> float:
    return result.server_waited_s / result.seconds * 100


def _memory_kib(result: PacedResult, streams: int) -> float:
    return (result.rss_open_bytes - result.rss_before_bytes) / 1024 / streams


_FIRST = (
    Metric("first_p50_ms", "first token p50 ms", 2, lambda sample: sample.result.first_p50_ms),
    Metric("first_p99_ms", "first token p99 ms", 2, lambda sample: sample.result.first_p99_ms),
)
_METRICS = (
    *_FIRST,
    Metric("way_p50_ms", "event's way p50 ms", 3, lambda sample: sample.result.way_p50_ms),
    Metric("way_p99_ms", "event's way p99 ms", 3, lambda sample: sample.result.way_p99_ms),
    Metric("gap_p50_ms", "longer gap p50 ms", 3, lambda sample: sample.result.gap_p50_ms),
    Metric("gap_p99_ms", "longer gap p99 ms", 3, lambda sample: sample.result.gap_p99_ms),
    Metric(
        "bundled_percent",
        "bundled events %",
        1,
        lambda sample: sample.result.bundled * 100 / max(1, sample.result.events),
    ),
    Metric(
        "cpu_us_event",
        "CPU µs an event",
        1,
        lambda sample: sample.result.server_cpu_s * 1e6 / max(1, sample.result.events),
    ),
    Metric("busy_percent", "core busy %", 0, lambda sample: sample.result.server_cpu_s / sample.result.seconds * 100),
    Metric("waited_percent", "core taken %", 0, lambda sample: _waited_percent(sample.result)),
    Metric(
        "kib_stream",
        "memory a stream KiB",
        1,
        lambda sample: None if sample.subject == UPSTREAM else _memory_kib(sample.result, sample.streams),
    ),
)
_IDLE_METRICS = (
    Metric("mib_1000", "MiB a 1,000 streams", 1, lambda sample: _memory_kib(sample.result, sample.streams) / 1.024),
    Metric("rss_mib", "RSS MiB, all open", 1, lambda sample: sample.result.rss_open_bytes / MIB),
)


def measure(on: Stage, settings: Settings) -> Outcome:
    """Raises ServerFailed or LoadFailed."""
    samples: list[Sample] = []
    errors: list[str] = []
    with on.upstream("benchmarks.paced_upstream", str(settings.interval_ms / 1000)) as upstream:
        for streams in settings.streams:
            for number in range(settings.rounds):
                # To and fro, so that none always follows the same one.
                for subject in list(_STARTS)[:: 1 if number % 2 == 0 else -1]:
                    say(f"{streams} streams, round {number + 1} of {settings.rounds}: {subject}")
                    sample, faults = _paced(on, upstream, settings, streams, subject, number)
                    samples.append(sample)
                    errors += faults
    if settings.idle:
        with on.upstream("benchmarks.paced_upstream", str(_NEVER_S)) as upstream:
            for number in range(settings.rounds):
                for subject in (BARE, CORTEX):
                    say(f"{settings.idle} idle streams, round {number + 1} of {settings.rounds}: {subject}")
                    sample, faults = _idle(on, upstream, settings.idle, subject, number)
                    samples.append(sample)
                    errors += faults
    return _outcome(on, settings, samples, errors)


def _paced(
    on: Stage, upstream: Server, settings: Settings, streams: int, subject: str, number: int
) -> tuple[Sample, list[str]]:
    before = served(upstream)
    with _STARTS[subject](on, upstream) as server:
        options = [str(streams), str(settings.events), "--interval-ms", str(settings.interval_ms)]
        lasts_s = settings.events * settings.interval_ms / 1000
        result = PacedResult(**on.client("benchmarks.paced_load", server, options, lasts_s))
    where = f"{streams} streams, {subject}, round {number + 1}"
    faults = _faults(result, where)
    gave = served(upstream) - before
    if not faults and gave != result.streams:
        faults.append(f"{where}: {result.streams} streams, but the upstream gave {gave}")
    return Sample(streams, False, subject, number, result), faults


def _idle(on: Stage, upstream: Server, streams: int, subject: str, number: int) -> tuple[Sample, list[str]]:
    with _STARTS[subject](on, upstream) as server:
        result = PacedResult(**on.client("benchmarks.paced_load", server, [str(streams), "2", "--idle"], 0.0))
        left_open = _left_open(upstream) if subject == CORTEX else 0  # the bare proxy notices with the next event
    where = f"{streams} idle streams, {subject}, round {number + 1}"
    faults = _faults(result, where)
    if left_open:
        faults.append(f"{where}: {left_open} upstream calls went on after their clients had gone")
    return Sample(streams, True, subject, number, result), faults


def _left_open(upstream: Server) -> int:
    """Streams that the upstream still holds, after a while in which they should have been hung up."""
    give_up = time.monotonic() + _HANG_UP_WITHIN_S
    while (left := int(get(upstream.port, "/open")[1])) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    return left


def _faults(result: PacedResult, where: str) -> list[str]:
    faults = [f"{where}: {count} × {kind}" for kind, count in result.errors.items()]
    if result.first_error:
        faults.append(f"{where}: the first was {result.first_error}")
    return faults


def _outcome(on: Stage, settings: Settings, samples: Sequence[Sample], errors: Sequence[str]) -> Outcome:
    def comparison(title: str, streams: int, metrics: Sequence[Metric], *, idle: bool) -> Comparison:
        chosen = [sample for sample in samples if sample.streams == streams and sample.idle == idle]
        runs = [Run(sample.subject, sample.round, sample) for sample in chosen]
        return Comparison(title, runs, metrics, added=() if idle else _FIRST)

    compared = {
        streams: comparison(f"{streams:,} streams at once", streams, _METRICS, idle=False)
        for streams in settings.streams
    }
    tables: list[Table] = [each.table() for each in compared.values()]
    data: dict[str, Any] = {"streams": {str(streams): each.figures() for streams, each in compared.items()}}
    if settings.idle:
        held = comparison(f"{settings.idle:,} idle streams", settings.idle, _IDLE_METRICS, idle=True)
        tables.append(held.table())
        data["idle"] = held.figures()
    waited = [_waited_percent(each.result) for each in samples if each.subject != UPSTREAM and not each.idle]
    return Outcome(
        name="streaming",
        title="What Cortex adds to a paced stream",
        machine=machine(),
        settings={**asdict(settings), **on.settings()},
        tables=tables,
        data={**data, "samples": [asdict(sample) for sample in samples]},
        errors=errors,
        notes=[] if quiet(waited) else [NOT_QUIET],
        plots=_plots(compared),
    )


def _plots(compared: dict[int, Comparison]) -> dict[str, str]:
    def series(name: str) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {CORTEX: [], BARE: []}
        for streams, comparison in compared.items():
            for subject, value in comparison.medians(name).items():
                if subject in found:
                    found[subject].append((streams, value))
        return found

    return {
        "streaming-first-token.svg": lines(
            "Added time to the first token, median", "streams at once", "ms", series("added_first_p50_ms")
        ),
        "streaming-cpu.svg": lines("Processor time an event", "streams at once", "µs", series("cpu_us_event")),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("streaming", "Measure paced streams through Cortex, beside a bare proxy and the upstream alone.")
    made.add_argument("--streams", type=int, nargs="+", default=[1, 100, 500, 1000], help="at once; one run each")
    made.add_argument("--events", type=int, default=50, help="of each stream")
    made.add_argument("--interval-ms", type=float, default=20.0, help="between two events of a stream")
    made.add_argument("--rounds", type=int, default=3, help="of each run")
    made.add_argument("--idle", type=int, default=1000, help="streams to hold open for their memory; 0: none")
    options = made.parse_args(arguments)
    if min(*options.streams, options.rounds, options.interval_ms) <= 0 or options.events < 2 or options.idle < 0:
        made.error("streams, rounds and the interval must be positive, and a stream needs two events")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every stream was right, 1 if not or if a server failed."""
    options = _options(arguments)
    settings = Settings(options.streams, options.events, options.interval_ms, options.rounds, options.idle)
    return perform(lambda stage: measure(stage, settings), options.json)


if __name__ == "__main__":
    run(main)
