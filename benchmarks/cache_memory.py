"""What the cache takes of memory, against what it says and what it may: filled until answers have to go, and on.

Beside a Cortex without it that gets the same traffic: what that one grows by is no cache's. Promises that each answer
was the one to that very request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cache_fill import FillResult
from benchmarks.cache_misses import CACHE_OFF
from benchmarks.command import say
from benchmarks.exchange import CLIENT_KEY
from benchmarks.figures import MIB, Table
from benchmarks.processes import Server, get, rss_bytes
from benchmarks.stage import Stage
from benchmarks.svg import lines

_SLOWEST_S = 0.05  # a request, about: for how long the client may take


@dataclass(frozen=True, slots=True)
class Filling:
    """One way to fill it."""

    title: str
    streams_share: float  # of the requests
    config: str  # of the cache


FILLINGS = (
    Filling("one in three a stream", 1 / 3, ""),
    Filling("JSON", 0.0, ""),
    Filling("JSON, at most 24 MiB", 0.0, "cache: {exact: {max_bytes: 24MiB}}\n"),
)


@dataclass(frozen=True, slots=True)
class MemorySettings:
    requests: int  # in all
    step: int  # requests between two looks
    fillings: Sequence[Filling] = FILLINGS


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Growth since the start, in bytes."""

    requests: int
    grown_bytes: int  # with the cache
    without_bytes: int  # by the same traffic without it
    entries: int
    max_entries: int
    counted_bytes: int  # as the cache itself says
    max_bytes: int
    evicted: int

    @property
    def taken_bytes(self) -> int:
        """By the cache."""
        return self.grown_bytes - self.without_bytes


@dataclass(frozen=True, slots=True)
class Filled:
    filling: Filling
    samples: Sequence[MemorySample]


def measure_memory(on: Stage, settings: MemorySettings) -> tuple[list[Filled], list[str]]:
    """Raises ServerFailed or LoadFailed."""
    errors: list[str] = []
    found = []
    with on.upstream("benchmarks.cache_upstream") as upstream:
        for filling in settings.fillings:
            samples, faults = _fill(on, upstream, filling, settings)
            found.append(Filled(filling, samples))
            errors += [f"memory, {filling.title}: {fault}" for fault in faults]
    return found, errors


def _fill(
    on: Stage, upstream: Server, filling: Filling, settings: MemorySettings
) -> tuple[list[MemorySample], list[str]]:
    samples: list[MemorySample] = []
    faults: list[str] = []
    start = on.apart("with").cortex(upstream.port, filling.config), on.apart("without").cortex(upstream.port, CACHE_OFF)
    with start[0] as cached, start[1] as plain:
        at_rest = [rss_bytes(server.pid) for server in (cached, plain)]
        for requests in range(settings.step, settings.requests + 1, settings.step):
            say(f"memory, {filling.title}: {requests:,} of {settings.requests:,} requests")
            for server in (cached, plain):
                options = [str(settings.step), f"{filling.streams_share:.3f}"]
                result = FillResult(**on.client("benchmarks.cache_fill", server, options, settings.step * _SLOWEST_S))
                faults += [f"{count} × {kind}" for kind, count in result.errors.items()]
            _, told = get(cached.port, "/api/cache", {"Authorization": f"Bearer {CLIENT_KEY}"})
            cache = json.loads(told)
            samples.append(
                MemorySample(
                    requests,
                    rss_bytes(cached.pid) - at_rest[0],
                    rss_bytes(plain.pid) - at_rest[1],
                    entries=cache["entries"],
                    max_entries=cache["max_entries"],
                    counted_bytes=cache["bytes"],
                    max_bytes=cache["max_bytes"],
                    evicted=cache["evicted"],
                )
            )
    last = samples[-1]
    if last.entries > last.max_entries or last.counted_bytes > last.max_bytes:
        faults.append("more is kept than may be")
    return samples, faults


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 / whole:.0f} %" if whole else "-"


def memory_table(filled: Sequence[Filled]) -> Table:
    """At the end of each filling."""
    ends = [each.samples[-1] for each in filled]
    rows = [
        ("requests", [f"{end.requests:,}" for end in ends]),
        ("entries", [f"{end.entries:,}" for end in ends]),
        ("evicted", [f"{end.evicted:,}" for end in ends]),
        ("an entry, KiB", [f"{end.counted_bytes / 1024 / max(1, end.entries):,.1f}" for end in ends]),
        ("max_bytes, MiB", [f"{end.max_bytes / MIB:,.1f}" for end in ends]),
        ("it says, MiB", [f"{end.counted_bytes / MIB:,.1f}" for end in ends]),
        ("it takes, MiB", [f"{end.taken_bytes / MIB:,.1f}" for end in ends]),
        ("it takes of what it says", [_percent(end.taken_bytes, end.counted_bytes) for end in ends]),
        ("it takes of max_bytes", [_percent(end.taken_bytes, end.max_bytes) for end in ends]),
        ("without it, the same traffic, MiB", [f"{end.without_bytes / MIB:,.1f}" for end in ends]),
    ]
    return Table("Memory, filled until answers have to go", [each.filling.title for each in filled], rows)


def memory_plot(filled: Filled) -> str:
    """Of one filling, request by request."""
    series = {
        "it says": [(float(each.requests), each.counted_bytes / MIB) for each in filled.samples],
        "it takes": [(float(each.requests), each.taken_bytes / MIB) for each in filled.samples],
    }
    limit = filled.samples[-1].max_bytes / MIB
    return lines(f"Memory of the cache: {filled.filling.title}", "requests", "MiB", series, limits=(limit,))


def memory_document(filled: Sequence[Filled]) -> dict[str, Any]:
    return {each.filling.title: [asdict(sample) for sample in each.samples] for each in filled}
