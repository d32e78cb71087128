"""One request on its way: what all of its attempts share."""

from __future__ import annotations

import time
from collections.abc import Mapping

from cortex.keepalive import Keepalive
from cortex.operation import Operation
from cortex.runtime import Runtime
from cortex.sink import Sink
from cortex.telemetry.record import RequestRecord


class Passage:
    __slots__ = ("deadline", "keepalive", "operation", "record", "runtime", "sink", "waited_s")

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
        self.keepalive: Keepalive | None = None
        if operation.stream:
            self.keepalive = Keepalive(runtime.alarms, sink, operation.keepalive, self.headers)

    def close(self) -> None:
        if self.keepalive is not None:
            self.keepalive.stop()
            self.keepalive = None  # which refers to this object: neither must wait for the garbage collector

    def headers(self) -> Mapping[str, str]:
        """What the answer's headers tell, as things stand."""
        record = self.record
        record.overhead_ms = self.elapsed_ms(time.monotonic()) - self.waited_s * 1000
        return record.headers()

    def elapsed_ms(self, now: float) -> float:
        return (now - self.record.started) * 1000
