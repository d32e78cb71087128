"""All benchmarks but the soak, one after the other, and the results page.

Writes the page into `benchmarks/results/` unless told otherwise, errors or not, and ends with 1 if there were any.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import cache, failover, open_loop, overhead, results, streaming
from benchmarks.command import run, say
from benchmarks.exchange import SCENARIOS
from benchmarks.outcome import Outcome
from benchmarks.processes import ROOT, ServerFailed
from benchmarks.stage import LoadFailed, Stage
from benchmarks.subjects import SUBJECTS

_RESULTS = ROOT / "benchmarks" / "results"


def _measures(*, quick: bool) -> list[Callable[[Stage], Outcome]]:
    scenarios = [scenario for scenario in SCENARIOS.values() if scenario.default and (scenario.quick or not quick)]
    subjects = [subject for subject in SUBJECTS.values() if subject.installed()]
    paced = streaming.Settings(
        streams=(1, 100, 1000) if quick else (1, 100, 500, 1000),
        events=50,
        interval_ms=20.0,
        rounds=1 if quick else 3,
        idle=1000,
    )
    failures = failover.Settings(rounds=1 if quick else 3, requests=50, first_token_ms=200, out_s=2)
    arrivals = open_loop.Settings(seconds=1.0 if quick else 3.0, step=1.3 if quick else 1.15)
    return [
        lambda stage: overhead.measure(stage, scenarios, subjects, rounds=5, seconds=1.0 if quick else 2.0).outcome(),
        lambda stage: streaming.measure(stage, paced),
        lambda stage: failover.measure(stage, failures),
        lambda stage: open_loop.measure(stage, arrivals),
        lambda stage: cache.measure(stage, cache.QUICK if quick else cache.FULL),
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(
        prog="benchmarks.all",
        description="Run overhead, streaming, failover, open_loop and cache, and write the results page.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--quick", action="store_true", help="shorter, and of some fewer rounds: a few minutes")
    made.add_argument("--output", type=Path, default=_RESULTS, metavar="DIRECTORY", help="where to write the page")
    return made.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    directory = Path(tempfile.mkdtemp(prefix="cortex-bench-"))
    stage = Stage.on_this_machine(directory)
    outcomes: list[Outcome] = []
    for measure in _measures(quick=options.quick):
        try:
            outcome = measure(stage)
        except (ServerFailed, LoadFailed) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(f"{outcome.title}\n{outcome.text()}\n")
        outcomes.append(outcome)
    say(f"written: {results.write(options.output, outcomes)}")
    if any(outcome.errors for outcome in outcomes):
        say(f"logs are in {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    run(main)
