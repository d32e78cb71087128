"""How each fault of an upstream looks through the HTTP transport, on real sockets and on both event loops."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from cortex.content_coding import MAX_OUTPUT_BYTES
from cortex.errors import FaultKind
from cortex.transport import UpstreamRequest
from cortex.upstream.transport import HttpTransport
from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.baseline import Baseline
from tests.support.ports import dead_url, silent_url
from tests.support.transport import fault_of_open, fetch, post, read_all, read_until_fault
from tests.support.upstream import Upstream
from tests.support.upstream_replies import Reply, close, json, pause, raw, reset, stall, stream

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

OK = json({"ok": True})


def answer(fields: bytes, status_line: bytes = b"HTTP/1.1 200 OK") -> Reply:
    """A head that says something odd of a body, on a connection that stays open."""
    return raw(status_line + b"\r\n" + fields + b"\r\n\r\nabc", stall)


WHOLE = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole")


def chunked(data: bytes) -> Reply:
    return raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n", pause(0.01), data, stall)


# No connection.


@pytest.mark.parametrize("url", ["http://nobody.invalid:8080", "http://127.1:9", "http://"])
async def test_no_such_host(transport: HttpTransport, url: str) -> None:
    assert (await fault_of_open(transport, url)).kind is FaultKind.CONNECT


async def test_connection_refused(transport: HttpTransport) -> None:
    fault = await fault_of_open(transport, dead_url())
    assert fault.kind is FaultKind.CONNECT


async def test_a_connect_that_nobody_answers_ends_in_time(transport: HttpTransport) -> None:
    with silent_url() as url:
        assert (await fault_of_open(transport, url, connect_timeout_s=0.05)).kind is FaultKind.CONNECT


async def test_a_tls_handshake_that_nobody_answers_ends_in_time(transport: HttpTransport) -> None:
    async with Upstream(OK) as upstream:
        url = upstream.url.replace("http:", "https:")
        assert (await fault_of_open(transport, url, connect_timeout_s=0.05)).kind is FaultKind.CONNECT
        await upstream.wait_closed()


async def test_a_trusted_certificate() -> None:
    async with Upstream(OK, certificate_for="127.0.0.1") as upstream:
        transport = HttpTransport(upstream.trusting())
        assert await fetch(transport, upstream.url) == b'{"ok": true}'
        await transport.close()


async def test_an_untrusted_certificate(transport: HttpTransport) -> None:
    async with Upstream(OK, certificate_for="127.0.0.1") as upstream:
        fault = await fault_of_open(transport, upstream.url)
        assert fault.kind is FaultKind.CONNECT
        assert "certificate verify failed" in fault.message
        assert upstream.requests == []


async def test_a_certificate_for_another_host(baseline: Baseline) -> None:
    async with Upstream(OK, certificate_for="api.example") as upstream:
        transport = HttpTransport(upstream.trusting())
        fault = await fault_of_open(transport, upstream.url)
        assert fault.kind is FaultKind.CONNECT
        assert "certificate verify failed" in fault.message
        assert upstream.requests == []
        await transport.close()
    await baseline.restored()


async def test_verification_cannot_be_switched_off() -> None:
    with pytest.raises(ValueError, match="verified"):
        HttpTransport(ssl._create_unverified_context())


# No answer, or none that HTTP allows.


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(faults.RESET, id="reset"),
        pytest.param(faults.CLOSE, id="closed"),
        pytest.param(faults.BAD_STATUS_LINE, id="bad status line"),
        pytest.param(faults.NOT_HTTP, id="not HTTP"),
        pytest.param(faults.HALF_A_HEAD, id="half a head"),
        pytest.param(faults.both_lengths({}), id="length and chunks"),
        pytest.param(json({}, headers={"content-length": "3"}), id="two lengths"),
        pytest.param(json({}, headers={"X-A": "a\0b"}), id="NUL in a header"),
        pytest.param(json({}, headers={"X-A": "a\rb"}), id="bare CR in a header"),
        pytest.param(json({}, headers={"X-A": "a\nContent-Length: 0"}), id="bare LF in a header"),
        pytest.param(json({}, headers={"X-A": "a\r\n b"}), id="folded header"),
        pytest.param(json({}, headers={"X-A ": "a"}), id="space before the colon"),
        pytest.param(json({}, headers={"": "a"}), id="header without a name"),
        pytest.param(answer(b"Transfer-Encoding: chunked\r\nContent-Length: 3"), id="chunks and length"),
        pytest.param(answer(b"Content-Length: 3\r\nContent-Length: 3"), id="the same length twice"),
        pytest.param(answer(b"Content-Length: 3, 3"), id="length as a list"),
        pytest.param(answer(b"Content-Length: +3"), id="length with a sign"),
        pytest.param(answer(b"Content-Length: -3"), id="negative length"),
        pytest.param(answer(b"Content-Length: 0x3"), id="hexadecimal length"),
        pytest.param(answer(b"Content-Length:"), id="empty length"),
        pytest.param(answer(b"Content-Length: 99999999999999999999"), id="length beyond any number"),
        pytest.param(answer(b"Transfer-Encoding: gzip"), id="unknown transfer coding"),
        pytest.param(answer(b"Transfer-Encoding: gzip, chunked"), id="transfer coding before chunks"),
        pytest.param(answer(b"Transfer-Encoding: chunked, gzip"), id="transfer coding after chunks"),
        pytest.param(answer(b"Transfer-Encoding: xchunked"), id="almost chunked"),
        pytest.param(answer(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), id="chunked twice"),
        pytest.param(answer(b"Transfer-Encoding: chunked", b"HTTP/1.0 200 OK"), id="chunks in HTTP/1.0"),
        pytest.param(answer(b"Content-Length: 3", b"HTTP/0.9 200 OK"), id="HTTP/0.9"),
        pytest.param(answer(b"Content-Length: 3", b"HTTP/2.0 200 OK"), id="HTTP/2.0"),
        pytest.param(answer(b"Content-Length: 3", b"RTSP/1.0 200 OK"), id="RTSP"),
        pytest.param(answer(b"Content-Length: 3", b"ICE/1.0 200 OK"), id="ICE"),
        pytest.param(answer(b"Content-Length: 3", b"HTTP/1.1 099 OK"), id="status below 100"),
        pytest.param(answer(b"Content-Length: 3", b"HTTP/1.1 2000 OK"), id="status of four digits"),
        pytest.param(answer(b"Content-Length: 3", b"HTTP/1.1 101 Go\r\nUpgrade: x"), id="switch of protocols"),
        pytest.param(raw(b"hello\n", stall), id="HTTP/0.9 without a head"),
        pytest.param(raw(b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 201, stall), id="hints for ever"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * 70_000, stall), id="header without an end"),
        pytest.param(faults.long_header(20_000), id="header too long"),
        pytest.param(json({}, headers={f"X-{number}": "" for number in range(200)}), id="too many headers"),
        pytest.param(raw(b"HTTP/1.1 200 " + b"x" * 20_000, stall), id="status line too long"),
    ],
)
async def test_broken_before_the_headers(transport: HttpTransport, reply: Reply) -> None:
    async with Upstream(reply) as upstream:
        assert (await fault_of_open(transport, upstream.url)).kind is FaultKind.BROKEN
        await upstream.connections[0].gone()


async def test_long_headers_within_the_limit(transport: HttpTransport) -> None:
    async with Upstream(faults.long_header(16_000)) as upstream:
        response = await post(transport, upstream.url)
        assert len(response.headers["x-long"]) == 16_000
        await read_all(response)


async def test_what_is_malformed_is_not_quoted(transport: HttpTransport) -> None:
    async with Upstream(raw(b"HTTP/1.1 200 OK\r\nX\0: sk-leak\r\n\r\n")) as upstream:
        fault = await fault_of_open(transport, upstream.url)
        assert "sk-leak" not in fault.message


# A body that breaks.


@pytest.mark.parametrize("late", [False, True], ids=["reading", "reading later"])
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(stream(b"whole", close), id="chunks cut"),
        pytest.param(stream(b"whole", reset), id="chunks reset"),
        pytest.param(json("x" * 90, headers={"Content-Length": "99"}).then(close), id="length too long"),
        pytest.param(json("x" * 90, headers={"Content-Length": "99"}).then(reset), id="length, reset"),
        pytest.param(faults.bad_chunk_size(), id="bad chunk size"),
        pytest.param(chunked(b"0x3\r\nabc\r\n"), id="chunk size with a prefix"),
        pytest.param(chunked(b"+3\r\nabc\r\n"), id="chunk size with a sign"),
        pytest.param(chunked(b" 3\r\nabc\r\n"), id="chunk size after a space"),
        pytest.param(chunked(b"\r\nabc\r\n"), id="no chunk size"),
        pytest.param(chunked(b"3\nabc\r\n"), id="chunk size before a bare LF"),
        pytest.param(chunked(b"fffffffffffffffff\r\nabc"), id="chunk size beyond any number"),
        pytest.param(chunked(b"3;a\nb\r\nabc\r\n"), id="bare LF in a chunk extension"),
        pytest.param(chunked(b"3;" + b"x" * 70_000), id="chunk extension without an end"),
        pytest.param(chunked(b"0\r\nX: " + b"x" * 70_000), id="trailer without an end"),
        pytest.param(chunked(b"0\r\n" + b"X: y\r\n" * 201), id="too many trailers"),
        pytest.param(chunked(b"0\r\nContent-Length: 3\r\n\r\n"), id="length as a trailer"),
    ],
)
async def test_a_broken_body_gives_what_came_and_then_the_fault(
    transport: HttpTransport, reply: Reply, late: bool
) -> None:
    async with Upstream(reply) as upstream:
        response = await post(transport, upstream.url)
        if late:
            await upstream.connections[0].gone()
            await asyncio.sleep(0.01)  # nothing shows that the client's socket has been read
        body, fault = await read_until_fault(response)
        assert fault.kind is FaultKind.BROKEN
        assert body in (b"whole", b'"' + b"x" * 90 + b'"') or body.count(b"data: ") == len(faults.TOKENS) + 1
        await upstream.connections[0].gone()


@pytest.mark.parametrize("ending", [close, reset])
async def test_a_body_without_framing_ends_where_the_connection_does(
    transport: HttpTransport, ending: replies.Action
) -> None:
    async with Upstream(faults.close_delimited({"a": 1}, keep=5, ending=ending)) as upstream:
        assert await fetch(transport, upstream.url) == b'{"a":'


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n", *WHOLE.steps), id="100"),
        pytest.param(raw(b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" * 2, *WHOLE.steps), id="103 twice"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nwhole\r\n00\r\nX-A: 1\r\n\r\n"),
            id="chunk extension and trailer",
        ),
        pytest.param(raw(b"HTTP/1.1 200\r\nContent-Length: 5 \r\n\r\nwhole"), id="no reason"),
        pytest.param(raw(b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nwhole"), id="1.0"),
    ],
)
async def test_what_http_allows_is_taken(transport: HttpTransport, reply: Reply, size: int) -> None:
    async with Upstream(reply.in_pieces(size)) as upstream:
        for _ in range(2):
            response = await post(transport, upstream.url)
            assert response.status == 200
            assert "x-a" not in response.headers
            assert await read_all(response) == b"whole"
        assert len(upstream.connections) == 1


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ],
)
async def test_some_answers_have_no_body(transport: HttpTransport, method: str, head: bytes) -> None:
    async with Upstream([raw(head), OK]) as upstream:
        response = await transport.open(UpstreamRequest(method, upstream.url, {}, b""), connect_timeout_s=5)
        assert await read_all(response) == b""
        assert await fetch(transport, upstream.url) == b'{"ok": true}'
        assert len(upstream.connections) == 1


# Content codings that were not asked for.


@pytest.mark.parametrize("size", [None, 1])
async def test_gzip_is_taken_off(transport: HttpTransport, size: int | None) -> None:
    reply = faults.gzipped({"content": "hello"})
    async with Upstream(reply if size is None else reply.in_pieces(size)) as upstream:
        assert await fetch(transport, upstream.url) == b'{"content": "hello"}'
        await fetch(transport, upstream.url)
        assert len(upstream.connections) == 1


async def test_a_gzipped_stream(transport: HttpTransport) -> None:
    async with Upstream(faults.gzipped_stream()) as upstream:
        assert (await fetch(transport, upstream.url)).endswith(b"data: [DONE]\n\n")


async def test_a_bomb_comes_in_bounded_pieces(transport: HttpTransport) -> None:
    async with Upstream(faults.gzip_bomb(16)) as upstream:
        response = await post(transport, upstream.url)
        sizes = []
        while data := await response.read():
            sizes.append(len(data))
        response.close()
        assert sum(sizes) == 16 * 1024 * 1024
        assert max(sizes) <= MAX_OUTPUT_BYTES


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(faults.not_gzip(), FaultKind.INVALID_RESPONSE, id="not gzip"),
        pytest.param(faults.unknown_coding("br"), FaultKind.INVALID_RESPONSE, id="brotli"),
        pytest.param(faults.unknown_coding("gzip, gzip"), FaultKind.INVALID_RESPONSE, id="twice"),
        pytest.param(faults.gzipped({"a": 1}, keep=12), FaultKind.BROKEN, id="gzip cut"),
    ],
)
async def test_a_coding_that_cannot_be_taken_off(transport: HttpTransport, reply: Reply, kind: FaultKind) -> None:
    async with Upstream(reply) as upstream:
        response = await post(transport, upstream.url)
        assert response.status == 200
        assert (await read_until_fault(response))[1].kind is kind
