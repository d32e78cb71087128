"""A client that asks one and the same at once, over many connections. usage: cache_crowd.py PORT CLIENTS EVENTS

Another question each time it runs. Notes when each answer began and when it was whole, and takes it apart when all are
there. Prints one JSON object: a `CrowdResult`. Promises that every answer was checked.
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
from typing import cast

import uvloop

from benchmarks.figures import percentile
from benchmarks.load import HOST, AnswerReader
from benchmarks.numbered import numbered
from benchmarks.pacing import completion_faults, faults, request
from benchmarks.processes import fine_cpu_s, rss_bytes, waited_s

_EXCERPT_BYTES = 300


@dataclass(frozen=True, slots=True)
class CrowdResult:
    """Times in ms from the first request on, but for `last_ns`, on the clock that all processes share."""

    seconds: float
    answered: int
    bodies: int  # how many different ones
    sent_ms: float  # until all had asked
    first_p50_ms: float  # until an answer began
    last_ns: int  # when the last answer was whole
    server_cpu_s: float
    server_waited_s: float
    rss_before_bytes: int
    rss_after_bytes: int
    errors: dict[str, int]
    first_error: str


class _Client(asyncio.Protocol):
    """One connection with one request."""

    def __init__(self) -> None:
        self.began_ns = self.whole_ns = 0
        self.answer: tuple[int, bytes] | None = None
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.fault = "no answer in time"
        self._reader = AnswerReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.began_ns = self.began_ns or now_ns
        try:
            self.answer = self._reader.feed(data)
        except ValueError as error:
            self._finish(str(error))
            return
        if self.answer is not None:
            self.whole_ns = now_ns
            self._finish("")

    def connection_lost(self, error: Exception | None) -> None:
        self._finish("connection closed")

    def _finish(self, fault: str) -> None:
        if not self.finished.done():
            self.fault = fault
            self.finished.set_result(None)


async def _load(options: argparse.Namespace) -> CrowdResult:
    loop, pid = asyncio.get_running_loop(), options.watch
    clients = [(await loop.create_connection(_Client, HOST, options.port))[1] for _ in range(options.clients)]
    asked = next(numbered(request(options.events, stream=options.stream)))
    rss_before, cpu_before, waited_before = rss_bytes(pid), fine_cpu_s(pid), waited_s(pid)
    began_ns = time.monotonic_ns()
    for client in clients:
        client.transport.write(asked)
    sent_ns = time.monotonic_ns()
    await asyncio.wait([client.finished for client in clients], timeout=options.patience)
    ended_ns = time.monotonic_ns()
    cpu_after, waited_after, rss_after = fine_cpu_s(pid), waited_s(pid), rss_bytes(pid)
    for client in clients:
        client.transport.abort()

    errors: Counter[str] = Counter()
    first_error = ""
    for client in clients:
        if found := _faults(client, options):
            errors += found
            excerpt = b"" if client.answer is None else client.answer[1][-_EXCERPT_BYTES:]
            first_error = first_error or f"{next(iter(found))}; it ends with {excerpt.decode(errors='replace')}"
    return CrowdResult(
        seconds=(ended_ns - began_ns) / 1e9,
        answered=sum(client.answer is not None for client in clients),
        bodies=len({client.answer[1] for client in clients if client.answer is not None}),
        sent_ms=(sent_ns - began_ns) / 1e6,
        first_p50_ms=percentile(sorted((client.began_ns - began_ns) / 1e6 for client in clients), 0.5),
        last_ns=max(client.whole_ns for client in clients),
        server_cpu_s=cpu_after - cpu_before,
        server_waited_s=waited_after - waited_before,
        rss_before_bytes=rss_before,
        rss_after_bytes=rss_after,
        errors=dict(errors),
        first_error=first_error,
    )


def _faults(client: _Client, options: argparse.Namespace) -> Counter[str]:
    if client.answer is None:
        return Counter({client.fault: 1})
    status, body = client.answer
    if status != 200:
        return Counter({f"status {status}": 1})
    return faults(body, options.events) if options.stream else completion_faults(body, options.events)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cache_crowd", description="Ask the same at once, many times.")
    parser.add_argument("port", type=int)
    parser.add_argument("clients", type=int)
    parser.add_argument("events", type=int, help="of the answer, one each interval of the upstream's")
    parser.add_argument("--stream", action="store_true", help="ask for streams, not for JSON")
    parser.add_argument("--patience", type=float, default=60.0, metavar="S", help="for the last answer (60)")
    parser.add_argument("--watch", type=int, metavar="PID", required=True, help="the process to measure")
    return parser.parse_args()


def main() -> int:
    """0 if every answer was right, else 1."""
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
