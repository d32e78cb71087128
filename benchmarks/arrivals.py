"""A load client that sends when its schedule says, answered or not. usage: arrivals.py PORT RATE --watch PID

Requests arrive at random (a Poisson process with a fixed seed) in slots of a millisecond, the finest that the event
loop's timers know. A request's time runs from its slot, not from when it could be sent: a server that stalls delays
those behind, too, and that counts. Prints one JSON object: an `ArrivalResult`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from benchmarks.exchange import SCENARIOS
from benchmarks.figures import percentile
from benchmarks.load import AnswerReader
from benchmarks.numbered import numbered
from benchmarks.processes import fine_cpu_s, waited_s
from benchmarks.prompts import for_ever

HOST = "127.0.0.1"
_SCENARIO = SCENARIOS["json"]
_SLOT_S = 0.001
_MOST_CONNECTIONS = 1000
_FIRST_CONNECTIONS = 64
_EXCERPT_BYTES = 300


@dataclass(frozen=True, slots=True)
class ArrivalResult:
    """What one run at one rate measured. Times in ms, from the intended sending to the whole answer."""

    seconds: float  # until the last answer
    rate: float  # asked for, a second
    sent: int
    answered: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    late_p99_ms: float  # how late the client itself was, where a connection was free
    connections: int
    server_cpu_s: float
    server_waited_s: float
    errors: dict[str, int]
    first_error: str
    began_s: float = 0.0  # on the clock that all processes share


def schedule(rate: float, seconds: float, seed: int = 0) -> Iterator[float]:
    """When requests arrive, in seconds from the start, in order."""
    rng = random.Random(seed)
    at = rng.expovariate(rate)
    while at < seconds:
        yield int(at / _SLOT_S) * _SLOT_S
        at += rng.expovariate(rate)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._reader = AnswerReader()
        self._intended: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def send(self, intended: float) -> None:
        self._intended = intended
        self._transport.write(next(self._run.requests))

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._reader.feed(data)
        except ValueError as error:
            self._fail(str(error))
            return
        if answer is None:
            return
        intended, self._intended = self._intended, None
        if intended is None:
            self._fail("an answer that nobody asked for")
        elif self._run.take(*answer, time.perf_counter() - intended):
            self._run.free(self)
        else:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._intended is not None:
            self._fail("connection closed")

    def drop(self) -> None:
        """Also in the middle of an answer: then it has not come in time."""
        if self._intended is not None:
            self._fail("no answer")
        self._transport.abort()

    def _fail(self, kind: str) -> None:
        self._intended = None
        self._run.fail(kind, bytes(self._reader.received))
        self._transport.abort()


class _Run:
    """What the connections share: the schedule's backlog, idle connections, the tally."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self.requests = iter(requests)
        self.sent = 0
        self.answered = 0
        self.latencies_s: list[float] = []
        self.late_s: list[float] = []
        self.errors: Counter[str] = Counter()
        self.first_error = ""
        self.connections: list[_Connection] = []
        self.settled = asyncio.Event()  # after `over`: nothing is under way
        self._waiting: deque[float] = deque()
        self._idle: list[_Connection] = []
        self._over = False
        self._right: bytes | None = None

    def add(self, connection: _Connection) -> None:
        self.connections.append(connection)
        self.free(connection)

    def arrive(self, intended: float) -> bool:
        """A request is due, or was. Without a free connection it waits; False says so."""
        self.sent += 1
        if not self._idle:
            self._waiting.append(intended)
            return False
        self.late_s.append(time.perf_counter() - intended)
        self._idle.pop().send(intended)
        return True

    def free(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def take(self, status: int, body: bytes, latency_s: float) -> bool:
        """Check and count one answer; whether it was right."""
        if status != 200 or body != self._right:
            if (fault := _SCENARIO.fault(status, body)) is not None:
                self.fail(fault, body)
                return False
            self._right = body
        self.answered += 1
        self.latencies_s.append(latency_s)
        self._look()
        return True

    def fail(self, kind: str, received: bytes) -> None:
        self.errors[kind] += 1
        self.first_error = self.first_error or f"{kind}: {received[:_EXCERPT_BYTES].decode(errors='replace')}"
        self._look()

    def over(self) -> None:
        """Nothing more will arrive."""
        self._over = True
        self._look()

    def close(self) -> None:
        """Whatever is unanswered now has not come in time."""
        self.errors.update({"not sent in time": len(self._waiting)} if self._waiting else {})
        for connection in self.connections:
            connection.drop()

    def _look(self) -> None:
        if self._over and self.answered + self.errors.total() >= self.sent:
            self.settled.set()


async def _load(options: argparse.Namespace) -> ArrivalResult:
    loop = asyncio.get_running_loop()
    run = _Run(for_ever() if options.prompts else numbered(_SCENARIO.request()))
    opened = 0

    async def connect() -> None:
        _, connection = await loop.create_connection(lambda: _Connection(run), HOST, options.port)
        run.add(connection)

    while opened < _FIRST_CONNECTIONS:
        await connect()
        opened += 1
    pid = options.watch
    cpu_before, waited_before = fine_cpu_s(pid), waited_s(pid)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as connecting:
        for due in schedule(options.rate, options.seconds):
            if (ahead := began + due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            if not run.arrive(began + due) and opened < _MOST_CONNECTIONS:
                connecting.create_task(connect())
                opened += 1
    run.over()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(run.settled.wait(), options.patience)
    seconds = time.perf_counter() - began
    cpu_after, waited_after = fine_cpu_s(pid), waited_s(pid)
    run.close()
    latencies, late = sorted(run.latencies_s), sorted(run.late_s)
    return ArrivalResult(
        seconds=seconds,
        rate=options.rate,
        sent=run.sent,
        answered=run.answered,
        p50_ms=percentile(latencies, 0.50) * 1000,
        p99_ms=percentile(latencies, 0.99) * 1000,
        longest_ms=percentile(latencies, 1.0) * 1000,
        late_p99_ms=percentile(late, 0.99) * 1000,
        connections=len(run.connections),
        server_cpu_s=cpu_after - cpu_before,
        server_waited_s=waited_after - waited_before,
        errors=dict(run.errors),
        first_error=run.first_error,
        began_s=began,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.arrivals", description="Send at a rate, whatever comes back.")
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float, help="requests a second")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to send (2)")
    parser.add_argument(
        "--patience", type=float, default=20.0, metavar="S", help="for answers under way after that (20)"
    )
    parser.add_argument("--prompts", action="store_true", help="send prompts of all kinds, not the scenario's")
    parser.add_argument("--watch", type=int, metavar="PID", required=True, help="the process to measure")
    return parser.parse_args()


def main() -> int:
    """0 if every answer was right, else 1."""
    options = _options()
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    try:
        result = uvloop.run(_load(options))
    except (OSError, ExceptionGroup) as error:
        sys.exit(f"cannot load port {options.port}: {error}")
    print(json.dumps(asdict(result)))
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
