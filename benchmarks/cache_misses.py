"""What the cache costs a request that it cannot answer: Cortex with and without it, in turn, no request like another.

A third Cortex, without it as well, tells how much chance there is in the difference. Each round starts all three anew:
two processes of the same program differ for as long as they live. What is remembered is full before anything counts,
so that every request puts one entry in and another out.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cache_turns import TurnResult
from benchmarks.command import say
from benchmarks.figures import Spread, Table
from benchmarks.overhead import served
from benchmarks.processes import Server
from benchmarks.stage import Stage

CACHE_OFF = "cache: {exact: {enabled: false}}\n"
_WITH, _WITHOUT, _AGAIN = "cache on", "cache off", "cache off again"
_CONFIGS = {_WITH: "", _WITHOUT: CACHE_OFF, _AGAIN: CACHE_OFF}
_FULL = 10_500  # requests until as many entries as are allowed are there, and some more
_SLOWEST_S = 0.01  # a request, about: for how long a client may take


@dataclass(frozen=True, slots=True)
class MissSettings:
    body_bytes: Sequence[int]
    connections: Sequence[int]
    rounds: int
    turns: int  # of each round
    block: int  # requests of a block
    fill: int = _FULL


@dataclass(frozen=True, slots=True)
class MissSample:
    """One round of one kind of request."""

    body_bytes: int
    connections: int
    round: int
    result: TurnResult  # cache on, cache off, cache off again

    def median(self, name: str, subject: int) -> float:
        return statistics.median(getattr(self.result, name)[subject])

    def more(self, name: str, subject: int) -> float:
        """Than with the cache off: the median of what it was turn by turn."""
        values = getattr(self.result, name)
        return statistics.median(one - other for one, other in zip(values[subject], values[1], strict=True))


def measure_misses(on: Stage, settings: MissSettings) -> tuple[list[MissSample], list[str]]:
    """Raises ServerFailed or LoadFailed."""
    samples: list[MissSample] = []
    errors: list[str] = []
    with on.upstream() as upstream:
        for number in range(settings.rounds):
            with ExitStack() as stack:
                servers = [
                    stack.enter_context(on.apart(name).cortex(upstream.port, more)) for name, more in _CONFIGS.items()
                ]
                fill = settings.fill
                for connections in settings.connections:
                    for body_bytes in settings.body_bytes:
                        say(f"misses of {body_bytes:,} bytes, {connections} at once, round {number + 1}")
                        sample, faults = _run(on, upstream, servers, settings, body_bytes, connections, number, fill)
                        samples.append(sample)
                        errors += faults
                        fill = settings.block
    return samples, errors


def _run(
    on: Stage,
    upstream: Server,
    servers: Sequence[Server],
    settings: MissSettings,
    body_bytes: int,
    connections: int,
    number: int,
    fill: int,
) -> tuple[MissSample, list[str]]:
    targets = [f"{server.port}:{server.pid}" for server in servers]
    options = ["--block", str(settings.block), "--turns", str(settings.turns), "--warm-up", str(fill)]
    where = f"misses of {body_bytes} bytes, {connections} at once, round {number + 1}"
    lasts_s = len(servers) * (settings.block * settings.turns + fill) * _SLOWEST_S
    before = served(upstream)
    asked = [str(body_bytes), str(connections), *targets, *options]
    result = TurnResult(**on.run("benchmarks.cache_turns", asked, lasts_s, where))
    gave = served(upstream) - before
    faults = [f"{where}: {count} × {kind}" for kind, count in result.errors.items()]
    if result.first_error:
        faults.append(f"{where}: the first was {result.first_error}")
    elif gave != result.answered:
        faults.append(f"{where}: {result.answered} answers, but the upstream gave {gave}")
    return MissSample(body_bytes, connections, number, result), faults


# What it amounts to
_US = {"cpu_us": 1.0, "p50_ms": 1000.0}  # how many µs one of it is


def miss_figures(samples: Sequence[MissSample]) -> dict[str, dict[str, Any]]:
    """Kind of request → name → median, low, high of all rounds, in µs."""
    found: dict[str, dict[str, Any]] = {}
    for key in dict.fromkeys((sample.connections, sample.body_bytes) for sample in samples):
        chosen = [sample for sample in samples if (sample.connections, sample.body_bytes) == key]
        figures: dict[str, Spread | None] = {}
        for name, factor in _US.items():
            if name == "p50_ms" and key[0] > 1:
                continue  # it tells of the queue, not of the way through
            stem = name.partition("_")[0]
            figures[f"{stem}_on_us"] = Spread.of(each.median(name, 0) * factor for each in chosen)
            figures[f"{stem}_off_us"] = Spread.of(each.median(name, 1) * factor for each in chosen)
            figures[f"{stem}_more_us"] = Spread.of(each.more(name, 0) * factor for each in chosen)
            figures[f"{stem}_chance_us"] = Spread.of(each.more(name, 2) * factor for each in chosen)
        found[f"{key[1] / 1000:g} KB, {key[0]} at once"] = {
            name: asdict(spread) for name, spread in figures.items() if spread is not None
        }
    return found


def miss_tables(samples: Sequence[MissSample]) -> list[Table]:
    """One for processor time, one for the time to an answer."""
    figures = miss_figures(samples)
    columns = [_WITHOUT, _WITH, "more", "chance"]
    tables = []
    for stem, title in (("cpu", "Misses: CPU µs a request"), ("p50", "Misses: p50 µs")):
        rows = [
            (kind, [Spread(**each[f"{stem}_{name}_us"]).text(1) for name in ("off", "on", "more", "chance")])
            for kind, each in figures.items()
            if f"{stem}_more_us" in each
        ]
        tables += [Table(title, columns, rows)] if rows else []
    return tables


def miss_document(samples: Sequence[MissSample]) -> dict[str, Any]:
    return {"figures": miss_figures(samples), "samples": [asdict(sample) for sample in samples]}
