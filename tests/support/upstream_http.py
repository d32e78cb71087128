"""The server side of one HTTP/1.1 connection, without an HTTP framework: reads requests, sends what it is told to.

It knows nothing of scripts and replies. What a well-behaved server would never do, it can: close without an answer,
reset, send half a header.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

PATIENCE_S = 5.0  # how long a test waits for a condition before it fails


class Watch:
    """Waits for conditions that callbacks bring about."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def changed(self) -> None:
        for future, condition in list(self._waiting.items()):
            if not future.done() and condition():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Raises AssertionError if `condition` does not come true in time."""
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = condition
        try:
            async with asyncio.timeout(PATIENCE_S):
                await future
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE_S:g} s in vain for {what}") from None
        finally:
            del self._waiting[future]


@dataclass(frozen=True)
class Request:
    """One request as it came. `number` and `nth_on_connection` count from 0."""

    method: str
    path: str  # query included
    headers: Mapping[str, str]  # names in lower case
    raw_headers: tuple[tuple[str, str], ...]
    body: bytes
    number: int  # among all requests of this upstream, in order of arrival
    nth_on_connection: int
    connection: Connection = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str | None:
        """The API key: of `Authorization: Bearer`, else of `x-api-key` or `x-goog-api-key`."""
        authorization = self.headers.get("authorization", "").removeprefix("Bearer ")
        return authorization or self.headers.get("x-api-key") or self.headers.get("x-goog-api-key")


class Connection(asyncio.Protocol):
    """One connection, which joins `opened` once it is accepted (and its TLS handshake done). `serve` is its task."""

    def __init__(self, opened: list[Connection], serve: Callable[[Connection], Awaitable[None]], watch: Watch) -> None:
        self.dropped = False  # the client closed it, not we
        self.requests = 0
        self._opened = opened
        self._serve = serve
        self._watch = watch
        self._closing = False  # by us
        self._buffer = bytearray()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.number = len(self._opened)
        self._opened.append(self)
        self.task = asyncio.ensure_future(self._serve(self))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._readable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.dropped = not self._closing
        for event in (self._lost, self._readable, self._writable):
            event.set()
        self._watch.changed()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What a reply does.

    @property
    def open(self) -> bool:
        return not self._lost.is_set()

    @property
    def ended(self) -> bool:
        """Nothing can be sent any more."""
        return self._closing or not self.open

    async def send(self, data: bytes) -> None:
        if not self.ended:
            self._transport.write(data)
            await self._writable.wait()

    def close(self) -> None:
        """FIN, after what has been sent."""
        self._closing = True
        self._transport.close()

    def reset(self) -> None:
        """RST: the client's next read fails."""
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def abort(self) -> None:
        """Close at once, whatever has not been sent or acknowledged."""
        self._closing = True
        self._transport.abort()

    async def gone(self) -> None:
        """Wait, for any time, until the connection is closed by either side."""
        await self._lost.wait()

    async def receive(self, number: Callable[[], int]) -> Request | None:
        """The next request, numbered by `number` when it is whole; None if the connection ends before."""
        while not self.ended:
            if (request := self._take(number)) is not None:
                return request
            self._readable.clear()
            await self._readable.wait()
        return None

    def _take(self, number: Callable[[], int]) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        request_line, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, path, _ = request_line.split(" ")
        raw_headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        headers = {name.lower(): value for name, value in raw_headers}
        assert "transfer-encoding" not in headers, "a chunked request body"
        start = end + 4
        stop = start + int(headers.get("content-length", "0"))
        if len(self._buffer) < stop:
            return None
        body = bytes(self._buffer[start:stop])
        del self._buffer[:stop]
        nth, self.requests = self.requests, self.requests + 1
        return Request(method, path, headers, raw_headers, body, number(), nth, self)
