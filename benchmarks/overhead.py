"""What Cortex adds: the same traffic to an upstream alone, through a bare aiohttp proxy and through Cortex, in turn.

nginx and LiteLLM have their turn, too, where they are installed. Prints tables, and with `--json FILE` writes
everything. Promises that all are measured in interleaved rounds on the same cores, that every answer was checked, and
that each came from the upstream; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterable, Sequence

from benchmarks.command import parser, perform, run, say
from benchmarks.exchange import SCENARIOS, Scenario
from benchmarks.figures import CORTEX, UPSTREAM
from benchmarks.machine import machine
from benchmarks.processes import Server, get, rss_bytes
from benchmarks.report import Report, Sample, Start
from benchmarks.stage import Stage
from benchmarks.subjects import SUBJECTS, Subject

_SETTLE_S = 0.5  # after the start, before idle memory is read


def measure(
    on: Stage, scenarios: Sequence[Scenario], subjects: Sequence[Subject], rounds: int, seconds: float
) -> Report:
    """Everything, from starts to streams. Raises ServerFailed or LoadFailed."""
    samples: list[Sample] = []
    errors: list[str] = []
    with on.upstream() as upstream:
        measured = [subject.key for subject in subjects]
        starts = [_start(on, upstream.port) for _ in range(rounds)] if "cortex" in measured else []
        with contextlib.ExitStack() as stack:
            servers = {UPSTREAM: upstream}
            lasts_s = {UPSTREAM: seconds}
            for subject in subjects:
                say(f"starting {subject.title}")
                servers[subject.title] = stack.enter_context(subject.start(on, upstream.port))
                lasts_s[subject.title] = max(seconds, subject.least_seconds)
            for scenario in scenarios:
                for number in range(rounds):
                    # To and fro, so that none always follows the same one.
                    for title in _measured(scenario, servers)[:: 1 if number % 2 == 0 else -1]:
                        say(f"{scenario.name}, round {number + 1} of {rounds}: {title}")
                        sample, faults = run_once(on, upstream, servers[title], scenario, title, number, lasts_s[title])
                        samples.append(sample)
                        errors += faults
    return Report(
        machine=machine(),
        settings={"rounds": rounds, "seconds": seconds, **on.settings()},
        starts=starts,
        samples=samples,
        errors=errors,
    )


def _measured(scenario: Scenario, servers: Iterable[str]) -> list[str]:
    """Of a translated stream Cortex alone: the others cannot translate, and the upstream speaks OpenAI's, too."""
    return [title for title in servers if scenario.translated is None or title == CORTEX]


def _start(on: Stage, upstream_port: int) -> Start:
    say("starting cortex")
    with on.cortex(upstream_port) as server:
        time.sleep(_SETTLE_S)
        return Start(server.ready_s, rss_bytes(server.pid))


def run_once(
    on: Stage, upstream: Server, server: Server, scenario: Scenario, subject: str, number: int, seconds: float
) -> tuple[Sample, list[str]]:
    """One run, and what was wrong with it. Raises LoadFailed."""
    before = served(upstream)
    load = on.load(server, scenario, seconds)
    gave = served(upstream) - before
    where = f"{scenario.name}, {subject}, round {number + 1}"
    faults = [f"{where}: {count} × {kind}" for kind, count in load.errors.items()]
    if load.first_error:
        faults.append(f"{where}: the first was {load.first_error}")
    elif gave != load.answered:
        faults.append(f"{where}: {load.answered} answers, but the upstream gave {gave}")
    return Sample(scenario.name, subject, number, rss_bytes(server.pid), load), faults


def served(upstream: Server) -> int:
    """How many completions the upstream has given so far."""
    return int(get(upstream.port, "/served")[1])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("overhead", "Measure Cortex beside a bare aiohttp proxy, other gateways and the upstream alone.")
    made.add_argument("--seconds", type=float, default=2.0, help="of each run")
    made.add_argument("--rounds", type=int, default=5, help="of each scenario")
    made.add_argument(
        "--scenario",
        nargs="+",
        choices=SCENARIOS,
        default=[scenario.name for scenario in SCENARIOS.values() if scenario.default],
        help="what to measure",
    )
    made.add_argument(
        "--subjects",
        nargs="+",
        choices=SUBJECTS,
        default=[subject.key for subject in SUBJECTS.values() if subject.installed()],
        help="what to measure beside the upstream alone; all that are installed",
    )
    options = made.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        made.error("--rounds and --seconds must be positive")
    for name in options.subjects:
        if not SUBJECTS[name].installed():
            made.error(f"{name} is not installed")
    for name in options.scenario:
        if SCENARIOS[name].translated is not None and "cortex" not in options.subjects:
            made.error(f"{name} is measured of cortex alone")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    scenarios = [SCENARIOS[name] for name in options.scenario]
    subjects = [subject for name, subject in SUBJECTS.items() if name in options.subjects]
    return perform(
        lambda stage: measure(stage, scenarios, subjects, options.rounds, options.seconds).outcome(), options.json
    )


if __name__ == "__main__":
    run(main)
