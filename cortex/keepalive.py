"""Comments on a silent stream, so that no proxy or load balancer between client and gateway takes it for dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from cortex.sink import ClientGone, Sink

SILENCE_S = 15.0


class Keepalive:
    """Writes `comment` after each `silence_s` without a write. Opens the stream if it has not been opened.

    Once opened, the status is 200 and later faults must be told in the stream. Between writes of whole frames only:
    the comment is a frame of its own. Costs a stream one timer; a task exists only while a comment is written.
    """

    def __init__(
        self, sink: Sink, comment: bytes, headers: Callable[[], Mapping[str, str]], silence_s: float = SILENCE_S
    ) -> None:
        self._sink = sink
        self._comment = comment
        self._headers = headers
        self._silence_s = silence_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_at(self._last + silence_s, self._fire)

    def wrote(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _fire(self) -> None:
        now = self._loop.time()
        if now - self._last >= self._silence_s and (self._task is None or self._task.done()):
            self._last = now
            self._task = self._loop.create_task(self._write(), name="cortex-keepalive")
        self._timer = self._loop.call_at(self._last + self._silence_s, self._fire)

    async def _write(self) -> None:
        try:
            await self._sink.start_stream(self._headers())
            await self._sink.write(self._comment)
        except ClientGone:
            return  # the request's own task learns it, too, and cancels the upstream call
