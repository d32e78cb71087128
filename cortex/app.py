"""The process: the runtime in force, and what outlives a reload."""

from __future__ import annotations

from cortex.runtime import Runtime
from cortex.telemetry.telemetry import Telemetry
from cortex.transport import Transport


class App:
    """`runtime` is swapped by a reload: take it once a request."""

    def __init__(self, runtime: Runtime, telemetry: Telemetry, http: Transport, started: float) -> None:
        self.runtime = runtime
        self.telemetry = telemetry
        self.http = http  # every upstream's connections; kept over reloads
        self.started = started  # Unix time in seconds
        self.loopback = True  # whether only this machine reaches the address listened on
        self.draining = False
