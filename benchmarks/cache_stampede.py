"""A stampede: many ask the same at once, of an upstream that takes its time.

Promises that with the cache on the upstream was called once, and that all got the same whole answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cache_crowd import CrowdResult
from benchmarks.cache_misses import CACHE_OFF
from benchmarks.command import say
from benchmarks.figures import MIB, UPSTREAM, Comparison, Metric, Run
from benchmarks.overhead import served
from benchmarks.processes import Server, get
from benchmarks.stage import Stage

ON = "cache on"
OFF = "cache off"
_SUBJECTS = (UPSTREAM, OFF, ON)
_KINDS = {False: "JSON", True: "streams"}


@dataclass(frozen=True, slots=True)
class StampedeSettings:
    clients: int
    events: int  # of the answer
    interval_ms: float  # between two
    rounds: int


@dataclass(frozen=True, slots=True)
class StampedeSample:
    kind: str
    subject: str
    round: int
    upstream_calls: int
    last_ms: float  # from the upstream's last byte to the last client's
    result: CrowdResult


_METRICS = (
    Metric("upstream_calls", "upstream calls", 0, lambda sample: sample.upstream_calls),
    Metric("bodies", "different answers", 0, lambda sample: sample.result.bodies),
    Metric("last_ms", "upstream's last byte to the last client's, ms", 1, lambda sample: sample.last_ms),
    Metric("first_p50_ms", "first byte p50 ms", 1, lambda sample: sample.result.first_p50_ms),
    Metric("seconds", "all answered after s", 2, lambda sample: sample.result.seconds),
    Metric("cpu_ms", "CPU ms, all of it", 0, lambda sample: sample.result.server_cpu_s * 1000),
    Metric(
        "rss_mib",
        "memory more MiB",
        1,
        lambda sample: (
            None
            if sample.subject == UPSTREAM
            else (sample.result.rss_after_bytes - sample.result.rss_before_bytes) / MIB
        ),
    ),
)


def measure_stampede(on: Stage, settings: StampedeSettings) -> tuple[list[StampedeSample], list[str]]:
    """Raises ServerFailed or LoadFailed."""
    samples: list[StampedeSample] = []
    errors: list[str] = []
    with on.upstream("benchmarks.paced_upstream", str(settings.interval_ms / 1000)) as upstream:
        for stream, kind in _KINDS.items():
            for number in range(settings.rounds):
                # To and fro, so that none always follows the same one.
                for subject in _SUBJECTS[:: 1 if number % 2 == 0 else -1]:
                    say(f"{settings.clients} {kind} at once, round {number + 1} of {settings.rounds}: {subject}")
                    sample, faults = _run(on, upstream, settings, subject, number, stream=stream)
                    samples.append(sample)
                    errors += faults
    return samples, errors


def _run(
    on: Stage, upstream: Server, settings: StampedeSettings, subject: str, number: int, *, stream: bool
) -> tuple[StampedeSample, list[str]]:
    """A Cortex of its own, so that memory tells of this crowd."""
    more = CACHE_OFF if subject == OFF else ""
    with nullcontext(upstream) if subject == UPSTREAM else on.cortex(upstream.port, more) as server:
        before = served(upstream)
        options = [str(settings.clients), str(settings.events), *(["--stream"] if stream else [])]
        lasts_s = settings.events * settings.interval_ms / 1000
        result = CrowdResult(**on.client("benchmarks.cache_crowd", server, options, lasts_s))
        calls = served(upstream) - before
        ended_ns = int(get(upstream.port, "/ended")[1])
    kind = _KINDS[stream]
    where = f"{settings.clients} {kind} at once, {subject}, round {number + 1}"
    faults = [f"{where}: {count} × {fault}" for fault, count in result.errors.items()]
    if result.first_error:
        faults.append(f"{where}: the first was {result.first_error}")
    due = 1 if subject == ON else settings.clients
    if calls != due:
        faults.append(f"{where}: {calls} upstream calls instead of {due}")
    if subject == ON and result.bodies != 1:
        faults.append(f"{where}: {result.bodies} different answers")
    return StampedeSample(kind, subject, number, calls, (result.last_ns - ended_ns) / 1e6, result), faults


def stampede_comparisons(samples: Sequence[StampedeSample]) -> dict[str, Comparison]:
    found = {}
    for kind in dict.fromkeys(sample.kind for sample in samples):
        chosen = [sample for sample in samples if sample.kind == kind]
        clients = chosen[0].result.answered
        runs = [Run(sample.subject, sample.round, sample) for sample in chosen]
        found[kind] = Comparison(f"Stampede: {clients:,} ask the same at once, {kind}", runs, _METRICS)
    return found


def stampede_document(samples: Sequence[StampedeSample]) -> dict[str, Any]:
    figures = {kind: each.figures() for kind, each in stampede_comparisons(samples).items()}
    return {"figures": figures, "samples": [asdict(sample) for sample in samples]}
