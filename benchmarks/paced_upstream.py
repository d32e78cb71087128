"""A model provider that takes its time: one event each interval, stamped. usage: paced_upstream.py PORT INTERVAL_S

The first event comes with the request, `max_tokens` says how many there are. `GET /served` tells how many streams were
begun, `GET /open` how many have neither ended nor lost their reader. Promises that an event leaves the moment that its
stamp tells, in a chunk and a write of its own.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

import uvloop

from benchmarks.pacing import ending, event, opening
from benchmarks.upstream import Requests, serve, whole

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_OPENING = _HEAD + opening()
_EVENTS = re.compile(rb'"max_tokens":\s*(\d+)')


class Pace:
    """What the connections share."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.served = 0
        self.open = 0


class Paced(Requests):
    """One connection; one stream at a time."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace
        self.loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"get /served "):
            return whole(b"%d" % self._pace.served)
        if head.startswith(b"get /open "):
            return whole(b"%d" % self._pace.open)
        asked = _EVENTS.search(body)
        if asked is None or not head.startswith(b"post /v1/chat/completions "):
            return super().answer(head, body)
        self._pace.served += 1
        self._pace.open += 1
        self._include_usage = b'"include_usage"' in body
        self._events = int(asked[1])
        self._began = self.loop.time()
        self._place = 1
        self._await_next()
        return _OPENING + event(0, time.monotonic_ns())

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._end()

    def _await_next(self) -> None:
        # From the beginning on, so that lateness does not add up.
        self._timer = self.loop.call_at(self._began + self._place * self._pace.interval_s, self._send)

    def _send(self) -> None:
        if self._place < self._events:
            self.transport.write(event(self._place, time.monotonic_ns()))
            self._place += 1
            self._await_next()
        else:
            self.transport.write(ending(include_usage=self._include_usage))
            self._end()

    def _end(self) -> None:
        self._timer = None
        self._pace.open -= 1


if __name__ == "__main__":
    pace = Pace(float(sys.argv[2]))
    uvloop.run(serve(int(sys.argv[1]), lambda: Paced(pace)))
