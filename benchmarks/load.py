"""A load client that checks every answer. usage: load.py PORT SCENARIO [--seconds S | --requests N]

Keeps a fixed number of connections busy, each with one request at a time (a closed loop), and prints one JSON object:
a `LoadResult`. No two requests are the same, unless `--questions` has them come again. Promises that every answer
counted was whole and right; anything else is an error of the run, told by kind. Runs as a process of its own so that
what it costs is no gateway's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Self, cast

import uvloop

from benchmarks.exchange import EVENTS, SCENARIOS, Scenario
from benchmarks.figures import percentile
from benchmarks.numbered import numbered
from benchmarks.processes import cpu_s, waited_s

HOST = "127.0.0.1"
_EXCERPT_BYTES = 300


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one run measured, from the end of the warm-up on. Times of single requests in ms."""

    seconds: float
    requests: int
    events: int  # stream events, 0 for JSON
    p50_ms: float
    p90_ms: float
    p99_ms: float
    server_cpu_s: float  # of the process that was watched
    server_waited_s: float  # how long that process was ready to run and had to wait for its core
    answered: int  # all right answers, warm-up included
    errors: dict[str, int]  # kind → how often, warm-up included
    first_error: str  # an excerpt of what was received; empty without errors


class AnswerReader:
    """Puts one HTTP answer at a time together. Raises ValueError if it is not HTTP, or if more follows it."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.received = bytearray()
        self._body_at = 0  # 0 until the head is complete
        self._status = 0
        self._body_bytes = -1  # -1: chunked

    def feed(self, data: bytes) -> tuple[int, bytes] | None:
        """Status and body once the answer is whole, else None."""
        received = self.received
        received += data
        if not self._body_at and not self._read_head():
            return None
        if self._body_bytes < 0:
            # Looking at the end first spares taking the chunks apart at every read.
            body = _dechunk(received, self._body_at) if received.endswith(b"0\r\n\r\n") else None
        elif (surplus := len(received) - self._body_at - self._body_bytes) > 0:
            raise ValueError("bytes after the answer")
        else:
            body = bytes(received[self._body_at :]) if surplus == 0 else None
        if body is None:
            return None
        status = self._status
        self._reset()
        return status, body

    def _read_head(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.received[:end]).lower()
        if not head.startswith(b"http/1.1 "):
            raise ValueError("not HTTP/1.1")
        self._status = int(head[9:12])
        before, named, value = head.partition(b"\r\ncontent-length:")
        if named:
            self._body_bytes = int(value.partition(b"\r\n")[0])
        elif b"\r\ntransfer-encoding: chunked" not in before:
            raise ValueError("an answer without length")
        self._body_at = end + 4
        return True


def _dechunk(received: bytearray, at: int) -> bytes | None:
    """The body of a chunked answer whose last chunk ends the buffer; None if that chunk is not there yet."""
    pieces: list[bytearray] = []
    while (line_end := received.find(b"\r\n", at)) >= 0:
        size = int(received[at:line_end], 16)
        start = line_end + 2
        at = start + size + 2
        if at > len(received):
            return None
        if size == 0:
            if at < len(received):
                raise ValueError("bytes after the answer")
            return b"".join(pieces)
        pieces.append(received[start : start + size])
    return None


class _Run:
    """What the connections share: what to send, whether to go on, and the tally."""

    def __init__(self, scenario: Scenario, questions: int | None, max_requests: int | None) -> None:
        requests = numbered(scenario.request())
        self.requests = requests if questions is None else cycle(list(islice(requests, questions)))
        self.going = True
        self.measuring = False
        self.ended = asyncio.Event()
        self.latencies_s = array("d")
        self.answered = 0
        self.errors: Counter[str] = Counter()
        self.first_error = ""
        self._scenario = scenario
        self._max_requests = max_requests
        self._right: bytes | None = None

    def take(self, status: int, body: bytes, latency_s: float) -> None:
        """Check and count one answer."""
        # Equal to one that was found right: comparing is all that is left to do.
        if status != 200 or body != self._right:
            if (fault := self._scenario.fault(status, body)) is not None:
                self.fail(fault, body)
                return
            self._right = body
        self.answered += 1
        if self.measuring:
            self.latencies_s.append(latency_s)
            if self._max_requests is not None and len(self.latencies_s) >= self._max_requests:
                self.stop()

    def fail(self, kind: str, received: bytes) -> None:
        self.errors[kind] += 1
        self.first_error = self.first_error or f"{kind}: {received[:_EXCERPT_BYTES].decode(errors='replace')}"
        if self._max_requests is not None and self.errors.total() >= self._max_requests:
            self.stop()

    def stop(self) -> None:
        self.going = self.measuring = False
        self.ended.set()


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer is whole. Ends with the run, or at the first broken answer."""

    def __init__(self, run: _Run) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run = run
        self._reader = AnswerReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def send(self) -> None:
        request = next(self._run.requests)
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._reader.feed(data)
        except ValueError as error:
            self._run.fail(str(error), bytes(self._reader.received))
            self._finish()
            return
        if answer is None:
            return
        self._run.take(*answer, time.perf_counter() - self._sent)
        if self._run.going:
            self.send()
        else:
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self._run.fail("connection closed", bytes(self._reader.received))
            self._finish()

    def abandon(self) -> None:
        """The answer under way has not come in time."""
        self._run.fail("no answer", bytes(self._reader.received))
        self._finish()

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)
        self._transport.abort()


async def _load(port: int, scenario: Scenario, options: argparse.Namespace) -> LoadResult:
    loop = asyncio.get_running_loop()
    run = _Run(scenario, options.questions, options.requests)
    opened = [await loop.create_connection(lambda: _Connection(run), HOST, port) for _ in range(scenario.connections)]
    connections = [connection for _, connection in opened]
    finished = asyncio.gather(*(connection.finished for connection in connections))
    finished.add_done_callback(lambda _: run.stop())
    for connection in connections:
        connection.send()

    if options.warm_up > 0:
        await asyncio.wait([finished], timeout=options.warm_up)
    run.measuring = run.going
    began = _Clocks.read(options.watch)
    if options.requests is None:
        loop.call_later(options.seconds, run.stop)
    await run.ended.wait()
    ended = _Clocks.read(options.watch)

    await asyncio.wait([finished], timeout=options.patience)
    for connection in connections:
        if not connection.finished.done():
            connection.abandon()
    return _result(run, began, ended, EVENTS if scenario.stream else 0)


@dataclass(frozen=True, slots=True)
class _Clocks:
    """The time, and that of the watched process; its two are 0 without one."""

    now_s: float
    cpu_s: float
    waited_s: float

    @classmethod
    def read(cls, pid: int | None) -> Self:
        now_s = time.perf_counter()
        return cls(now_s, 0.0, 0.0) if pid is None else cls(now_s, cpu_s(pid), waited_s(pid))


def _result(run: _Run, began: _Clocks, ended: _Clocks, events_each: int) -> LoadResult:
    ordered = sorted(run.latencies_s)

    if not ordered and not run.errors:
        run.fail("nothing answered while it was measured", b"")
    return LoadResult(
        seconds=ended.now_s - began.now_s,
        requests=len(ordered),
        events=len(ordered) * events_each,
        p50_ms=percentile(ordered, 0.50) * 1000,
        p90_ms=percentile(ordered, 0.90) * 1000,
        p99_ms=percentile(ordered, 0.99) * 1000,
        server_cpu_s=ended.cpu_s - began.cpu_s,
        server_waited_s=ended.waited_s - began.waited_s,
        answered=run.answered,
        errors=dict(run.errors),
        first_error=run.first_error,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.load", description="Load one server and check every answer.")
    parser.add_argument("port", type=int)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to measure (2)")
    parser.add_argument("--requests", type=int, help="measure so many requests instead")
    parser.add_argument("--questions", type=int, metavar="N", help="ask the same N requests in turn, not new ones")
    parser.add_argument("--warm-up", type=float, default=0.5, metavar="S", help="seconds before it counts (0.5)")
    parser.add_argument(
        "--patience", type=float, default=10.0, metavar="S", help="for answers under way when the time is up (10)"
    )
    parser.add_argument("--watch", type=int, metavar="PID", help="the process whose processor time to measure")
    return parser.parse_args()


def main() -> int:
    """0 if every answer was right, else 1."""
    options = _options()
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    try:
        result = uvloop.run(_load(options.port, SCENARIOS[options.scenario], options))
    except OSError as error:
        sys.exit(f"cannot load port {options.port}: {error}")
    print(json.dumps(asdict(result)))
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
