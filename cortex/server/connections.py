"""Connections: aiohttp's protocol with the limits that it lacks, and errors told as everywhere else.

What aiohttp does by itself, as told: idle keep-alive connections are closed (one timer each, moved once in
`keep_alive_s`), framing is checked (two lengths, two hosts, bad chunks), a handler is cancelled when its client leaves,
half-closing included. Added here, by one sweep over all connections: a limit on the time for a request's headers, and
on the time that a client may take nothing of what is written to it. Of aiohttp's private state this file reads
`_request_count`, `_waiter` and `_reading_paused`, and it lets go of `_task_handler` and `_drain_waiter` where a handler
is to outlive its connection; tests on real sockets notice if one of them changes its meaning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import http_exceptions, web

from cortex.dialects.openai import OpenAIDialect
from cortex.errors import ClientError
from cortex.server.errors import HEAD_TIMEOUT, HEADERS_TOO_LARGE, INTERNAL_ERROR, MALFORMED
from cortex.server.head import answer_head
from cortex.server.ids import new_request_id
from cortex.server.limits import MAX_HEADER_LINE_BYTES, WRITE_HIGH_WATER_BYTES, Limits
from cortex.server.sink import CLOSED
from cortex.telemetry.log import Log

Handle: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connections(web.Server):
    """All connections of a listener: the protocol factory of its sockets."""

    def __init__(self, handle: Handle, log: Log, limits: Limits) -> None:
        super().__init__(handle, handler_cancellation=True)
        self._log = log
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> Connection:
        return Connection(self, self._log, self._limits)

    def start_sweeping(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._limits.sweep_s, self._sweep)

    async def close(self) -> None:
        """Cancel every handler and close every connection. What is written may still leave, for a moment."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(connection.drop() for connection in self._ours()))

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._ours():
            connection.expire(now)
        self.start_sweeping()

    def _ours(self) -> list[Connection]:
        return [connection for connection in self.connections if isinstance(connection, Connection)]


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_head_since", "_limits", "_link", "_log", "_lost", "_orphan", "_outlived", "_stuck_since")

    def __init__(self, connections: Connections, log: Log, limits: Limits) -> None:
        super().__init__(
            connections,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # switches the access log off
            keepalive_timeout=limits.keep_alive_s,
            lingering_time=limits.linger_s,
            max_line_size=MAX_HEADER_LINE_BYTES,
            max_field_size=MAX_HEADER_LINE_BYTES,
            auto_decompress=False,
        )
        self._log = log
        self._limits = limits
        self._link: asyncio.Transport | None = None  # kept when aiohttp lets go of it, to see the closing through
        self._head_since: float | None = None  # the first byte of a request whose headers are not complete
        self._lost = asyncio.Event()
        self._stuck_since: float | None = None  # the client has been taking nothing
        self._outlived = False  # others wait for what its handler does
        self._orphan: asyncio.Task[None] | None = None  # the handler that has outlived it

    # What the sweep looks at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._link = self.transport
        if self._link is not None:
            self._link.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)

    def outlive(self, stays: bool) -> None:
        """Whether the handler goes on when the client leaves. If so, it waits for the client no longer."""
        self._outlived = stays
        waiter, orphan = self._drain_waiter, self._orphan
        if stays and waiter is not None:
            self._drain_waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif not stays and orphan is not None:
            self._orphan = None
            orphan.cancel()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._outlived:
            self._orphan, self._task_handler = self._task_handler, None  # which would be cancelled
        super().connection_lost(exc)
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        heads = self._request_count
        super().data_received(data)
        if self._request_count != heads:
            self._head_since = None
        elif self._head_since is None and data and self._awaits_request():
            self._head_since = self._loop.time()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp resumes after each read of a body. Where nothing was paused, that is work for nothing."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck_since = self._loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stuck_since = None

    def expire(self, now: float) -> None:
        """Close the connection if its client is too slow."""
        if self._link is None:
            return
        if self._stuck_since is None and self._link.is_closing():
            self._stuck_since = now  # closing ends when the client has taken what is left
        if self._stuck_since is not None and now - self._stuck_since >= self._limits.unread_s:
            self._link.abort()
        elif self._head_since is not None and now - self._head_since >= self._limits.head_s:
            self._head_since = None
            self._link.write(_last_answer(HEAD_TIMEOUT))
            self.force_close()

    async def drop(self) -> None:
        """Close, whatever is going on, and wait until that has come about."""
        task = self._task_handler
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.force_close()
        try:
            await asyncio.wait_for(self._lost.wait(), self._limits.linger_s)
        except TimeoutError:
            if self._link is not None:
                self._link.abort()

    def _awaits_request(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    # What aiohttp tells

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """A request that the parser refused, or whose handler failed where nothing may fail."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun: there is no room for another")
        if isinstance(exc, http_exceptions.LineTooLong):
            error = HEADERS_TOO_LARGE
        elif isinstance(exc, http_exceptions.HttpProcessingError):
            error = MALFORMED
        else:
            error = INTERNAL_ERROR
            self.log_exception("a connection's handler failed", exc_info=exc)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_last_answer(error))
        return CLOSED

    def log_exception(self, *args: Any, **kw: Any) -> None:
        error = kw.get("exc_info")
        self._log.error("a connection failed unexpectedly", reason=str(args[0]), error=repr(error))


def _last_answer(error: ClientError) -> bytes:
    """For a connection that serves no further request."""
    request_id = new_request_id()
    body = OpenAIDialect().render_error(error, request_id)
    framing = f"Content-Length: {len(body)}\r\n"
    return answer_head(error.status, request_id, {"Content-Type": "application/json"}, framing) + body
