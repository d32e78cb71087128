"""The response cache: what hits, misses and stampedes cost, and what it takes of memory.

Prints tables, and with `--json FILE` writes everything. Promises that every answer was checked, that no hit came from
the upstream, that each miss did, and that a stampede made one upstream call; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.cache_hits import measure_hits
from benchmarks.cache_memory import FILLINGS, MemorySettings, measure_memory
from benchmarks.cache_misses import MissSettings, measure_misses
from benchmarks.cache_page import outcome
from benchmarks.cache_stampede import StampedeSettings, measure_stampede
from benchmarks.command import parser, perform, run
from benchmarks.outcome import Outcome
from benchmarks.stage import Stage

PARTS = ("hits", "misses", "stampede", "memory")


@dataclass(frozen=True, slots=True)
class Settings:
    rounds: int  # of hits
    seconds: float  # of each run of them
    misses: MissSettings
    stampede: StampedeSettings
    memory: MemorySettings
    parts: Sequence[str] = PARTS


FULL = Settings(
    rounds=5,
    seconds=2.0,
    misses=MissSettings(body_bytes=(1_000, 10_000, 100_000), connections=(1, 64), rounds=5, turns=15, block=200),
    stampede=StampedeSettings(clients=1000, events=50, interval_ms=20.0, rounds=5),
    memory=MemorySettings(requests=24_000, step=2_000),
)
QUICK = Settings(
    rounds=3,
    seconds=1.0,
    misses=MissSettings(body_bytes=(1_000,), connections=(1, 64), rounds=3, turns=10, block=200),
    stampede=StampedeSettings(clients=1000, events=50, interval_ms=20.0, rounds=1),
    memory=MemorySettings(requests=12_000, step=3_000, fillings=FILLINGS[-1:]),
)
# So little that it says nothing of speed: whether everything works.
TINY = Settings(
    rounds=1,
    seconds=0.1,
    misses=MissSettings(body_bytes=(1_000,), connections=(4,), rounds=1, turns=2, block=20, fill=20),
    stampede=StampedeSettings(clients=40, events=5, interval_ms=50.0, rounds=1),
    memory=MemorySettings(requests=100, step=50, fillings=FILLINGS[-1:]),
)


def measure(on: Stage, settings: Settings) -> Outcome:
    """Raises ServerFailed or LoadFailed."""
    parts = settings.parts
    hits, hit_errors = measure_hits(on, settings.rounds, settings.seconds) if "hits" in parts else ([], [])
    misses, miss_errors = measure_misses(on, settings.misses) if "misses" in parts else ([], [])
    stampede, stampede_errors = measure_stampede(on, settings.stampede) if "stampede" in parts else ([], [])
    memory, memory_errors = measure_memory(on, settings.memory) if "memory" in parts else ([], [])
    told = {
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "miss_rounds": settings.misses.rounds,
        "miss_turns": settings.misses.turns,
        "miss_block": settings.misses.block,
        "stampede_rounds": settings.stampede.rounds,
        "stampede_events": settings.stampede.events,
        "stampede_interval_ms": settings.stampede.interval_ms,
        "memory_requests": settings.memory.requests,
        **on.settings(),
    }
    errors = [*hit_errors, *miss_errors, *stampede_errors, *memory_errors]
    return outcome(told, hits, misses, stampede, memory, errors)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("cache", "Measure hits, misses, stampedes and the memory of the response cache.")
    size = made.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="of fewer and shorter rounds: three minutes, not twelve")
    size.add_argument("--tiny", action="store_true", help="whether everything works; says nothing of speed")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    made.add_argument("--page", type=Path, metavar="FILE.md", help="write a page; data and plots beside it")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    settings = replace(TINY if options.tiny else QUICK if options.quick else FULL, parts=options.parts)
    return perform(lambda stage: measure(stage, settings), options.json, page=options.page)


if __name__ == "__main__":
    run(main)
