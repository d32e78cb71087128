"""What answers from memory cost: the same hundred questions again and again, beside new ones and the upstream alone.

Promises that each answer was checked, and that no question came to the upstream a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.command import say
from benchmarks.exchange import SCENARIOS, Scenario
from benchmarks.figures import UPSTREAM, Comparison, Metric, Run
from benchmarks.overhead import served
from benchmarks.processes import Server, rss_bytes
from benchmarks.report import ADDED, METRICS, Sample
from benchmarks.stage import Stage

HITS = "hits"
NEW = "new requests"
QUESTIONS = 100
MEASURED = ("latency", "json", "latency-stream", "stream")
_RATE = Metric("requests_s", "req/s", 0, lambda sample: sample.load.requests / sample.load.seconds)


def measure_hits(on: Stage, rounds: int, seconds: float) -> tuple[list[Sample], list[str]]:
    """Raises ServerFailed or LoadFailed."""
    samples: list[Sample] = []
    errors: list[str] = []
    with on.upstream() as upstream, on.cortex(upstream.port) as cortex:
        for scenario in (SCENARIOS[name] for name in MEASURED):
            for number in range(rounds):
                # To and fro, so that none always follows the same one.
                for subject in (UPSTREAM, NEW, HITS)[:: 1 if number % 2 == 0 else -1]:
                    say(f"{scenario.title}, round {number + 1} of {rounds}: {subject}")
                    server = upstream if subject == UPSTREAM else cortex
                    sample, faults = _run(on, upstream, server, scenario, subject, number, seconds)
                    samples.append(sample)
                    errors += faults
    return samples, errors


def _run(
    on: Stage, upstream: Server, server: Server, scenario: Scenario, subject: str, number: int, seconds: float
) -> tuple[Sample, list[str]]:
    before = served(upstream)
    load = on.load(server, scenario, seconds, QUESTIONS if subject == HITS else None)
    gave = served(upstream) - before
    where = f"{scenario.title}, {subject}, round {number + 1}"
    faults = [f"{where}: {count} × {kind}" for kind, count in load.errors.items()]
    due = min(QUESTIONS, load.answered) if subject == HITS else load.answered
    if load.first_error:
        faults.append(f"{where}: the first was {load.first_error}")
    elif gave != due:
        faults.append(f"{where}: {load.answered} answers, {due} upstream calls were due, but it gave {gave}")
    return Sample(scenario.name, subject, number, rss_bytes(server.pid), load), faults


def compared(samples: Sequence[Sample]) -> dict[str, Comparison]:
    """By the name of the scenario."""
    found = {}
    for name in dict.fromkeys(sample.scenario for sample in samples):
        scenario = SCENARIOS[name]
        runs = [Run(sample.subject, sample.round, sample) for sample in samples if sample.scenario == name]
        # With more connections a latency tells of the queue, not of the way through.
        added = ADDED if scenario.connections == 1 else ()
        found[name] = Comparison(f"Hits: {scenario.title}", runs, (_RATE, *METRICS), added=added)
    return found


def document(samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        "scenarios": {name: each.figures() for name, each in compared(samples).items()},
        "samples": [asdict(sample) for sample in samples],
    }
