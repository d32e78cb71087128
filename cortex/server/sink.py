"""The way back to one client: `cortex.sink.Sink`, as bytes on its connection.

Every answer of the server goes through here, so every answer carries the request's id. What was begun and not ended is
cut, never finished: a cut answer must not look whole. aiohttp's own responses are for those who change an answer on its
way; here it is known when it goes, so its head is put together once and leaves with the first of its body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from aiohttp import HttpVersion11, web

from cortex.server.head import answer_head
from cortex.server.limits import WRITE_HIGH_WATER_BYTES
from cortex.sink import ClientGone

_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
_LAST_CHUNK = b"0\r\n\r\n"


@runtime_checkable
class Outliving(Protocol):
    """A connection whose handler may go on without it."""

    def outlive(self, stays: bool) -> None: ...


class ResponseSink:
    """`draining` is asked when the headers go: from then on a connection serves no further request."""

    __slots__ = (
        "_chunked",
        "_draining",
        "_ended",
        "_head",
        "_keep_alive",
        "_outlives",
        "_request",
        "_request_id",
        "_streaming",
        "close_after",
        "started",
    )

    def __init__(self, request: web.BaseRequest, request_id: str, draining: Callable[[], bool]) -> None:
        self.started = False
        self.close_after = False  # the connection is not to be used again
        self._request = request
        self._request_id = request_id
        self._draining = draining
        self._keep_alive = False  # as the headers have told it
        self._streaming = False
        self._outlives = False
        self._chunked = True  # of a stream: else the end of the connection is its end
        self._ended = False
        self._head = b""  # of a stream, until its first frame: they leave in one packet

    @property
    def streaming(self) -> bool:
        """An event stream is open: an error can only be told as an event."""
        return self._streaming and not self._ended

    def outlive(self, stays: bool) -> None:
        """Whether the request is to be worked on even if its client leaves. It is not waited for, then: `drain`
        returns at once. Once it is not to be, a client that has left counts as one that leaves now."""
        self._outlives = stays
        connection = self._request.protocol
        if isinstance(connection, Outliving):
            connection.outlive(stays)

    async def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer. Raises ClientGone."""
        head = self._start(status, headers, f"Content-Length: {len(body)}\r\n")
        room = self._put(head if self._request.method == "HEAD" else head + body)
        self._ended = True
        if not room:
            await self.drain()

    async def start_stream(self, headers: Mapping[str, str]) -> None:
        """200 and the headers of an event stream; a second call does nothing. Raises ClientGone."""
        if self.started:
            return
        framing = "Transfer-Encoding: chunked\r\n"
        if self._request.version < HttpVersion11:
            self._chunked = False
            self.close_after = True
            framing = ""
        self._head = self._start(200, {**headers, **_STREAM_HEADERS}, framing)
        self._streaming = True

    def put(self, data: bytes) -> bool:
        """Whole frames. False: more than the high-water mark is unsent. Raises ClientGone."""
        return self._put(self._framed(data)) if data else True  # as a chunk nothing would be the last

    async def drain(self) -> None:
        """Wait until less than the low-water mark is unsent. Raises ClientGone."""
        if self._outlives:
            return
        try:
            await self._request.writer.drain()
        except ConnectionError as error:
            raise ClientGone from error

    async def write(self, data: bytes) -> None:
        """`put`, and `drain` if need be. Raises ClientGone."""
        if not self.put(data):
            await self.drain()

    async def end(self, last: bytes = b"") -> None:
        """The stream is complete, with these frames if any. Raises ClientGone."""
        data = self._framed(last)
        room = self._put(data + _LAST_CHUNK if self._chunked else data)
        self._ended = True
        if not room:
            await self.drain()

    def finish(self) -> web.StreamResponse:
        """What the handler returns to aiohttp, which finds nothing left to write. Cuts what has not been ended."""
        if not self._ended and (transport := self._request.transport) is not None:
            transport.abort()
        return KEPT if self._keep_alive and not (self.close_after or self._draining()) else CLOSED

    def _start(self, status: int, headers: Mapping[str, str], framing: str) -> bytes:
        """The head of the answer."""
        request = self._request
        keep_alive = self._keep_alive = request.keep_alive and not (self.close_after or self._draining())
        minor = 1 if request.version >= HttpVersion11 else 0
        head = answer_head(status, self._request_id, headers, framing, minor=minor, keep_alive=keep_alive)
        self.started = True
        request.writer.output_size += len(head)  # aiohttp wants to know whether an answer has begun
        return head

    def _framed(self, data: bytes) -> bytes:
        """As a chunk, behind the head if that has not gone."""
        if data and self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._head:
            data, self._head = self._head + data, b""
        return data

    def _put(self, data: bytes) -> bool:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        transport.write(data)
        return transport.get_write_buffer_size() <= WRITE_HIGH_WATER_BYTES


class _Sent(web.StreamResponse):
    """An answer that has gone: all that is left to tell is whether its connection may serve another request."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


KEPT = _Sent(keep_alive=True)
CLOSED = _Sent(keep_alive=False)
