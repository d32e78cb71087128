"""A client that reads many paced streams at once. usage: paced_load.py PORT STREAMS EVENTS [--idle] --watch PID

Each stream has a connection of its own. While they run, what comes is noted with its time and nothing else is done;
it is taken apart afterwards. With `--idle` a stream is held open after its first event, until all have theirs. Prints
one JSON object: a `PacedResult`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import cast

import uvloop

from benchmarks.figures import percentile
from benchmarks.numbered import numbered
from benchmarks.pacing import LAST_CHUNK, Transcript, request, transcript
from benchmarks.processes import fine_cpu_s, rss_bytes, waited_s

HOST = "127.0.0.1"
_WARM_UP_STREAMS = 20
_WARM_UP_EVENTS = 2
_STARTS_PER_S = 2000  # so that times to the first token tell of a stream, not of a stampede
_PATIENCE_S = 30.0  # beyond the time that the upstream takes
_EXCERPT_BYTES = 300
_FIRST_EVENT = b'"content": " '


@dataclass(frozen=True, slots=True)
class PacedResult:
    """What one run measured. Times in ms; lists of errors are counts by kind."""

    seconds: float
    streams: int  # warm-up included
    events: int
    first_p50_ms: float  # from the request to the first event
    first_p99_ms: float
    way_p50_ms: float  # from the moment an event was sent to the moment it came
    way_p99_ms: float
    gap_p50_ms: float  # how much longer than at the upstream it was between an event and the one before
    gap_p99_ms: float
    bundled: int  # events that came in one read with the one before
    server_cpu_s: float
    server_waited_s: float
    rss_before_bytes: int
    rss_open_bytes: int  # when all streams were open
    errors: dict[str, int]
    first_error: str


class _Stream(asyncio.Protocol):
    """One connection and one stream on it."""

    def __init__(self, *, until_first: bool) -> None:
        self.reads: list[tuple[int, bytes]] = []
        self.sent_ns = 0
        self.finished: asyncio.Future[bool] = asyncio.get_running_loop().create_future()  # False: it was cut
        self._until_first = until_first
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def ask(self, request: bytes) -> None:
        self.sent_ns = time.monotonic_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.reads.append((time.monotonic_ns(), data))
        self._tail = self._tail[-len(LAST_CHUNK) :] + data
        if self.finished.done():
            return
        if self._tail.endswith(LAST_CHUNK) or (self._until_first and _FIRST_EVENT in data):
            self.finished.set_result(True)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_result(False)

    def drop(self) -> None:
        self._transport.abort()


async def _open(port: int, streams: int, *, until_first: bool) -> list[_Stream]:
    loop = asyncio.get_running_loop()
    return [
        (await loop.create_connection(lambda: _Stream(until_first=until_first), HOST, port))[1] for _ in range(streams)
    ]


async def _ask(streams: list[_Stream], events: int) -> None:
    """One after the other, evenly."""
    requests = numbered(request(events))
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, stream in enumerate(streams):
        if (ahead := began + number / _STARTS_PER_S - loop.time()) > 0:
            await asyncio.sleep(ahead)
        stream.ask(next(requests))


async def _finish(streams: list[_Stream], within_s: float) -> None:
    await asyncio.wait([stream.finished for stream in streams], timeout=within_s)


async def _load(options: argparse.Namespace) -> PacedResult:
    warm = await _open(options.port, min(_WARM_UP_STREAMS, options.streams), until_first=options.idle)
    await _ask(warm, _WARM_UP_EVENTS)
    await _finish(warm, _PATIENCE_S)
    for stream in warm:
        stream.drop()

    pid = options.watch
    streams = await _open(options.port, options.streams, until_first=options.idle)
    rss_before = rss_bytes(pid)
    began, cpu_before, waited_before = time.perf_counter(), fine_cpu_s(pid), waited_s(pid)
    await _ask(streams, options.events)
    if options.idle:
        await _finish(streams, _PATIENCE_S)
    rss_open = rss_bytes(pid)
    await _finish(streams, options.events * options.interval_ms / 1000 + _PATIENCE_S)
    ended, cpu_after, waited_after = time.perf_counter(), fine_cpu_s(pid), waited_s(pid)
    for stream in streams:
        stream.drop()

    seen = [transcript(stream.reads, options.events) for stream in streams]
    errors, first_error = _errors(streams, seen, idle=options.idle)
    ways, gaps = _ways_ms(seen), _gaps_ms(seen)
    firsts = _firsts_ms(streams, seen)
    return PacedResult(
        seconds=ended - began,
        streams=len(streams) + len(warm),
        events=sum(len(told.arrivals) for told in seen),
        first_p50_ms=percentile(firsts, 0.50),
        first_p99_ms=percentile(firsts, 0.99),
        way_p50_ms=percentile(ways, 0.50),
        way_p99_ms=percentile(ways, 0.99),
        gap_p50_ms=percentile(gaps, 0.50),
        gap_p99_ms=percentile(gaps, 0.99),
        bundled=sum(told.bundled for told in seen),
        server_cpu_s=cpu_after - cpu_before,
        server_waited_s=waited_after - waited_before,
        rss_before_bytes=rss_before,
        rss_open_bytes=rss_open,
        errors=errors,
        first_error=first_error,
    )


def _errors(streams: list[_Stream], seen: list[Transcript], *, idle: bool) -> tuple[dict[str, int], str]:
    """Counts by kind, and how the first wrong stream ends."""
    errors: Counter[str] = Counter()
    first_error = ""
    for stream, told in zip(streams, seen, strict=True):
        if faults := _faults(stream, told, idle=idle):
            errors += faults
            received = b"".join(data for _, data in stream.reads)[-_EXCERPT_BYTES:].decode(errors="replace")
            first_error = first_error or f"{next(iter(faults))}; it ends with {' '.join(received.split())}"
    return dict(errors), first_error


def _faults(stream: _Stream, told: Transcript, *, idle: bool) -> Counter[str]:
    """An idle stream must have its first event and still be open; any other must be whole."""
    if not stream.finished.done():
        return Counter({"no whole answer in time": 1})
    if not stream.finished.result():
        return Counter({"connection closed": 1})
    if not idle:
        return told.faults
    return Counter() if len(told.arrivals) == 1 else Counter({"not one event of an idle stream": 1})


def _firsts_ms(streams: list[_Stream], seen: list[Transcript]) -> list[float]:
    return sorted(
        (told.arrivals[0].came_ns - stream.sent_ns) / 1e6
        for stream, told in zip(streams, seen, strict=True)
        if told.arrivals
    )


def _ways_ms(seen: list[Transcript]) -> list[float]:
    return sorted((arrival.came_ns - arrival.sent_ns) / 1e6 for told in seen for arrival in told.arrivals)


def _gaps_ms(seen: list[Transcript]) -> list[float]:
    """Each gap less the one that the upstream left, whose timers are not exact either."""
    return sorted(
        ((later.came_ns - earlier.came_ns) - (later.sent_ns - earlier.sent_ns)) / 1e6
        for told in seen
        for earlier, later in pairwise(told.arrivals)
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.paced_load", description="Read many paced streams at once.")
    parser.add_argument("port", type=int)
    parser.add_argument("streams", type=int)
    parser.add_argument("events", type=int, help="of each stream")
    parser.add_argument("--interval-ms", type=float, default=20.0, help="between two events, at the upstream (20)")
    parser.add_argument("--idle", action="store_true", help="hold each stream open after its first event")
    parser.add_argument("--watch", type=int, metavar="PID", required=True, help="the process to measure")
    return parser.parse_args()


def main() -> int:
    """0 if every stream was right, else 1."""
    options = _options()
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    try:
        result = uvloop.run(_load(options))
    except OSError as error:
        sys.exit(f"cannot load port {options.port}: {error}")
    print(json.dumps(asdict(result)))
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
