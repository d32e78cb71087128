"""One request on its way: what all of its attempts share."""

from __future__ import annotations

import time
from collections.abc import Mapping

from cortex.caching.caching import Query
from cortex.caching.flight import Flight
from cortex.keepalive import Keepalive
from cortex.operation import Operation
from cortex.runtime import Runtime
from cortex.sink import ClientGone, Sink
from cortex.telemetry.record import RequestRecord


class Passage:
    __slots__ = ("deadline", "flight", "keepalive", "operation", "query", "record", "runtime", "sink", "waited_s")

    def __init__(
        self, runtime: Runtime, operation: Operation, sink: Sink, record: RequestRecord, deadline: float
    ) -> None:
        """`deadline` is monotonic seconds. Must be closed."""
        self.runtime = runtime
        self.operation = operation
        self.sink = sink
        self.record = record
        self.deadline = deadline
        self.waited_s = 0.0  # on upstreams, before the commit
        self.query: Query | None = None  # what the cache is asked; None: it has no part in this
        self.flight: Flight | None = None  # of an answer that others may follow, or that is to be remembered
        self.keepalive: Keepalive | None = None
        if operation.stream:
            self.keepalive = Keepalive(runtime.alarms, sink, operation.keepalive, self.headers)

    def close(self) -> None:
        if self.keepalive is not None:
            self.keepalive.stop()
            self.keepalive = None  # which refers to this object: neither must wait for the garbage collector

    def put(self, data: bytes) -> bool:
        """As `Sink.put`. While others follow the answer, neither a slow client nor one that has left holds it up."""
        flight = self.flight
        try:
            return self.sink.put(data) or (flight is not None and flight.followers > 0)
        except ClientGone:
            if flight is None or not flight.followers:
                raise
            return True

    def headers(self) -> Mapping[str, str]:
        """What the answer's headers tell, as things stand."""
        record = self.record
        record.overhead_ms = self.elapsed_ms(time.monotonic()) - self.waited_s * 1000
        return record.headers()

    def elapsed_ms(self, now: float) -> float:
        return (now - self.record.started) * 1000
