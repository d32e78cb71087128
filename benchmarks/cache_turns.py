"""A client that loads several servers in turn, in blocks. usage: cache_turns.py BODY_BYTES CONNECTIONS PORT:PID...

So that a difference of a few microseconds shows on a busy machine: a block lasts some milliseconds, and each turn gives
one to every server. No request is like another. Prints one JSON object: a `TurnResult`. Promises that every answer was
checked.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import cast

import uvloop

from benchmarks.exchange import SCENARIOS
from benchmarks.figures import percentile
from benchmarks.load import HOST, AnswerReader
from benchmarks.numbered import numbered
from benchmarks.processes import fine_cpu_s, waited_s

_PATIENCE_S = 60.0  # for one block
_EXCERPT_BYTES = 300


@dataclass(frozen=True, slots=True)
class TurnResult:
    """Server by server and turn by turn."""

    cpu_us: list[list[float]]  # a request
    p50_ms: list[list[float]]  # of one block
    waited_share: float  # of the time, in which the servers were ready to go on and had to wait for their core
    answered: int  # warm-up included
    errors: dict[str, int]
    first_error: str


class _Target:
    """One server: its connections, and the block that it is at."""

    def __init__(self, port: int, pid: int, requests: Iterator[bytes], errors: Counter[str]) -> None:
        self.port = port
        self.pid = pid
        self.errors = errors
        self.first_error = ""
        self.answered = 0
        self.cpu_us: list[float] = []
        self.p50_ms: list[float] = []
        self.took_s: list[float] = []
        self._requests = requests
        self._connections: list[_Connection] = []
        self._unsent = 0
        self._unanswered = 0
        self._done = asyncio.Event()
        self._right: bytes | None = None

    async def connect(self, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), HOST, self.port)
            self._connections.append(connection)

    async def block(self, requests: int) -> None:
        """So many requests over all connections; each sends its next when it has its answer."""
        self.took_s = []
        self._unsent = self._unanswered = requests
        self._done.clear()
        for connection in self._connections:
            if (request := self.next()) is not None:
                connection.send(request)
        await asyncio.wait_for(self._done.wait(), _PATIENCE_S)

    def next(self) -> bytes | None:
        """The next request of the block, if there is one."""
        if not self._unsent:
            return None
        self._unsent -= 1
        return next(self._requests)

    def take(self, status: int, body: bytes, took_s: float) -> None:
        if status != 200 or body != self._right:
            if (fault := SCENARIOS["json"].fault(status, body)) is not None:
                self.fail(fault, body)
                return
            self._right = body
        self.answered += 1
        self.took_s.append(took_s)
        self._settle()

    def fail(self, kind: str, received: bytes) -> None:
        self.errors[kind] += 1
        self.first_error = self.first_error or f"{kind}: {received[:_EXCERPT_BYTES].decode(errors='replace')}"
        self._settle()

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _settle(self) -> None:
        self._unanswered -= 1
        if self._unanswered <= 0:
            self._done.set()


class _Connection(asyncio.Protocol):
    def __init__(self, target: _Target) -> None:
        self._target = target
        self._reader = AnswerReader()
        self._sent: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def send(self, request: bytes) -> None:
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._reader.feed(data)
        except ValueError as error:
            self._target.fail(str(error), data)
            self.close()
            return
        if answer is None or self._sent is None:
            return
        took_s, self._sent = time.perf_counter() - self._sent, None
        self._target.take(*answer, took_s)
        if (request := self._target.next()) is not None:
            self.send(request)

    def connection_lost(self, error: Exception | None) -> None:
        if self._sent is not None:
            self._sent = None
            self._target.fail("connection closed", b"")

    def close(self) -> None:
        self._sent = None
        self._transport.abort()


async def _load(options: argparse.Namespace) -> TurnResult:
    errors: Counter[str] = Counter()
    requests = numbered(replace(SCENARIOS["json"], body_bytes=options.body_bytes).request())
    targets = [_Target(port, pid, requests, errors) for port, pid in options.targets]
    for target in targets:
        await target.connect(options.connections)
        await target.block(options.warm_up)
    began, waited = time.perf_counter(), _waited_s(targets)
    for number in range(options.turns):
        if errors:
            break
        # What a server does after its last answer of a block, writing its log say, counts as well: to the whole turn.
        before = [fine_cpu_s(target.pid) for target in targets]
        first = number % len(targets)
        order = [*targets[first:], *targets[:first]]
        for target in order[:: 1 if number % 2 == 0 else -1]:
            await target.block(options.block)
            target.p50_ms.append(percentile(sorted(target.took_s), 0.5) * 1000)
        for target, cpu_s in zip(targets, before, strict=True):
            target.cpu_us.append((fine_cpu_s(target.pid) - cpu_s) * 1e6 / options.block)
    waited_share = (_waited_s(targets) - waited) / (time.perf_counter() - began)
    for target in targets:
        target.close()
    return TurnResult(
        cpu_us=[target.cpu_us for target in targets],
        p50_ms=[target.p50_ms for target in targets],
        waited_share=waited_share,
        answered=sum(target.answered for target in targets),
        errors=dict(errors),
        first_error=next((target.first_error for target in targets if target.first_error), ""),
    )


def _waited_s(targets: list[_Target]) -> float:
    return sum(waited_s(target.pid) for target in targets)


def _target(said: str) -> tuple[int, int]:
    port, _, pid = said.partition(":")
    return int(port), int(pid)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cache_turns", description="Load servers in turn, in blocks.")
    parser.add_argument("body_bytes", type=int, help="of each request")
    parser.add_argument("connections", type=int, help="to each server")
    parser.add_argument("targets", type=_target, nargs="+", metavar="PORT:PID")
    parser.add_argument("--block", type=int, default=200, help="requests of a block (200)")
    parser.add_argument("--turns", type=int, default=20, help="blocks of each server (20)")
    parser.add_argument("--warm-up", type=int, default=200, metavar="N", help="requests to each before it counts (200)")
    return parser.parse_args()


def main() -> int:
    """0 if every answer was right, else 1."""
    options = _options()
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    try:
        result = uvloop.run(_load(options))
    except (OSError, TimeoutError) as error:
        sys.exit(f"cannot load {options.targets}: {error}")
    print(json.dumps(asdict(result)))
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
