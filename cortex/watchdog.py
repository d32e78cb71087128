"""The time limits of an attempt: one phase after the other, each with a limit, all within one deadline."""

from __future__ import annotations

import asyncio
import math
import time
from types import TracebackType
from typing import Self

from cortex.alarms import Alarms


class Expired(Exception):
    """The phase `phase` outlasted its limit, or the deadline passed during it (`deadline` is True)."""

    def __init__(self, phase: str, *, deadline: bool) -> None:
        super().__init__(phase)
        self.phase = phase
        self.deadline = deadline


class Watchdog:
    """Cancels the task that entered it, and turns that cancellation into `Expired`, when a phase takes too long.

    A cancellation from elsewhere (the client has left) passes through untouched. A stream restarts its phase with each
    chunk, so that must cost next to nothing.
    """

    __slots__ = ("_alarms", "_cancelling", "_deadline", "_expired", "_limit_s", "_phase", "_task", "due")

    def __init__(self, alarms: Alarms, deadline: float, phase: str, limit_s: float) -> None:
        """`deadline` is monotonic seconds. The first phase begins when it is entered."""
        self.due = math.inf
        self._alarms = alarms
        self._deadline = deadline
        self._phase = phase
        self._expired: Expired | None = None
        self.phase(phase, limit_s)

    def phase(self, name: str, limit_s: float) -> None:
        """From now on the task may take `limit_s`, within the deadline, until the next call."""
        self._phase = name
        self._limit_s = limit_s
        before, self.due = self.due, min(time.monotonic() + limit_s, self._deadline)
        if self.due < before:
            self._alarms.moved(self)

    def restart(self, now: float) -> None:
        """The phase's limit counts from `now` on."""
        self.due = min(now + self._limit_s, self._deadline)

    def ring(self, now: float) -> None:
        self._expired = Expired(self._phase, deadline=self.due >= self._deadline)
        self.due = math.inf
        self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self._alarms.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._alarms.remove(self)
        if self._expired is None:
            return
        still_cancelled = self._task.uncancel() > self._cancelling
        if kind is asyncio.CancelledError and not still_cancelled:
            expired, self._expired = self._expired, None
            try:
                raise expired from error
            finally:
                del expired  # its traceback holds this frame and this object: neither may hold it
