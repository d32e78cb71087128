"""The one HTTP client: sends a request to an upstream and gives its answer's bytes as they arrive.

Whatever goes wrong is a `Fault`; its message names host, port and cause, never a header's value. Redirects come back as
ordinary answers, so that credentials never follow one. Proxies, `.netrc` and cookies are unknown here, certificates are
always verified.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial

from cortex.content_coding import Inflater, inflater
from cortex.errors import Fault, FaultKind
from cortex.transport import UpstreamRequest
from cortex.upstream.answer import Answer
from cortex.upstream.connection import Connection
from cortex.upstream.dial import Dialer
from cortex.upstream.head import request_head
from cortex.upstream.pool import Pool
from cortex.upstream.resolve import Resolver
from cortex.upstream.target import Target, target_of

IDLE_S = 75.0
MAX_IDLE_PER_ORIGIN = 256
MAX_IDLE = 1024


class HttpTransport:
    """A pool of connections to any number of upstreams; implements `cortex.transport.Transport`.

    Belongs to the event loop of its first call. `ssl_context` stands in for the system's trust store.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None, *, idle_s: float = IDLE_S) -> None:
        self._dialer = Dialer(ssl_context, Resolver())
        self._idle: Pool[Connection] = Pool(idle_s, MAX_IDLE_PER_ORIGIN, MAX_IDLE)
        self._connections: set[Connection] = set()  # all that have a socket
        self._expiry: asyncio.TimerHandle | None = None  # one for all, set while any connection is idle
        self._all_gone: asyncio.Future[None] | None = None
        self._closed = False

    async def open(self, request: UpstreamRequest, *, connect_timeout_s: float) -> HttpResponse:
        """Send the request and wait for the headers. Raises Fault(CONNECT, STALE_CONNECTION or BROKEN).

        A header that would break the framing (a line break, a NUL) raises Fault(BAD_REQUEST) and is not sent.
        """
        if self._closed:
            raise Fault(FaultKind.CONNECT, "the transport is closed")
        target = target_of(request.url)
        head = request_head(request.method, target, request.headers, len(request.body), request.own_headers)
        connect_s = 0.0
        connection = self._take(target)
        if connection is None:
            started = time.monotonic()
            make = partial(Connection, target, self._made, self._lost)
            connection = await self._dialer.dial(target, make, connect_timeout_s)
            connect_s = time.monotonic() - started
        try:
            answer = await connection.exchange(request.method, head, request.body)
        except BaseException:  # cancelled, more often than not
            connection.abort()
            raise
        return HttpResponse(connection, answer, connect_s, self._give_back)

    async def close(self) -> None:
        """Drop every connection; calls in progress end with a fault."""
        self._closed = True
        if self._expiry is not None:
            self._expiry.cancel()
        self._idle.clear()
        for connection in self._connections:
            connection.abort()
        if self._connections:
            self._all_gone = asyncio.get_running_loop().create_future()
            await self._all_gone

    def _take(self, target: Target) -> Connection | None:
        """An idle connection that is good for another request."""
        while (connection := self._idle.take(target.origin)) is not None:
            if connection.is_silent():
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: Connection) -> None:
        """Keep the connection for another request, or drop it."""
        if self._closed or not connection.rest():
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        surplus = self._idle.put(connection.origin, connection, loop.time())
        if surplus is not None:
            surplus.abort()
        if self._expiry is None:
            self._expire()

    def _expire(self) -> None:
        """Close what has rested long enough, and come again when the next will have."""
        loop = asyncio.get_running_loop()
        for connection in self._idle.expire(loop.time()):
            connection.abort()
        due = self._idle.due()
        self._expiry = None if due is None else loop.call_at(due, self._expire)

    def _made(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._closed:  # while it was being opened
            connection.abort()

    def _lost(self, connection: Connection) -> None:
        self._idle.discard(connection.origin, connection)
        self._connections.discard(connection)
        if self._all_gone is not None and not self._connections and not self._all_gone.done():
            self._all_gone.set_result(None)


class HttpResponse:
    """An answer whose headers have come; implements `cortex.transport.UpstreamResponse`."""

    __slots__ = ("_answer", "_closed", "_coding", "_connection", "_give_back", "_inflater", "connect_s", "status")

    def __init__(
        self, connection: Connection, answer: Answer, connect_s: float, give_back: Callable[[Connection], None]
    ) -> None:
        self.status = answer.status
        self.connect_s = connect_s
        self._connection = connection
        self._answer = answer
        self._give_back = give_back
        self._closed = False
        self._coding = answer.content_coding
        self._inflater: Inflater | None = None

    async def pump(self, consume: Callable[[bytes], bool]) -> bool:
        """Give each piece of the body to `consume` as it arrives; see `cortex.transport`."""
        if self._coding is None and self._inflater is None:
            return await self._connection.pump(self._answer, consume)
        while data := await self.read():
            if not consume(data):
                return False
        return True

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def at_end(self) -> bool:
        return (
            self._answer.complete
            and not self._answer.buffered_bytes
            and self._coding is None
            and self._inflater is None
        )

    async def read(self) -> bytes:
        """The body's next bytes as they arrive, without their content coding; b"" once at the end.

        Raises Fault(BROKEN) if the body was cut, Fault(INVALID_RESPONSE) if its coding is unknown or does not decode.
        """
        if self._coding is not None:
            self._inflater, self._coding = inflater(self._coding), None
        if self._inflater is None:
            return await self._connection.read(self._answer)
        while not (output := self._inflater.take()):
            if not (data := await self._connection.read(self._answer)):
                self._inflater.finish()
                break
            self._inflater.feed(data)
        return output

    def close(self) -> None:
        """Give the connection back if the body has come to its end, else drop it. Never raises, never waits."""
        if not self._closed:
            self._closed = True
            self._give_back(self._connection)
