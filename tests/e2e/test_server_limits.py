"""What clients can do to the server, on real sockets: too slow, too large, malformed, gone, deaf."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cortex.server.limits import Limits
from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.gateway import Gateway, cascade
from tests.support.raw_client import RawClient, request
from tests.support.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

MAX_BODY = 16 * 1024
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
BODY = json.dumps(CHAT).encode()
STREAM = json.dumps(CHAT | {"stream": True}).encode()
CHUNKED = {"Transfer-Encoding": "chunked"}


def limited(*upstreams: str, **limits: Any) -> Gateway:
    """A gateway that takes small bodies, with the given limits and the others as they are shipped."""
    fast = {"sweep_s": 0.01, "linger_s": 0.05, **limits}
    return Gateway(cascade(*upstreams, server={"max_body": f"{MAX_BODY}B"}), limits=Limits(**fast))


def large(size: int) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "x" * size}]}).encode()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(openai.speaking(["Hel", "lo"])) as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream: Upstream) -> AsyncIterator[Gateway]:
    async with limited(upstream.url) as gateway:
        yield gateway


async def asked(gateway: Gateway, data: bytes, **options: Any) -> Any:
    """The answer to one request, the connection left open."""
    async with RawClient(gateway.url) as client:
        await client.send(data)
        return await client.answer(**options)


def traced(answer: Any) -> None:
    """Every answer carries its id, the same under all names."""
    ids = {answer.headers[name] for name in ("x-cortex-request-id", "x-request-id", "request-id")}
    assert len(ids) == 1
    assert ids.pop().startswith("req_")


# Too slow


async def test_headers_that_do_not_come_to_an_end_are_answered_408(upstream: Upstream) -> None:
    async with limited(upstream.url, head_s=0.05) as gateway, RawClient(gateway.url) as client:
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: ")
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        traced(answer)
        assert await client.closed() == b""


async def test_slow_headers_are_noticed_on_a_connection_that_has_served_before(upstream: Upstream) -> None:
    async with limited(upstream.url, head_s=0.05) as gateway, RawClient(gateway.url) as client:
        await client.send(request(body=BODY))
        assert (await client.answer()).status == 200
        await client.send(b"G")
        assert (await client.answer()).status == 408


async def test_headers_that_come_in_small_pieces_are_as_good_as_any(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(*(bytes([byte]) for byte in request(body=BODY)))
        assert (await client.answer()).status == 200


async def test_the_limit_on_headers_ends_with_them() -> None:
    """However long the answer takes: here, twice as long as headers may."""
    slow = replies.raw(replies.pause(0.1), *openai.answer("ok").steps)
    async with (
        Upstream(slow) as upstream,
        limited(upstream.url, head_s=0.05, keep_alive_s=60) as gateway,
        RawClient(gateway.url) as client,
    ):
        data = request(body=BODY)
        for _ in range(2):
            await client.send(data[:10])
            await asyncio.sleep(0.02)  # a packet of its own; early or late, the outcome is the same
            await client.send(data[10:])
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("served_before", [False, True])
async def test_an_idle_connection_is_closed_in_silence(upstream: Upstream, served_before: bool) -> None:
    async with limited(upstream.url, keep_alive_s=0.05) as gateway, RawClient(gateway.url) as client:
        if served_before:
            await client.send(request(body=BODY))
            assert (await client.answer()).status == 200
        assert await client.closed() == b""


async def test_a_body_that_stalls_is_answered_408(upstream: Upstream) -> None:
    async with limited(upstream.url, body_idle_s=0.05) as gateway, RawClient(gateway.url) as client:
        await client.send(request(headers={"Content-Length": "100"}) + b'{"messages"')
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        await client.closed()
        decision = await gateway.decision(answer.headers)
        assert (decision["outcome"], decision["status"], decision["error"]) == ("failed", 408, "request_timeout")
    assert not upstream.requests


async def test_a_body_that_drips_is_stopped_by_the_deadline(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request(headers={"Content-Length": "10000", "x-cortex-timeout": "100ms"}))
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            await client.send(b" ")
            await asyncio.sleep(0.01)
        assert (await answer).status == 408


# Too large


async def test_a_length_above_the_limit_is_refused_before_the_body_comes(gateway: Gateway) -> None:
    answer = await asked(gateway, request(headers={"Content-Length": str(MAX_BODY + 1)}))
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"
    traced(answer)


async def test_a_body_of_unknown_length_is_counted(gateway: Gateway, upstream: Upstream) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request(headers=CHUNKED))
        await client.send(*([replies.chunk(b" " * 1024)] * (MAX_BODY // 1024 + 1)))
        answer = await client.answer()
        assert answer.status == 413
        assert (await gateway.decision(answer.headers))["status"] == 413
    assert not upstream.requests


async def test_a_compressed_body_that_holds_nothing_is_counted_too(gateway: Gateway) -> None:
    header, empty_block = gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    async with RawClient(gateway.url) as client:
        await client.send(request(headers=CHUNKED | {"Content-Encoding": "gzip"}), replies.chunk(header))
        await client.send(*([replies.chunk(empty_block * 200)] * (MAX_BODY // 1000 + 1)))
        assert (await client.answer()).status == 413


async def test_a_body_at_the_limit_is_taken(gateway: Gateway) -> None:
    body = large(MAX_BODY - len(large(0)))
    assert len(body) == MAX_BODY
    assert (await asked(gateway, request(body=body))).status == 200


def _deflated(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("deflate", _deflated(BODY, 15)),
        ("deflate", _deflated(BODY, -15)),
        ("GZIP", gzip.compress(BODY)),
        ("identity", BODY),
    ],
)
async def test_a_compressed_body_is_understood(gateway: Gateway, upstream: Upstream, coding: str, body: bytes) -> None:
    answer = await asked(gateway, request(body=body, headers={"Content-Encoding": coding}))
    assert answer.status == 200
    assert upstream.requests[0].json["messages"] == CHAT["messages"]


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(bytes(64 * 1024 * 1024), 1)[: MAX_BODY - 1], 413),
        ("gzip", gzip.compress(bytes(MAX_BODY + 1)), 413),
        ("deflate", zlib.compress(bytes(8 * 1024 * 1024)), 413),
        ("gzip", gzip.compress(BODY)[:-5], 400),
        ("gzip", gzip.compress(BODY) + b"more", 400),
        ("gzip", BODY, 400),
        ("br", b"\x0b\x02\x80{}\x03", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY)), 415),
    ],
    ids=["bomb", "slightly_too_large", "deflate_bomb", "cut", "trailing", "no_gzip", "unknown", "twice"],
)
async def test_a_coding_cannot_smuggle_more_than_the_limit(
    gateway: Gateway, upstream: Upstream, coding: str, body: bytes, status: int
) -> None:
    answer = await asked(gateway, request(body=body, headers={"Content-Encoding": coding}))
    assert answer.status == status
    assert answer.error["message"]
    assert not upstream.requests


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; b=1"]
)
async def test_what_a_form_of_another_site_can_send_is_refused(gateway: Gateway, content_type: str) -> None:
    answer = await asked(gateway, request(body=BODY, headers={"Content-Type": content_type}))
    assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type")


async def test_json_nested_too_deep_is_a_bad_request(gateway: Gateway) -> None:
    answer = await asked(gateway, request(body=b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}"))
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


async def test_bodies_in_flight_have_a_budget_together(upstream: Upstream) -> None:
    hold = asyncio.Event()

    def reply(request: Any) -> Any:
        return replies.raw(replies.until(hold), *openai.answer("ok").steps)

    async with Upstream(reply) as slow, limited(slow.url, bodies=1, least_bodies_bytes=0) as gateway:
        half = request(body=large(MAX_BODY // 2))
        async with RawClient(gateway.url) as first:
            await first.send(half)
            await slow.wait_requests()
            refused = await asked(gateway, half)
            assert (refused.status, refused.error["code"]) == (503, "overloaded")
            assert refused.headers["retry-after"] == "1"
            hold.set()
            assert (await first.answer()).status == 200
        assert (await asked(gateway, half)).status == 200


# 100-continue


async def test_a_client_that_waits_is_told_to_go_on(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request(headers={"Content-Length": str(len(BODY)), "Expect": "100-continue"}))
        assert (await client.answer(bodiless=True)).status == 100
        await client.send(BODY)
        answer = await client.answer()
        assert answer.status == 200
        traced(answer)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(MAX_BODY + 1), "Expect": "100-continue"}, 413),
        ({"Content-Length": "10", "Expect": "100-continue", "Content-Type": "text/plain"}, 415),
        ({"Content-Length": "10", "Expect": "a-pony"}, 417),
    ],
)
async def test_a_client_that_waits_in_vain_is_told_why(
    gateway: Gateway, headers: Mapping[str, str], status: int
) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request(headers=headers))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")


# Malformed

_POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
_GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"

MALFORMED = {
    "two_framings": _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two_lengths": _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}  ",
    "signed_length": _POST + b"Content-Length: +2\r\n\r\n{}",
    "length_is_no_number": _POST + b"Content-Length: two\r\n\r\n{}",
    "space_before_colon": _POST + b"Content-Length : 2\r\n\r\n{}",
    "unknown_framing": _POST + b"Transfer-Encoding: xchunked\r\n\r\n{}",
    "nested_framing": _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bad_chunk": _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad_chunk_later": _POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    "two_hosts": _GET + b"Host: elsewhere\r\n\r\n",
    "no_host": b"GET /livez HTTP/1.1\r\n\r\n",
    "nul": _GET + b"X: a\x00b\r\n\r\n",
    "bare_lf": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "folded": _GET + b" folded: y\r\n\r\n",
    "unknown_method": b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    "garbage": b"hello?\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "too_many_headers": _GET + b"".join(b"X-%d: y\r\n" % number for number in range(500)) + b"\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_requests_are_answered_400_and_logged_without_a_traceback(
    gateway: Gateway, upstream: Upstream, data: bytes
) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(data)
        answer = await client.answer()
        assert answer.status == 400
        assert answer.error["type"] == "invalid_request_error"
        traced(answer)
        assert await client.closed() == b"", "nothing of what follows may be taken for a request"
    assert not upstream.requests
    gateway.log.stop()
    assert "Traceback" not in gateway.logged.getvalue()
    assert '"level": "error"' not in gateway.logged.getvalue()


@pytest.mark.parametrize(
    "data", [_GET + b"X: " + b"y" * 20_000 + b"\r\n\r\n", b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\n"]
)
async def test_headers_have_a_size(gateway: Gateway, data: bytes) -> None:
    answer = await asked(gateway, data)
    assert (answer.status, answer.error["code"]) == (431, "headers_too_large")


async def test_a_refused_header_is_not_quoted(gateway: Gateway) -> None:
    answer = await asked(gateway, _GET + b"Authorization: Bearer canary-\x01-secret\r\n\r\n")
    assert answer.status == 400
    assert b"canary" not in answer.body
    gateway.log.stop()
    assert "canary" not in gateway.logged.getvalue()


# Unusual, but well-formed


async def test_requests_in_one_packet_are_answered_in_order(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request("/livez", method="GET") + request("/nowhere", method="GET") + request(body=BODY))
        assert [(await client.answer()).status for _ in range(3)] == [200, 404, 200]


async def test_a_stream_over_http_1_0_ends_with_the_connection(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request(body=STREAM, version="1.0", headers={"Connection": "keep-alive"}))
        answer = await client.answer()
        assert answer.status == 200
        assert "transfer-encoding" not in answer.headers
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_head_is_get_without_the_body(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request("/v1/models", method="HEAD"))
        answer = await client.answer(bodiless=True)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert int(answer.headers["content-length"]) > 0
        await client.send(request("/livez", method="GET"))
        assert (await client.answer()).json == {"status": "alive"}


async def test_an_upgrade_is_declined_by_an_ordinary_answer(gateway: Gateway) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert (await asked(gateway, request("/livez", method="GET", headers=headers))).status == 200


async def test_a_request_refused_unread_does_not_leave_its_body_to_the_next(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request("/nowhere", headers={"Content-Length": "1000"}) + b"GET /livez HTTP/1.1\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await client.closed() == b""


# Gone, and deaf


async def test_a_client_that_leaves_during_its_body_is_settled(gateway: Gateway, upstream: Upstream) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request(headers={"Content-Length": "100", "Expect": "100-continue"}))
        await client.answer(bodiless=True)
        assert gateway.app.telemetry.stats.active == 1
    await gateway.settled()
    (record,) = gateway.app.telemetry.decisions.newest(2)
    assert (record.outcome, record.status) == ("cancelled", 499)
    assert not upstream.requests


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["json", "stream"])
@pytest.mark.parametrize("half", [False, True], ids=["closed", "half_closed"])
async def test_a_client_that_leaves_takes_the_upstream_call_with_it(body: bytes, half: bool) -> None:
    async with Upstream(faults.BLACK_HOLE) as upstream, limited(upstream.url) as gateway:
        async with RawClient(gateway.url) as client:
            await client.send(request(body=body))
            await upstream.wait_requests()
            if half:
                client.half_close()
                await upstream.wait_closed()
        await upstream.wait_closed()
        await gateway.settled()
        (record,) = gateway.app.telemetry.decisions.newest(2)
        assert (record.outcome, record.status) == ("cancelled", 499)


async def test_a_client_that_does_not_read_is_cut_and_holds_little(upstream: Upstream) -> None:
    token = "x" * 32 * 1024
    frames = openai.chunks([token] * 2000)  # 64 MiB: no kernel buffer holds that
    async with Upstream(replies.sse(*frames)) as upstream, limited(upstream.url, unread_s=0.1) as gateway:
        async with RawClient(gateway.url, receive_buffer_bytes=4096) as client:
            await client.send(request(body=STREAM))
            await upstream.wait_closed()
            await gateway.settled()
            (record,) = gateway.app.telemetry.decisions.newest(2)
            assert record.outcome == "cancelled"
            assert record.usage is not None
            assert record.usage.estimated
            told = await client.closed()
            assert b"[DONE]" not in told


async def test_a_client_that_does_not_read_short_answers_is_dropped_too(upstream: Upstream) -> None:
    async with (
        limited(upstream.url, unread_s=0.1) as gateway,
        RawClient(gateway.url, receive_buffer_bytes=4096) as client,
    ):
        with pytest.raises(ConnectionError):
            while True:  # answers that nobody reads, until the server gives up
                await client.send(request("/openapi.json", method="GET") * 100)
                await asyncio.sleep(0)


# Draining and closing


async def test_while_draining_open_connections_are_served_once_more(gateway: Gateway) -> None:
    async with RawClient(gateway.url) as client:
        await client.send(request("/readyz", method="GET"))
        assert (await client.answer()).status == 200
        gateway.app.draining = True
        await client.send(request(body=BODY))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.closed() == b""
    assert (await asked(gateway, request("/readyz", method="GET"))).json == {"status": "draining"}


async def test_closing_cancels_what_is_in_flight() -> None:
    async with Upstream(faults.BLACK_HOLE) as upstream, contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(limited(upstream.url))
        telemetry = gateway.app.telemetry
        async with RawClient(gateway.url) as client:
            await client.send(request(body=BODY))
            await upstream.wait_requests()
            await stack.aclose()
            assert await client.closed() == b""
        await upstream.wait_closed()
        assert telemetry.stats.active == 0
        (record,) = telemetry.decisions.newest(2)
        assert record.outcome == "cancelled"
