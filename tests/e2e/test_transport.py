"""The HTTP transport against a scripted upstream on real sockets: what it sends, what it gives, how each fault looks.

Runs on both event loops: they differ in what a reader sees of a reset connection.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from random import Random

import pytest

from cortex import __version__
from cortex.content_coding import MAX_OUTPUT_BYTES
from cortex.errors import Fault, FaultKind
from cortex.http_transport import HttpResponse, HttpTransport
from cortex.transport import UpstreamRequest
from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.baseline import Baseline
from tests.support.ports import dead_url, silent_url
from tests.support.upstream import Script, Upstream
from tests.support.upstream_replies import Reply, close, json, raw, reset, stall, stream, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

SECRET = "sk-canary-4f1d"
OK = json({"ok": True})


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    transport = HttpTransport()
    yield transport
    await transport.close()


async def post(
    transport: HttpTransport,
    url: str,
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
    connect_timeout_s: float = 5.0,
) -> HttpResponse:
    request = UpstreamRequest("POST", url, {"Authorization": f"Bearer {SECRET}", **(headers or {})}, body)
    return await transport.open(request, connect_timeout_s=connect_timeout_s)


async def read_all(response: HttpResponse) -> bytes:
    """The whole body; the response is closed after it."""
    parts = []
    try:
        while data := await response.read():
            parts.append(data)
    finally:
        await response.close()
    return b"".join(parts)


async def fetch(transport: HttpTransport, url: str) -> bytes:
    return await read_all(await post(transport, url))


async def fault_of_open(transport: HttpTransport, url: str, connect_timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as caught:
        await post(transport, url, connect_timeout_s=connect_timeout_s)
    assert SECRET not in caught.value.message
    assert url.partition("://")[2] in caught.value.message
    return caught.value


async def read_until_fault(response: HttpResponse) -> tuple[bytes, Fault]:
    """What came before the fault, and the fault."""
    parts: list[bytes] = []
    with pytest.raises(Fault) as caught:  # noqa: PT012 - the parts are wanted too
        while data := await response.read():
            parts.append(data)
    await response.close()
    return b"".join(parts), caught.value


# What goes out.


async def test_the_request_goes_out_as_it_is(transport: HttpTransport) -> None:
    async with Upstream(OK) as upstream:
        url = f"{upstream.url}/v1/chat%20x?beta=1&q=a%2Fb"
        await read_all(await post(transport, url, b'{"model": "m"}', {"Content-Type": "application/json"}))
        (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/chat%20x?beta=1&q=a%2Fb")
    assert request.body == b'{"model": "m"}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"cortex/{__version__}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.key == SECRET
    names = [name.lower() for name, _ in request.raw_headers]
    assert len(names) == len(set(names))


async def test_a_get_has_no_body(transport: HttpTransport) -> None:
    async with Upstream(OK) as upstream:
        request = UpstreamRequest("GET", f"{upstream.url}/v1/models", {}, b"")
        await read_all(await transport.open(request, connect_timeout_s=5))
        assert upstream.requests[0].method == "GET"
        assert "content-length" not in upstream.requests[0].headers


@pytest.mark.parametrize("size", [1, 1024 * 1024, 5_000_000])
async def test_a_body_of_any_size_arrives_whole(transport: HttpTransport, size: int) -> None:
    body = Random(7).randbytes(size)
    async with Upstream(OK) as upstream:
        await read_all(await post(transport, upstream.url, body))
        assert upstream.requests[0].body == body


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_smuggle_another(transport: HttpTransport, value: str) -> None:
    async with Upstream(OK) as upstream:
        with pytest.raises(Fault) as caught:
            await post(transport, upstream.url, headers={"X-Trace": f"{SECRET}{value}"})
        assert caught.value.kind is FaultKind.BAD_REQUEST
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert upstream.requests == []


async def test_the_environment_has_no_say(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead_url())
    async with Upstream(OK) as upstream:
        assert await fetch(transport, upstream.url) == b'{"ok": true}'


async def test_cookies_are_not_kept(transport: HttpTransport) -> None:
    async with Upstream(json({}, headers={"Set-Cookie": "session=1; Path=/"})) as upstream:
        await fetch(transport, upstream.url)
        await fetch(transport, upstream.url)
        assert "cookie" not in upstream.requests[1].headers


async def test_a_redirect_is_an_answer(transport: HttpTransport) -> None:
    async with Upstream(OK) as elsewhere, Upstream(replies.redirect(elsewhere.url)) as upstream:
        response = await post(transport, upstream.url)
        assert (response.status, response.headers["location"]) == (302, elsewhere.url)
        await response.close()
        assert elsewhere.connections == []


# What comes back.


async def test_status_headers_and_body(transport: HttpTransport) -> None:
    async with Upstream(
        json({"no": 1}, status=418, headers={"Retry-After": "3", "X-RateLimit-Reset": "1s"})
    ) as upstream:
        response = await post(transport, upstream.url)
        assert response.status == 418
        assert response.headers["retry-after"] == "3"
        assert response.headers["x-ratelimit-reset"] == "1s"
        assert await response.read() == b'{"no": 1}'
        assert await response.read() == b""
        assert await response.read() == b""
        await response.close()


async def test_repeated_headers_are_joined_and_odd_bytes_replaced(transport: HttpTransport) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nX-B: caf\xe9\r\nContent-Length: 0\r\n\r\n"
    async with Upstream(raw(head)) as upstream:
        response = await post(transport, upstream.url)
        await response.close()
        assert response.headers["x-a"] == "1, 2"
        assert response.headers["x-b"].encode() == "caf\N{REPLACEMENT CHARACTER}".encode()


async def test_bytes_are_given_as_they_arrive(transport: HttpTransport) -> None:
    go_on = asyncio.Event()
    async with Upstream(stream(b"first", until(go_on), b"second")) as upstream:
        response = await post(transport, upstream.url)
        assert await response.read() == b"first"
        go_on.set()
        assert await read_all(response) == b"second"


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("size", [1, Random(7)])
async def test_any_split_gives_the_same_body(transport: HttpTransport, framing: str, size: int | Random) -> None:
    reply = stream(b"one", b"two", "drei \N{SNOWMAN}".encode(), framing=framing)
    async with Upstream(reply.in_pieces(size)) as upstream:
        assert await fetch(transport, upstream.url) == "onetwodrei \N{SNOWMAN}".encode()


async def test_a_line_of_three_megabytes(transport: HttpTransport) -> None:
    async with Upstream(faults.long_line(3_000_000)) as upstream:
        assert len(await fetch(transport, upstream.url)) > 3_000_000


# Connections.


async def test_one_connection_serves_many_requests(transport: HttpTransport) -> None:
    async with Upstream([OK, stream(b"a", b"b"), json({}, status=500), replies.redirect("/x")]) as upstream:
        times = []
        for _ in range(5):
            response = await post(transport, upstream.url)
            times.append(response.connect_s)
            await read_all(response)
        assert len(upstream.connections) == 1
        assert times[0] > 0
        assert times[1:] == [0, 0, 0, 0]


async def test_concurrent_requests_do_not_wait_for_each_other(transport: HttpTransport) -> None:
    go_on = asyncio.Event()
    async with Upstream(stream(b"a", until(go_on))) as upstream:
        responses = await asyncio.gather(*(post(transport, upstream.url) for _ in range(150)))
        assert upstream.open_connections == 150
        go_on.set()
        assert await asyncio.gather(*map(read_all, responses)) == [b"a"] * 150


async def test_an_unread_answer_costs_its_connection(transport: HttpTransport) -> None:
    async with Upstream([stream(b"a", stall), OK]) as upstream:
        response = await post(transport, upstream.url)
        assert await response.read() == b"a"
        await response.close()
        await response.close()
        await upstream.wait_closed()
        assert await fetch(transport, upstream.url) == b'{"ok": true}'
        assert len(upstream.connections) == 2


async def test_closing_a_whole_answer_twice_keeps_the_connection(transport: HttpTransport) -> None:
    async with Upstream(OK) as upstream:
        response = await post(transport, upstream.url)
        await read_all(response)
        await response.close()
        await fetch(transport, upstream.url)
        assert len(upstream.connections) == 1


async def test_what_an_upstream_says_out_of_turn_is_nobodys_answer(transport: HttpTransport) -> None:
    late = asyncio.Event()
    said = asyncio.Event()

    async def tell(_: object) -> None:
        said.set()

    twice = OK.then(until(late), *json({"whose": "?"}).steps, tell)
    async with Upstream([twice, json({"whose": "mine"})]) as upstream:
        await fetch(transport, upstream.url)
        late.set()
        await said.wait()
        await asyncio.sleep(0.01)  # nothing shows that the client's socket has been read
        fault = await fault_of_open(transport, upstream.url)
        assert fault.kind is FaultKind.STALE_CONNECTION
        assert await fetch(transport, upstream.url) == b'{"whose": "mine"}'


@pytest.mark.parametrize("ending", [close, reset])
async def test_a_stale_connection_is_told_apart(transport: HttpTransport, ending: replies.Action) -> None:
    async with Upstream(faults.stale(OK, ending)) as upstream:
        await fetch(transport, upstream.url)
        assert (await fault_of_open(transport, upstream.url)).kind is FaultKind.STALE_CONNECTION
        await fetch(transport, upstream.url)
        assert [request.connection.number for request in upstream.requests] == [0, 0, 1]


@pytest.mark.parametrize("reply", [faults.HALF_A_HEAD, faults.BAD_STATUS_LINE], ids=["half a head", "bad status line"])
async def test_an_answer_that_has_begun_is_not_stale(transport: HttpTransport, reply: Reply) -> None:
    async with Upstream([OK, reply]) as upstream:
        await fetch(transport, upstream.url)
        assert (await fault_of_open(transport, upstream.url)).kind is FaultKind.BROKEN
        assert len(upstream.connections) == 1


async def test_a_connection_closed_while_idle_is_not_reused(transport: HttpTransport) -> None:
    async with Upstream([OK.then(close), OK]) as upstream:
        await fetch(transport, upstream.url)
        await upstream.connections[0].gone()
        await asyncio.sleep(0.01)  # nothing shows that the client's socket has been read
        await fetch(transport, upstream.url)
        assert len(upstream.connections) == 2


async def test_a_reset_of_an_idle_connection_is_no_news(
    transport: HttpTransport, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = asyncio.Event()
    with caplog.at_level(logging.WARNING):
        async with Upstream(stream(b"a").then(until(go_on), reset)) as upstream:
            await fetch(transport, upstream.url)
            go_on.set()
            await upstream.connections[0].gone()
        await transport.close()
        gc.collect()
        await asyncio.sleep(0)
    assert caplog.records == []


async def test_closing_the_transport_drops_every_connection(transport: HttpTransport) -> None:
    async with Upstream([OK, stream(b"a", stall)]) as upstream:
        response = await post(transport, upstream.url)
        other = await post(transport, upstream.url)
        await read_all(response)
        assert await other.read() == b"a"
        reading = asyncio.ensure_future(other.read())
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(Fault) as caught:
            await reading
        assert caught.value.kind is FaultKind.BROKEN
        await other.close()
        await upstream.wait_closed(2)
        with pytest.raises(Fault) as caught:
            await post(transport, upstream.url)
        assert caught.value.kind is FaultKind.CONNECT


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


async def test_a_certificate_for_another_host() -> None:
    async with Upstream(OK, certificate_for="api.example") as upstream:
        transport = HttpTransport(upstream.trusting())
        fault = await fault_of_open(transport, upstream.url)
        assert fault.kind is FaultKind.CONNECT
        assert "certificate verify failed" in fault.message
        assert upstream.requests == []
        await transport.close()


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


# Giving up.


@pytest.mark.parametrize(
    "reply", [faults.BLACK_HOLE, faults.HALF_A_HEAD.cut(20, stall)], ids=["nothing", "half a head"]
)
async def test_cancelling_open_drops_the_connection(transport: HttpTransport, reply: Reply, baseline: Baseline) -> None:
    async with Upstream(reply) as upstream:
        opening = asyncio.ensure_future(post(transport, upstream.url))
        await upstream.wait_requests()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await upstream.wait_closed()
    await baseline.restored()


async def test_cancelling_a_read_drops_the_connection(transport: HttpTransport, baseline: Baseline) -> None:
    async with Upstream(faults.HEADERS_THEN_SILENCE) as upstream:
        response = await post(transport, upstream.url)
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await response.close()
        await upstream.wait_closed()
    await baseline.restored()


async def test_cancelling_an_upload_that_the_upstream_does_not_take(
    transport: HttpTransport, baseline: Baseline
) -> None:
    taken = asyncio.Event()

    class Deaf(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.pause_reading()  # type: ignore[attr-defined]
            self.transport = transport
            taken.set()

    upstreams: list[Deaf] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: upstreams.append(Deaf()) or upstreams[-1], "127.0.0.1"
    )
    baseline.mark()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    opening = asyncio.ensure_future(post(transport, url, bytes(20_000_000)))
    await taken.wait()
    await asyncio.sleep(0.05)  # until the socket's buffers are full; too short a wait only weakens the test
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    upstreams[0].transport.abort()
    await baseline.restored()
    server.close()
    await server.wait_closed()


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
    async with Upstream(faults.gzip_bomb(32)) as upstream:
        response = await post(transport, upstream.url)
        sizes = []
        while data := await response.read():
            sizes.append(len(data))
        await response.close()
        assert sum(sizes) == 32 * 1024 * 1024
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
async def test_a_coding_that_cannot_be_taken_off(transport: HttpTransport, reply: Script, kind: FaultKind) -> None:
    async with Upstream(reply) as upstream:
        response = await post(transport, upstream.url)
        assert response.status == 200
        assert (await read_until_fault(response))[1].kind is kind
