"""The one HTTP client: sends a request to an upstream and gives its answer's bytes as they arrive.

It knows connections and nothing else: no JSON, no events, no keys, no retries, no deadline but the one to connect.
Whatever goes wrong is a `Fault`; its message names host, port and cause, never a header's value. Redirects come back as
ordinary answers, so that credentials never follow one. Proxies, `.netrc` and cookies are ignored, certificates are
always verified.

aiohttp does the work. Four of its ways do not suit a proxy and are mended here, each where it is named: a connection
on which the upstream spoke out of turn is reused, a connection with unsent bytes is not dropped at once, bytes that
came before a cut are lost, and a reader waits for ever if the framing goes bad after the headers.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import time
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from aiohttp.connector import Connection

from cortex import __version__
from cortex.content_coding import Inflater, inflater
from cortex.errors import Fault, FaultKind
from cortex.transport import UpstreamRequest

KEEPALIVE_S = 75.0
DNS_TTL_S = 300
READ_BUFFER_BYTES = 64 * 1024
MAX_HEADER_BYTES = 16 * 1024  # the status line's reason, and each header
_WRITE_AT_ONCE_BYTES = 1024 * 1024  # a longer body is written piece by piece


class HttpTransport:
    """A pool of connections to any number of upstreams; implements `cortex.transport.Transport`.

    Belongs to the event loop of its first call. `ssl_context` stands in for the system's trust store.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        if ssl_context is not None and not (
            ssl_context.check_hostname and ssl_context.verify_mode == ssl.CERT_REQUIRED
        ):
            raise ValueError("certificates and host names must be verified")
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def open(self, request: UpstreamRequest, *, connect_timeout_s: float) -> HttpResponse:
        """Send the request and wait for the headers. Raises Fault(CONNECT, STALE_CONNECTION or BROKEN).

        A header that would break the framing (a line break, a NUL) raises Fault(BAD_REQUEST) and is not sent.
        """
        if self._closed:
            raise Fault(FaultKind.CONNECT, "the transport is closed")
        if self._session is None:
            self._session = _new_session(self._ssl_context)
        way = _Way()
        try:
            response = await self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=_payload(request.body),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout_s),
                trace_request_ctx=way,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _fault(error, way, request.url) from error
        except ValueError:  # its text may quote the header: no cause
            raise Fault(FaultKind.BAD_REQUEST, "a header for the upstream holds a forbidden character") from None
        return HttpResponse(response, way.connect_s)

    async def close(self) -> None:
        """Drop every connection; calls in progress end with a fault."""
        self._closed = True
        if self._session is not None:
            await self._session.close()


class HttpResponse:
    """An answer whose headers have come; implements `cortex.transport.UpstreamResponse`."""

    def __init__(self, response: aiohttp.ClientResponse, connect_s: float) -> None:
        self.status = response.status
        self.headers = _headers(response)
        self.connect_s = connect_s
        self._response = response
        self._coding = self.headers.get("content-encoding")
        self._inflater: Inflater | None = None
        self._lost = _connection_lost(response)
        if self._lost is not None:
            self._lost.add_done_callback(self._fail_if_unfinished)

    async def read(self) -> bytes:
        """The body's next bytes as they arrive, without their content coding; b"" once at the end.

        Raises Fault(BROKEN) if the body was cut, Fault(INVALID_RESPONSE) if its coding is unknown or does not decode.
        """
        if self._coding is not None:
            self._inflater, self._coding = inflater(self._coding), None
        if self._inflater is None:
            return await self._receive()
        while not (output := self._inflater.take()):
            if not (data := await self._receive()):
                self._inflater.finish()
                break
            self._inflater.feed(data)
        return output

    async def close(self) -> None:
        """Give the connection back if the body has come to its end, else drop it. Never raises, never waits."""
        if self._lost is not None:
            self._lost.remove_done_callback(self._fail_if_unfinished)
            self._lost = None
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()

    async def _receive(self) -> bytes:
        content = self._response.content
        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError: already closed when asked
            # What came before the cut is still buffered, but readany() lets the error overtake it.
            if rest := content._read_nowait(-1):
                return rest
            raise Fault(FaultKind.BROKEN, f"the upstream's answer was cut: {_first_line(error)}") from error

    def _fail_if_unfinished(self, _: asyncio.Future[None]) -> None:
        """On bad framing after the headers aiohttp closes the connection and tells the body's reader nothing."""
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("invalid framing"))


@dataclass(slots=True)
class _Way:
    """What a call has met on its way, filled in by the session's trace."""

    started_s: float = 0.0
    connect_s: float = 0.0
    connected: bool = False
    reused: bool = False


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        # Anything that came since the connection was released would be taken for the answer to this request.
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError("the upstream spoke out of turn")
        return await super().send(conn)


class _Response(aiohttp.ClientResponse):
    def close(self) -> None:
        # A plain close waits for the upstream to take what has not been sent yet, perhaps for ever.
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        super().close()


def _new_session(ssl_context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_TTL_S,
            ssl=ssl_context if ssl_context is not None else True,
        ),
        headers={"User-Agent": f"cortex/{__version__}", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=READ_BUFFER_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        request_class=_Request,
        response_class=_Response,
        trace_configs=[_trace()],
    )


def _trace() -> aiohttp.TraceConfig:
    """Tells each call's `_Way` how it came by its connection."""

    async def connecting(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        way: _Way = context.trace_request_ctx
        way.started_s = time.monotonic()
        way.connected = way.reused = False

    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        way: _Way = context.trace_request_ctx
        way.connect_s = time.monotonic() - way.started_s
        way.connected = True

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        way: _Way = context.trace_request_ctx
        way.connected = way.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(connecting)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(reused)
    return trace


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    if not body:
        return None
    return body if len(body) <= _WRITE_AT_ONCE_BYTES else io.BytesIO(body)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Names in lower case, repeated ones joined, bytes that are not UTF-8 replaced."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        if not value.isascii():
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _connection_lost(response: aiohttp.ClientResponse) -> asyncio.Future[None] | None:
    """Done when the connection that still carries this answer is lost; None if all of the answer has come."""
    connection = response.connection
    if connection is None or connection.protocol is None:
        return None
    lost = connection.protocol.closed
    if lost is not None:
        # It lives as long as the connection; a pooled one may fail when nobody looks any more.
        lost.remove_done_callback(_retrieve)
        lost.add_done_callback(_retrieve)
    return lost


def _retrieve(lost: asyncio.Future[None]) -> None:
    if not lost.cancelled():
        lost.exception()


def _fault(error: Exception, way: _Way, url: str) -> Fault:
    """For a call that ended before its headers came."""
    where = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if not way.connected:
        return Fault(FaultKind.CONNECT, f"cannot connect to {where}: {_connect_cause(error)}")
    if isinstance(error, aiohttp.ClientResponseError):
        return Fault(FaultKind.BROKEN, f"{where} sent malformed headers: {_first_line(error.message)}")
    # aiohttp tells of a half-received head by giving it in place of a text.
    began = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
    if way.reused and not began:
        return Fault(FaultKind.STALE_CONNECTION, f"{where} had closed the connection before the request came")
    return Fault(FaultKind.BROKEN, f"{where} closed the connection before its headers were whole")


def _connect_cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "it took too long"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _first_line(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _first_line(error.os_error)
    if isinstance(error, aiohttp.InvalidURL):
        return "its URL is invalid"
    return _first_line(error)


def _first_line(text: object) -> str:
    """aiohttp quotes what it could not parse on the lines below."""
    return str(text).partition("\n")[0].rstrip(": ")
