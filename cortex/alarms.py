"""One timer for all who wait for a time: the event loop is told of the earliest alone.

A timer of the event loop's for each wait of each request would cost more than what is waited for. Nearly all of them
are called off long before they are due, and the times of those that follow lie behind those that were set before: the
one timer is seldom moved.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

GRAIN_S = 0.005  # how close together the timer fires at most, however many are due one after the other


class Alarm(Protocol):
    due: float  # monotonic seconds; infinite: never

    def ring(self, now: float) -> None:
        """It is due. It stays set, and rings again unless it moves `due` or is removed. Raises nothing."""


class Alarms:
    """Belongs to the event loop of its first call."""

    def __init__(self) -> None:
        self._alarms: set[Alarm] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def __len__(self) -> int:
        return len(self._alarms)

    def add(self, alarm: Alarm) -> None:
        """Must be removed again."""
        self._alarms.add(alarm)
        if alarm.due < self._timer_at:
            self._set(alarm.due)

    def remove(self, alarm: Alarm) -> None:
        self._alarms.discard(alarm)

    def moved(self, alarm: Alarm) -> None:
        """To be told when an alarm's `due` has come nearer; one that moves away is found where it went."""
        if alarm.due < self._timer_at:
            self._set(alarm.due)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def _fire(self) -> None:
        now = time.monotonic()
        self._timer, self._timer_at = None, math.inf
        for alarm in [alarm for alarm in self._alarms if alarm.due <= now]:
            if alarm in self._alarms:  # one that rang before it may have removed it
                alarm.ring(now)
        earliest = min((alarm.due for alarm in self._alarms), default=math.inf)
        if earliest < math.inf:
            self._set(max(earliest, now + GRAIN_S))
