"""Comments on a silent stream, so that no proxy or load balancer between client and gateway takes it for dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from cortex.alarms import Alarms
from cortex.sink import ClientGone, Sink

SILENCE_S = 15.0


class Keepalive:
    """Writes `comment` after each `silence_s` without a write. Opens the stream if it has not been opened.

    Once opened, the status is 200 and later faults must be told in the stream. Between writes of whole frames only:
    the comment is a frame of its own. A task exists only while a comment is written.
    """

    __slots__ = ("_alarms", "_comment", "_headers", "_silence_s", "_sink", "_task", "due")

    def __init__(
        self,
        alarms: Alarms,
        sink: Sink,
        comment: bytes,
        headers: Callable[[], Mapping[str, str]],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._alarms = alarms
        self._sink = sink
        self._comment = comment
        self._headers = headers
        self._silence_s = silence_s
        self._task: asyncio.Task[None] | None = None
        self.due = time.monotonic() + silence_s
        alarms.add(self)

    def wrote(self, now: float) -> None:
        self.due = now + self._silence_s

    def stop(self) -> None:
        self._alarms.remove(self)
        if self._task is not None:
            self._task.cancel()

    def ring(self, now: float) -> None:
        self.due = now + self._silence_s
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write(), name="cortex-keepalive")

    async def _write(self) -> None:
        try:
            await self._sink.start_stream(self._headers())
            await self._sink.write(self._comment)
        except ClientGone:
            return  # the request's own task learns it, too, and cancels the upstream call
