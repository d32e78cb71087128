"""A model provider that takes its time: one event each interval, stamped. usage: paced_upstream.py PORT INTERVAL_S

The first event comes with the request, `max_tokens` says how many there are. Who asks for no stream waits as long, and
gets all of it then. `GET /served` tells how many answers were begun, `GET /open` how many have neither ended nor lost
their reader, `GET /ended` when the last one ended, in nanoseconds. Promises that an event leaves the moment that its
stamp tells, in a chunk and a write of its own.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

import uvloop

from benchmarks.pacing import completion, ending, event, opening
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
        self.ended_ns = 0


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
        if head.startswith(b"get /ended "):
            return whole(b"%d" % self._pace.ended_ns)
        asked = _EVENTS.search(body)
        if asked is None or not head.startswith(b"post /v1/chat/completions "):
            return super().answer(head, body)
        self._pace.served += 1
        self._pace.open += 1
        self._include_usage = b'"include_usage"' in body
        self._events = int(asked[1])
        self._began = self.loop.time()
        self._stamps = [time.monotonic_ns()]
        self._await_next()
        self._streams = b'"stream": true' in body or b'"stream":true' in body
        return _OPENING + event(0, self._stamps[0]) if self._streams else b""

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._end()

    def _await_next(self) -> None:
        # From the beginning on, so that lateness does not add up.
        self._timer = self.loop.call_at(self._began + len(self._stamps) * self._pace.interval_s, self._send)

    def _send(self) -> None:
        now_ns = time.monotonic_ns()
        if len(self._stamps) < self._events:
            if self._streams:
                self.transport.write(event(len(self._stamps), now_ns))
            self._stamps.append(now_ns)
            self._await_next()
            return
        self._pace.ended_ns = now_ns
        streamed = ending(include_usage=self._include_usage) if self._streams else b""
        self.transport.write(streamed or whole(completion(self._stamps)))
        self._end()

    def _end(self) -> None:
        self._timer = None
        self._pace.open -= 1


if __name__ == "__main__":
    pace = Pace(float(sys.argv[2]))
    uvloop.run(serve(int(sys.argv[1]), lambda: Paced(pace)))
