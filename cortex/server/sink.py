"""The way back to one client: `cortex.sink.Sink` over aiohttp's responses.

Every answer of the server goes through here, so every answer carries the request's id. What was begun and not ended is
cut, never finished: a cut answer must not look whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import HttpVersion11, web

from cortex.server.ids import id_headers
from cortex.sink import ClientGone

_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


class _EventStream(web.StreamResponse):
    # The headers leave with the first frame, in one packet. Without effect if aiohttp drops the attribute.
    _send_headers_immediately = False


class ResponseSink:
    """`draining` is asked when the headers go: from then on a connection serves no further request."""

    def __init__(self, request: web.BaseRequest, request_id: str, draining: Callable[[], bool]) -> None:
        self.started = False
        self.close_after = False  # the connection is not to be used again
        self._ended = False
        self._request = request
        self._headers = {**id_headers(request_id), "Server": "cortex"}
        self._draining = draining
        self._response: web.StreamResponse | None = None

    @property
    def streaming(self) -> bool:
        """An event stream is open: an error can only be told as an event."""
        return isinstance(self._response, _EventStream) and not self._ended

    async def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer. Raises ClientGone."""
        await self._start(web.Response(status=status, headers={**self._headers, **headers}, body=body))
        await self.end()

    async def start_stream(self, headers: Mapping[str, str]) -> None:
        """200 and the headers of an event stream; a second call does nothing. Raises ClientGone."""
        if self.started:
            return
        stream = _EventStream(headers={**self._headers, **headers, **_STREAM_HEADERS})
        if self._request.version < HttpVersion11:
            stream.force_close()  # no chunks in HTTP/1.0: the end of the connection is the end of the stream
        await self._start(stream)

    async def write(self, data: bytes) -> None:
        """Whole frames; waits while more than the high-water mark is unsent. Raises ClientGone."""
        assert self._response is not None, "the stream has not been started"
        try:
            await self._response.write(data)
        except ConnectionError as error:
            raise ClientGone from error

    async def end(self) -> None:
        """The answer is complete. Raises ClientGone."""
        assert self._response is not None, "nothing has been started"
        try:
            await self._response.write_eof()
        except ConnectionError as error:
            raise ClientGone from error
        self._ended = True

    def finish(self) -> web.StreamResponse:
        """What the handler returns to aiohttp, which finds nothing left to write. Cuts what has not been ended."""
        if not self._ended and (transport := self._request.transport) is not None:
            transport.abort()
        response = self._response or web.Response(status=499)
        self._close_if_due(response)  # also where it came to that after the headers had gone
        return response

    async def _start(self, response: web.StreamResponse) -> None:
        self._close_if_due(response)
        try:
            await response.prepare(self._request)
        except ConnectionError as error:
            raise ClientGone from error
        self._response = response
        self.started = True

    def _close_if_due(self, response: web.StreamResponse) -> None:
        if self.close_after or self._draining():
            response.force_close()
