"""Where a settled record goes."""

from __future__ import annotations

from collections.abc import Callable

from cortex.telemetry.decisions import Decisions
from cortex.telemetry.log import Log
from cortex.telemetry.record import RequestRecord
from cortex.telemetry.stats import Stats


class Telemetry:
    def __init__(self, log: Log, started: float) -> None:
        self.log = log
        self.decisions = Decisions()
        self.stats = Stats(started)
        # Told of each settled record. On the hot path: each takes no more than microseconds, and raises nothing.
        self.listeners: list[Callable[[RequestRecord], None]] = []

    def begin(self) -> None:
        self.stats.begin()

    def settle(self, record: RequestRecord, now: float) -> None:
        """Once a request, when nothing more will happen to it."""
        record.duration_ms = (now - record.started) * 1000
        self.stats.settle(record)
        self.decisions.add(record)
        self.log.request(record)
        for tell in self.listeners:
            tell(record)
