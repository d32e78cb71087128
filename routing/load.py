"""How busy and how fast each candidate is: calls in flight, and latencies that forget.

Streams (time to the first token) and whole answers (their duration) are measured apart. One gauge a candidate that was
ever called, so it is bounded by the configuration. Knows no clock.
"""

from __future__ import annotations

from collections.abc import Collection

HALF_LIFE_S = 30.0
SMOOTHING = 0.3  # a fresh measurement's share in the average
FAILED_LATENCY_S = 10.0  # what a failure counts as: else a candidate that fails at once would look like a fast one


class _Latency:
    """An average in which old measurements fade."""

    __slots__ = ("at", "value_s")

    def __init__(self, value_s: float, at: float) -> None:
        self.value_s = value_s
        self.at = at  # monotonic seconds of the last measurement

    def add(self, value_s: float, now: float) -> None:
        kept = (1 - SMOOTHING) * _faded(now - self.at)
        self.value_s = value_s + (self.value_s - value_s) * kept
        self.at = now


class _Gauge:
    __slots__ = ("in_flight", "stream", "whole")

    def __init__(self) -> None:
        self.in_flight = 0
        self.stream: _Latency | None = None
        self.whole: _Latency | None = None


class Load:
    def __init__(self) -> None:
        self._gauges: dict[str, _Gauge] = {}

    def begin(self, candidate: str) -> None:
        """A call starts. `end` must follow."""
        gauge = self._gauges.get(candidate)
        if gauge is None:
            gauge = self._gauges[candidate] = _Gauge()
        gauge.in_flight += 1

    def end(self, candidate: str) -> None:
        self._gauges[candidate].in_flight -= 1

    def measured(self, candidate: str, latency_s: float, now: float, *, stream: bool) -> None:
        """A call that has begun was answered after `latency_s`: its first token, or all of a JSON answer."""
        gauge = self._gauges[candidate]
        latency = gauge.stream if stream else gauge.whole
        if latency is not None:
            latency.add(latency_s, now)
        elif stream:
            gauge.stream = _Latency(latency_s, now)
        else:
            gauge.whole = _Latency(latency_s, now)

    def failed(self, candidate: str, now: float, *, stream: bool) -> None:
        """A call that has begun failed, and the candidate is to blame."""
        self.measured(candidate, FAILED_LATENCY_S, now, stream=stream)

    def in_flight(self, candidate: str) -> int:
        gauge = self._gauges.get(candidate)
        return 0 if gauge is None else gauge.in_flight

    def latency_s(self, candidate: str, *, stream: bool) -> float | None:
        """The average as it was last measured; None: never."""
        gauge = self._gauges.get(candidate)
        latency = gauge and (gauge.stream if stream else gauge.whole)
        return latency.value_s if latency else None

    def estimate_s(self, candidate: str, now: float, *, stream: bool) -> float | None:
        """The average, halved each `HALF_LIFE_S` without a measurement; None: never measured.

        So a slow candidate is tried again in time. While a call is in flight the average stands: one call finds out.
        """
        gauge = self._gauges.get(candidate)
        latency = gauge and (gauge.stream if stream else gauge.whole)
        if not gauge or not latency:
            return None
        return latency.value_s if gauge.in_flight else latency.value_s * _faded(now - latency.at)

    def carry_over(self, old: Load, names: Collection[str]) -> None:
        """Take the latencies of `names` from before a reload. Calls in flight end in the old one."""
        for name in names:
            if (known := old._gauges.get(name)) is not None:
                gauge = self._gauges[name] = _Gauge()
                gauge.stream, gauge.whole = known.stream, known.whole


def _faded(age_s: float) -> float:
    return 1.0 if age_s <= 0 else float(0.5 ** (age_s / HALF_LIFE_S))
