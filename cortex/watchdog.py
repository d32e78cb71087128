"""One lazily moved timer for all the waits of an attempt.

A stream waits once a chunk. Setting a timer for each wait would cost more than relaying the chunk, so the timer stays
where it is and looks, when it fires, whether it is due.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Expired(Exception):
    """The phase `phase` outlasted its limit, or the deadline passed during it (`deadline` is True)."""

    def __init__(self, phase: str, *, deadline: bool) -> None:
        super().__init__(phase)
        self.phase = phase
        self.deadline = deadline


class Watchdog:
    """Cancels the task that entered it, and turns that cancellation into `Expired`, when a phase takes too long.

    A cancellation from elsewhere (the client has left) passes through untouched.
    """

    def __init__(self, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._due = deadline
        self._phase = ""
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._expired: Expired | None = None
        self._cancelling = 0

    def phase(self, name: str, limit_s: float) -> None:
        """From now on the task may take `limit_s`, within the deadline, until the next call."""
        self._phase = name
        self._due = min(self._loop.time() + limit_s, self._deadline)
        if self._due < self._timer_at:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._due
        self._timer = self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        if self._loop.time() < self._due:
            self._arm()
            return
        self._expired = Expired(self._phase, deadline=self._due >= self._deadline)
        assert self._task is not None
        self._task.cancel()

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        self._arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._expired is None:
            return
        assert self._task is not None
        still_cancelled = self._task.uncancel() > self._cancelling
        if kind is asyncio.CancelledError and not still_cancelled:
            raise self._expired from error
