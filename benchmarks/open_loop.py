"""How much a gateway takes before its answers come late: requests at a rate, whether the last were answered or not.

Steps the rate up, for the bare proxy and for Cortex, until the answers take too long. The frontier is the highest rate
of a step that kept its limit at the 99th percentile. Prints tables, and with `--json FILE` writes everything.
Promises that a time runs from when the request was due, and that every answer was checked; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.arrivals import ArrivalResult
from benchmarks.command import parser, perform, run, say
from benchmarks.exchange import SCENARIOS
from benchmarks.figures import BARE, CORTEX, Table, ratio
from benchmarks.machine import machine
from benchmarks.outcome import Outcome
from benchmarks.overhead import served
from benchmarks.processes import Server
from benchmarks.report import NOT_QUIET, quiet
from benchmarks.stage import Stage
from benchmarks.svg import lines

LIMITS_MS = (5.0, 10.0, 50.0)  # of the 99th percentile
_STARTS: dict[str, Callable[[Stage, int], Server]] = {BARE: Stage.bare_proxy, CORTEX: Stage.cortex}
_FIRST_SHARE = 0.2  # of what a closed loop got through: where the steps begin


@dataclass(frozen=True, slots=True)
class Settings:
    seconds: float  # of each step
    step: float  # factor from one rate to the next
    steps: int = 30  # at most


@dataclass(frozen=True, slots=True)
class Climb:
    """All steps of one gateway, from the lowest rate up."""

    subject: str
    closed_loop_rate: float
    steps: Sequence[ArrivalResult]

    def frontier(self, limit_ms: float) -> float:
        """The highest rate, a second, of a step that kept the limit; 0 if none did."""
        return max((step.rate for step in self.steps if step.p99_ms <= limit_ms), default=0.0)


def measure(on: Stage, settings: Settings) -> Outcome:
    """Raises ServerFailed or LoadFailed."""
    climbs: list[Climb] = []
    errors: list[str] = []
    with on.upstream() as upstream:
        for subject, start in _STARTS.items():
            with start(on, upstream.port) as server:
                climb, faults = _climb(on, upstream, server, subject, settings)
                climbs.append(climb)
                errors += faults
    return _outcome(on, settings, climbs, errors)


def _climb(on: Stage, upstream: Server, server: Server, subject: str, settings: Settings) -> tuple[Climb, list[str]]:
    """Up to the second step in a row over the last limit, for one may be a hiccup, or to the first with a fault."""
    say(f"{subject}: closed loop")
    closed = on.load(server, SCENARIOS["json"], settings.seconds)
    faults = [f"{subject}, closed loop: {count} × {kind}" for kind, count in closed.errors.items()]
    rate = closed_loop_rate = max(1.0, closed.requests / closed.seconds)
    rate *= _FIRST_SHARE
    steps: list[ArrivalResult] = []
    while not faults and len(steps) < settings.steps:
        say(f"{subject}: {rate:,.0f} req/s")
        before = served(upstream)
        options = [f"{rate:.3f}", "--seconds", str(settings.seconds)]
        step = ArrivalResult(**on.client("benchmarks.arrivals", server, options, settings.seconds))
        steps.append(step)
        faults = _faults(step, served(upstream) - before, f"{subject}, {rate:,.0f} req/s")
        if len(steps) > 1 and min(step.p99_ms for step in steps[-2:]) > LIMITS_MS[-1]:
            break
        rate *= settings.step
    return Climb(subject, closed_loop_rate, steps), faults


def _faults(step: ArrivalResult, gave: int, where: str) -> list[str]:
    faults = [f"{where}: {count} × {kind}" for kind, count in step.errors.items()]
    if step.first_error:
        faults.append(f"{where}: the first was {step.first_error}")
    if not faults and not step.sent == step.answered == gave:
        faults.append(f"{where}: {step.sent} requests, {step.answered} answers, but the upstream gave {gave}")
    return faults


def _outcome(on: Stage, settings: Settings, climbs: Sequence[Climb], errors: Sequence[str]) -> Outcome:
    frontiers = {climb.subject: {limit: climb.frontier(limit) for limit in LIMITS_MS} for climb in climbs}
    data: dict[str, Any] = {
        "frontier": {
            subject: {f"{limit:g}": rate for limit, rate in each.items()} for subject, each in frontiers.items()
        },
        "climbs": [asdict(climb) for climb in climbs],
    }
    waited = [step.server_waited_s / step.seconds * 100 for climb in climbs for step in climb.steps]
    series = {
        climb.subject: [(step.rate, step.p99_ms) for step in climb.steps]
        for climb in sorted(climbs, key=lambda climb: climb.subject != CORTEX)  # first, as in all plots
    }
    return Outcome(
        name="open_loop",
        title="How much Cortex takes before answers come late",
        machine=machine(),
        settings={**asdict(settings), **on.settings()},
        tables=[_frontier_table(frontiers), *map(_steps_table, climbs)],
        data=data,
        errors=errors,
        notes=[] if quiet(waited) else [NOT_QUIET],
        plots={
            "open-loop.svg": lines(
                "99th percentile of the time to an answer, at a rate", "req/s", "ms", series, limits=LIMITS_MS
            )
        },
    )


def _frontier_table(frontiers: dict[str, dict[float, float]]) -> Table:
    def cells(limit: float) -> list[str]:
        bare, cortex = frontiers[BARE][limit], frontiers[CORTEX][limit]
        return [f"{bare:,.0f}", f"{cortex:,.0f}", f"{cortex / bare:.2f}" if bare else "-"]

    rows = [(f"req/s at p99 ≤ {limit:g} ms", cells(limit)) for limit in LIMITS_MS]
    return Table("The frontier", [BARE, CORTEX, ratio(BARE)], rows)


def _steps_table(climb: Climb) -> Table:
    rows = [
        (
            f"{step.rate:,.0f} req/s",
            [
                f"{step.p50_ms:,.2f}",
                f"{step.p99_ms:,.2f}",
                f"{step.longest_ms:,.2f}",
                f"{step.late_p99_ms:,.2f}",
                f"{step.server_cpu_s / step.seconds * 100:.0f}",
                str(step.connections),
            ],
        )
        for step in climb.steps
    ]
    columns = ["p50 ms", "p99 ms", "longest ms", "client late p99 ms", "core busy %", "connections"]
    title = f"{climb.subject}, step by step; a closed loop got through {climb.closed_loop_rate:,.0f} req/s"
    return Table(title, columns, rows)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("open_loop", "Measure times to an answer at rising rates, without coordinated omission.")
    made.add_argument("--seconds", type=float, default=3.0, help="of each step")
    made.add_argument("--step", type=float, default=1.15, help="factor from one rate to the next")
    made.add_argument("--steps", type=int, default=30, help="at most so many rates")
    options = made.parse_args(arguments)
    if options.seconds <= 0 or options.step <= 1 or options.steps < 1:
        made.error("--seconds and --steps must be positive, and --step more than 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    settings = Settings(options.seconds, options.step, options.steps)
    return perform(lambda stage: measure(stage, settings), options.json)


if __name__ == "__main__":
    run(main)
