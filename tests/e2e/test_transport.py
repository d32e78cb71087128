"""The HTTP transport on real sockets: what it sends, what it gives, how it keeps, drops and gives up connections.

Runs on both event loops: they differ in what a reader sees of a reset connection.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from random import Random

import pytest

from cortex import __version__
from cortex.errors import Fault, FaultKind
from cortex.transport import UpstreamRequest
from cortex.upstream.transport import MAX_IDLE_PER_ORIGIN, HttpTransport
from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.baseline import Baseline
from tests.support.ports import HOST, dead_url
from tests.support.transport import SECRET, fault_of_open, fetch, post, read_all
from tests.support.upstream import Upstream
from tests.support.upstream_http import PATIENCE_S
from tests.support.upstream_replies import Framing, Reply, close, json, raw, reset, stall, stream, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

OK = json({"ok": True})


# What goes out.


async def test_the_request_goes_out_as_it_is(transport: HttpTransport) -> None:
    async with Upstream(OK) as upstream:
        url = f"{upstream.url}/v1/chat%20x?beta=1&q=a%20b"
        await read_all(await post(transport, url, b'{"model": "m"}', {"Content-Type": "application/json"}))
        (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/chat%20x?beta=1&q=a%20b")
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
        url = upstream.url.replace("127.0.0.1", "localhost")  # a jar takes none from a bare address
        await fetch(transport, url)
        await fetch(transport, url)
        assert "cookie" not in upstream.requests[1].headers


async def test_a_redirect_is_an_answer(transport: HttpTransport) -> None:
    async with Upstream(OK) as elsewhere, Upstream(replies.redirect(elsewhere.url)) as upstream:
        response = await post(transport, upstream.url)
        assert (response.status, response.headers["location"]) == (302, elsewhere.url)
        response.close()
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
        response.close()


async def test_repeated_headers_are_joined_and_odd_bytes_replaced(transport: HttpTransport) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nX-B: caf\xe9 \t\r\nContent-Length: 0\r\n\r\n"
    async with Upstream(raw(head)) as upstream:
        response = await post(transport, upstream.url)
        response.close()
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
async def test_any_split_gives_the_same_body(transport: HttpTransport, framing: Framing, size: int | Random) -> None:
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


async def test_an_ipv6_address(transport: HttpTransport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hosts.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nsi")
        writer.close()

    hosts: list[bytes] = []
    async with await asyncio.start_server(serve, "::1", 0) as server:
        authority = f"[::1]:{server.sockets[0].getsockname()[1]}"
        assert await fetch(transport, f"http://{authority}") == b"si"
        assert f"\r\nHost: {authority}\r\n".encode() in hosts[0]


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
        response.close()
        response.close()
        await upstream.wait_closed()
        assert await fetch(transport, upstream.url) == b'{"ok": true}'
        assert len(upstream.connections) == 2


async def test_closing_a_whole_answer_twice_keeps_the_connection(transport: HttpTransport) -> None:
    async with Upstream(OK) as upstream:
        response = await post(transport, upstream.url)
        await read_all(response)
        response.close()
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
        assert await fetch(transport, upstream.url) == b'{"whose": "mine"}'
        assert len(upstream.connections) == 2


async def test_what_the_event_loop_has_not_seen_yet_is_nobodys_answer_either(transport: HttpTransport) -> None:
    """The bytes lie in the client's socket, unread, when the connection is asked for again."""
    loop = asyncio.get_running_loop()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        listener.setblocking(False)
        url = f"http://{HOST}:{listener.getsockname()[1]}"

        async def ask(answer: bytes) -> socket.socket:
            """A request on a new connection; the server's side of it."""
            asked = asyncio.ensure_future(fetch(transport, url))
            server, _ = await loop.sock_accept(listener)
            assert await loop.sock_recv(server, 1000)
            await loop.sock_sendall(server, head + answer)
            assert await asked == answer
            return server

        with await ask(b"1") as server:
            server.send(head + b"?")
            (await ask(b"2")).close()


async def test_what_follows_an_answer_at_once_is_nobodys_answer(transport: HttpTransport) -> None:
    mine, ghost = json({"whose": "mine"}), json({"whose": "?"})
    both = raw(b"".join(step for step in (*mine.steps, *ghost.steps) if isinstance(step, bytes)))
    async with Upstream([both, mine]) as upstream:
        for _ in range(2):
            assert await fetch(transport, upstream.url) == b'{"whose": "mine"}'
        assert len(upstream.connections) == 2


async def test_an_answer_that_was_not_read_is_not_read_by_the_next(transport: HttpTransport) -> None:
    async with Upstream([json({"n": 1}), json({"n": 2})]) as upstream:
        response = await post(transport, upstream.url)
        response.close()
        assert await fetch(transport, upstream.url) == b'{"n": 2}'
        assert await response.read() == b'{"n": 1}'
        assert len(upstream.connections) == 1


async def test_connection_close_is_honoured(transport: HttpTransport) -> None:
    async with Upstream(json({}, headers={"Connection": "Close"})) as upstream:
        await fetch(transport, upstream.url)
        await upstream.wait_closed()
        await fetch(transport, upstream.url)
        assert len(upstream.connections) == 2


async def test_an_idle_connection_is_closed_in_time() -> None:
    transport = HttpTransport(idle_s=0.01)
    async with Upstream(OK) as upstream:
        await fetch(transport, upstream.url)
        await upstream.wait_closed()
        await fetch(transport, upstream.url)
        await upstream.wait_closed(2)
    await transport.close()


async def test_idle_connections_are_bounded(transport: HttpTransport) -> None:
    go_on = asyncio.Event()
    surplus = 20
    async with Upstream(stream(b"a", until(go_on))) as upstream:
        responses = await asyncio.gather(*(post(transport, upstream.url) for _ in range(MAX_IDLE_PER_ORIGIN + surplus)))
        go_on.set()
        await asyncio.gather(*map(read_all, responses))
        await upstream.wait_closed(surplus)
        assert upstream.open_connections == MAX_IDLE_PER_ORIGIN


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
        async with asyncio.timeout(PATIENCE_S):
            while len(transport._idle):
                await asyncio.sleep(0.001)
        await fetch(transport, upstream.url)
        assert len(upstream.connections) == 2


async def test_a_reset_of_an_idle_connection_is_no_news(
    transport: HttpTransport, caplog: pytest.LogCaptureFixture
) -> None:
    finish, go_on = asyncio.Event(), asyncio.Event()
    doomed = stream(b"a", until(finish)).then(until(go_on), reset)
    async with Upstream([doomed, OK]) as upstream:
        response = await post(transport, upstream.url)
        finish.set()
        await read_all(response)
        go_on.set()
        await upstream.connections[0].gone()
        await asyncio.sleep(0.01)  # nothing shows that the client's socket has been read
        await fetch(transport, upstream.url)
        del response
        gc.collect()
        assert len(upstream.connections) == 2
        assert caplog.records == []


async def test_a_connection_that_opens_while_the_transport_closes(transport: HttpTransport, baseline: Baseline) -> None:
    async with Upstream(OK) as upstream:
        opening = asyncio.ensure_future(post(transport, upstream.url))
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(Fault):
            await opening
    await baseline.restored()


async def test_closing_the_transport_drops_every_connection(transport: HttpTransport) -> None:
    async with Upstream([stream(b"a", stall), OK]) as upstream:
        response = await post(transport, upstream.url)
        assert await response.read() == b"a"
        await fetch(transport, upstream.url)
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(Fault) as caught:
            await reading
        assert caught.value.kind is FaultKind.BROKEN
        response.close()
        await upstream.wait_closed(2)
        with pytest.raises(Fault) as caught:
            await post(transport, upstream.url)
        assert caught.value.kind is FaultKind.CONNECT
