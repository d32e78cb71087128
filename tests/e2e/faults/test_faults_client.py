"""What clients do: they leave, stop reading, send slowly, too much or nonsense. Nobody else is to notice, or to pay."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cortex import passage
from cortex.keepalive import SILENCE_S, Keepalive
from cortex.server.limits import Limits
from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.clients import CLIENTS, View
from tests.support.fault_table import fault
from tests.support.gateway import Gateway, cascade
from tests.support.invariants import assert_settled
from tests.support.raw_client import Answer, RawClient, request
from tests.support.scene import KEYS, PATIENCE_S, SOUND, Case, Scene, cases
from tests.support.upstream import Upstream
from tests.support.upstream_replies import Reply, stall, until
from tests.support.wires import OLLAMA, OPENAI, TOKENS

MAX_BODY = 16 * 1024
PRICES = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0}
PATHS = tuple(client.path for client in CLIENTS)


def priced(case: Case) -> dict[str, Any]:
    return {"models": [{"name": case.wire.model, **PRICES}]}


def raw_request(scene: Scene, case: Case) -> bytes:
    return request(case.client.path, json.dumps(case.client.body(scene.target(case), stream=case.stream)).encode())


@contextlib.asynccontextmanager
async def connected(scene: Scene) -> AsyncIterator[list[RawClient]]:
    """A connection for each case, on which its request has been sent and has reached the upstream."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(RawClient(scene.gateway.url)) for _ in scene.cases]
        for client, case in zip(clients, scene.cases, strict=True):
            await client.send(raw_request(scene, case))
        scene.asked_outside(len(clients))
        await asyncio.gather(*(scene.upstream(case).wait_requests() for case in scene.cases))
        yield clients


async def all_cancelled(scene: Scene) -> None:
    """Every upstream call ends within a second; nobody is blamed, nobody else is asked."""
    await scene.hung_up()
    await scene.gateway.settled()
    records = scene.gateway.app.telemetry.decisions.newest(1000)
    assert len(records) == len(scene.cases)
    for record in records:
        assert (record.outcome, record.status, record.error) == ("cancelled", 499, "client_closed_request")
        assert [attempt.kind for attempt in record.attempts] == ["cancelled"]
    assert scene.gateway.app.runtime.state.health.snapshot(0) == []
    assert all(key.status == "available" for case in scene.cases for key in scene.keys(case))
    assert not scene.sound.requests


# Gone


@fault(40)
@pytest.mark.parametrize("reply", [faults.BLACK_HOLE, faults.HEADERS_THEN_SILENCE], ids=["no headers", "headers"])
async def test_a_client_that_leaves_before_the_first_byte_takes_the_upstream_call_with_it(reply: Reply) -> None:
    async with Scene(lambda case: reply) as scene:
        async with connected(scene):
            pass
        await all_cancelled(scene)
        assert all(record.usage is None for record in scene.gateway.app.telemetry.decisions.newest(1000))


@fault(41)
async def test_a_client_that_leaves_in_mid_stream_pays_for_what_came_once() -> None:
    stalled = cases(stream=True)
    async with Scene(lambda case: case.wire.streamed(*case.wire.frames(), stall), stalled, settings=priced) as scene:
        async with connected(scene) as clients:
            for client in clients:
                await client.until(TOKENS[-1].encode())
        await all_cancelled(scene)
        records = scene.gateway.app.telemetry.decisions.newest(1000)
        for record in records:
            assert record.usage is not None
            assert record.usage.estimated
            assert record.usage.completion_tokens == -(-len("".join(TOKENS).encode()) // 4)
            assert record.cost_usd is not None
        total = sum(record.cost_usd or 0.0 for record in records)
        assert scene.gateway.app.telemetry.stats.cost()["usd"] == pytest.approx(total)


@fault(42)
async def test_a_client_that_closes_its_half_has_left() -> None:
    async with Scene(lambda case: faults.BLACK_HOLE) as scene:
        async with connected(scene) as clients:
            for client in clients:
                client.half_close()
            await all_cancelled(scene)


@fault(43)
async def test_a_client_that_stops_reading_is_cut_at_the_write_deadline() -> None:
    """On either side of the relay: what is forwarded, and what is rendered anew."""
    tokens = ["x" * 32 * 1024] * 1000  # 32 MiB: no kernel buffer holds that
    deaf = cases(stream=True, wires=[OPENAI, OLLAMA], clients=CLIENTS[:1])
    settings = {"timeouts": {"idle": "150ms"}}
    async with Scene(lambda case: case.wire.stream(tokens), deaf, settings=settings) as scene:
        async with contextlib.AsyncExitStack() as stack:
            for case in scene.cases:
                client = RawClient(scene.gateway.url, receive_buffer_bytes=4096)
                await stack.enter_async_context(client)
                await client.send(raw_request(scene, case))
            scene.asked_outside(len(scene.cases))
            await asyncio.gather(*(scene.upstream(case).wait_closed() for case in scene.cases))
            await scene.gateway.settled()
            for record in scene.gateway.app.telemetry.decisions.newest(10):
                assert (record.outcome, record.status) == ("cancelled", 499)
                assert [attempt.kind for attempt in record.attempts] == ["client_gone"]
                assert record.usage is not None
                assert record.usage.estimated
            assert scene.gateway.app.runtime.state.health.snapshot(0) == [], "the candidate is not to blame"


# Slow, large, malformed


@contextlib.asynccontextmanager
async def guarded(**limits: Any) -> AsyncIterator[Gateway]:
    """A gateway that takes small bodies, and an upstream that must not be called."""
    async with Upstream(OPENAI.speaking()) as upstream:
        config = cascade(upstream.url, server={"max_body": f"{MAX_BODY}B"})
        config["providers"]["a"]["keys"] = [KEYS[0]]
        async with Gateway(config, limits=Limits(**{"sweep_s": 0.01, "linger_s": 0.05, **limits})) as gateway:
            yield gateway
            assert upstream.requests == []


async def refused(gateway: Gateway, data: bytes) -> Answer:
    """The answer, after which the server closes; whatever it is, it is an error in the form of all errors."""
    async with RawClient(gateway.url) as client:
        await client.send(data)
        answer = await client.answer()
        assert set(answer.json) == {"error"}
        assert answer.error["type"] == "invalid_request_error"
        assert answer.error["request_id"] == answer.headers["x-cortex-request-id"]
        return answer


@fault(44)
async def test_slow_headers_are_a_408() -> None:
    async with guarded(head_s=0.05) as gateway:
        for path in PATHS:
            answer = await refused(gateway, f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthor".encode())
            assert (answer.status, answer.headers["connection"]) == (408, "close")
        await assert_settled(gateway, 0, [])


@fault(44)
async def test_a_slow_body_is_a_408() -> None:
    async with guarded(body_idle_s=0.05) as gateway:
        for path in PATHS:
            half = (
                request(path, headers={"Content-Length": "1000"}) + b'{"messages": [{"role": "user", "content": "canary'
            )
            answer = await refused(gateway, half)
            assert (answer.status, answer.headers["connection"]) == (408, "close")
        await assert_settled(gateway, len(PATHS), [])


def _nested(depth: int) -> bytes:
    return b'{"messages": [{"role": "user", "content": "hi"}], "metadata": ' + b"[" * depth + b"]" * depth + b"}"


OVERSIZE: dict[str, tuple[bytes, dict[str, str], int]] = {
    "length": (b"", {"Content-Length": str(MAX_BODY + 1)}, 413),
    "body": (b"x" * (MAX_BODY + 1), {}, 413),
    "chunks": (
        replies.chunk(b"x" * MAX_BODY) + replies.chunk(b"x"),
        {"Transfer-Encoding": "chunked"},
        413,
    ),
    "bomb": (gzip.compress(bytes(16 * 1024 * 1024)), {"Content-Encoding": "gzip"}, 413),
    "bad gzip": (b"no gzip", {"Content-Encoding": "gzip"}, 400),
    "unknown coding": (b"{}", {"Content-Encoding": "br"}, 415),
    "deep": (_nested(5000), {}, 400),
    "a little too deep": (_nested(64), {}, 400),
    "no JSON": (b"{", {}, 400),
    "no object": (b"[]", {}, 400),
    "NaN": (b'{"messages": [{"role": "user", "content": "hi"}], "temperature": NaN}', {}, 400),
    "no UTF-8": (b'{"messages": [{"role": "user", "content": "\xff"}]}', {}, 400),
    "lone surrogate": (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', {}, 400),
}


@fault(45)
@pytest.mark.parametrize("what", OVERSIZE)
async def test_what_is_too_large_or_too_deep_is_refused_unread(what: str) -> None:
    body, headers, status = OVERSIZE[what]
    async with guarded() as gateway:
        for path in PATHS:
            chunked = "Transfer-Encoding" in headers
            data = request(path, headers=headers) + body if chunked else request(path, body, headers)
            answer = await refused(gateway, data)
            assert answer.status == status
        await assert_settled(gateway, len(PATHS), [])


SMUGGLED = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}",
    "length list": b"Content-Length: 2, 2\r\n\r\n{}",
    "signed length": b"Content-Length: +2\r\n\r\n{}",
    "space before the colon": b"Content-Length : 2\r\n\r\n{}",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "bad chunk size": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "two hosts": b"Host: elsewhere\r\nContent-Length: 2\r\n\r\n{}",
    "NUL": b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "bare CR": b"X: a\rY: b\r\nContent-Length: 2\r\n\r\n{}",
    "folded": b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
}


@fault(46)
@pytest.mark.parametrize("what", SMUGGLED)
async def test_a_request_that_two_servers_could_read_in_two_ways_is_refused(what: str) -> None:
    """And nothing that follows on its connection is taken for another request."""
    hidden = request("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "canary"}]}')
    async with guarded() as gateway:
        for path in PATHS:
            async with RawClient(gateway.url) as client:
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
                await client.send(head + SMUGGLED[what] + hidden)
                answer = await client.answer()
                assert answer.status == 400
                assert await client.closed() == b""
        await gateway.settled()


# Kept waiting


@fault(47)
@pytest.mark.parametrize("outcome", ["answer", "failover", "fault"])
async def test_a_first_token_that_takes_long_is_waited_for_under_comments(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """From the first comment on the status is 200: what goes wrong then is told in the stream, once."""
    monkeypatch.setattr(passage, "Keepalive", functools.partial(Keepalive, silence_s=0.03))
    played = cases(stream=True)
    go_on = {id(case): asyncio.Event() for case in played}

    def script(case: Case) -> Reply:
        then = case.wire.stream() if outcome == "answer" else faults.RESET
        return replies.raw(until(go_on[id(case)]), *then.steps)

    async with Scene(script, played, attempts=1 if outcome == "fault" else 2) as scene:
        views = await asyncio.gather(*(_patiently(scene, case, go_on[id(case)]) for case in played))
        await scene.gateway.settled()
        for case, view in zip(scene.cases, views, strict=True):
            assert view.status == 200
            assert view.comments >= 8
            if outcome == "fault":
                assert (view.whole, view.text) == (False, "")
                assert view.error["code"] == "upstream_broken"
                assert [each["kind"] for each in view.error["attempts"]] == ["broken"]
            else:
                assert (view.whole, view.text) == (True, "".join(TOKENS) if outcome == "answer" else SOUND)
            record = scene.gateway.app.telemetry.decisions.get(view.headers["x-cortex-request-id"])
            assert record is not None
            assert record.outcome == ("failed" if outcome == "fault" else "completed"), case


async def _patiently(scene: Scene, case: Case, go_on: asyncio.Event) -> View:
    """Reads eight comments before the upstream says a word: at fifteen seconds each, two minutes."""
    body = case.client.body(scene.target(case), stream=True)
    scene.asked_outside()
    asking = scene.gateway.client.post(case.client.path, json=body)
    async with asyncio.timeout(PATIENCE_S), asking as response:
        seen = b""
        while seen.count(b": ping\n\n") < 8:
            assert response.status == 200
            seen += await response.content.readuntil(b"\n\n")
        assert seen == b": ping\n\n" * 8
        go_on.set()
        return case.client.read(response.status, response.headers, seen + await response.content.read())


@fault(47)
def test_the_comments_come_every_fifteen_seconds() -> None:
    assert SILENCE_S == 15
