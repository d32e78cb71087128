"""What the chat handlers make of a request's headers and of requests that never reach the attempt loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from cortex.server import chat
from cortex.sink import ClientGone
from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Upstream

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(openai.speaking(["Hel", "lo"])) as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(cascade(upstream.url)) as gateway:
        yield gateway


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/v1/embeddings"])
async def test_what_cannot_be_parsed_is_refused_recorded_and_settled(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    async with gateway.client.post(path, data=b"{", headers={"content-type": "application/json"}) as response:
        error = (await response.json())["error"]
        assert (response.status, error["type"]) == (400, "invalid_request_error")
        assert response.headers["x-should-retry"] == "false"
        decision = await gateway.decision(response.headers)
    assert (decision["outcome"], decision["status"], decision["error"]) == ("failed", 400, error["code"])
    assert decision["request_id"] == error["request_id"]
    assert not upstream.requests
    stats = gateway.app.telemetry.stats
    assert (stats.total, stats.failed, stats.active) == (1, 1, 0)


async def test_a_client_whose_connection_breaks_amid_its_body_has_left(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> bytes:
        raise ClientGone

    monkeypatch.setattr(chat, "read_body", broken)
    with pytest.raises(aiohttp.ClientError):
        await gateway.chat()
    await gateway.settled()
    (record,) = gateway.app.telemetry.decisions.newest(10)
    assert (record.outcome, record.status, record.error) == ("cancelled", 499, "client_closed_request")


async def test_the_record_tells_the_dialect_and_what_was_asked(gateway: Gateway) -> None:
    _, headers, _ = await gateway.stream({"model": "a"}, path="/api/chat")
    decision = await gateway.decision(headers)
    assert (decision["dialect"], decision["stream"], decision["model_asked"]) == ("api_chat", True, "a")
    assert (decision["outcome"], decision["status"], decision["client"]) == ("completed", 200, None)


@pytest.mark.parametrize("value", ["10", "soon", "-1s", "0s", "1e3s", "", "10 s"])
async def test_a_timeout_is_a_duration(gateway: Gateway, upstream: Upstream, value: str) -> None:
    status, _, answer = await gateway.chat(headers={"x-cortex-timeout": value})
    assert (status, answer["error"]["param"]) == (400, "x-cortex-timeout")
    assert "15m" in answer["error"]["message"]
    assert not upstream.requests


async def test_a_timeout_shortens_the_deadline() -> None:
    async with Upstream(faults.BLACK_HOLE) as upstream, Gateway(cascade(upstream.url)) as gateway:
        status, _, answer = await gateway.chat(headers={"x-cortex-timeout": "50ms"})
        assert (status, answer["error"]["code"]) == (504, "deadline_exceeded")


async def test_a_timeout_does_not_lengthen_the_deadline() -> None:
    async with Upstream(faults.BLACK_HOLE) as upstream:
        config = cascade(upstream.url, timeouts={"total": "50ms"})
        async with Gateway(config) as gateway:
            status, _, _ = await gateway.chat(headers={"x-cortex-timeout": "1h"})
            assert status == 504


async def test_only_if_cached_says_that_there_is_no_cache(gateway: Gateway, upstream: Upstream) -> None:
    status, _, answer = await gateway.chat(headers={"x-cortex-cache": "Only-If-Cached"})
    assert (status, answer["error"]["code"]) == (504, "not_cached")
    assert not upstream.requests
    for other in ("no-store", "no-cache", "no-store, no-cache"):
        status, headers, _ = await gateway.chat(headers={"x-cortex-cache": other, "x-cortex-cache-ttl": "1h"})
        assert (status, headers["x-cortex-cache"]) == (200, "bypass")


async def test_a_trace_is_handed_on(gateway: Gateway, upstream: Upstream) -> None:
    await gateway.chat(headers={"traceparent": TRACE})
    assert upstream.requests[0].headers["traceparent"] == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        TRACE.upper(),
        TRACE[:-1],
        TRACE + "-00",
        TRACE.replace("00-4b", "ff-4b"),
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("00f067aa0ba902b7", "0" * 16),
    ],
)
async def test_what_is_no_trace_is_ignored(gateway: Gateway, upstream: Upstream, value: str) -> None:
    status, _, _ = await gateway.chat(headers={"traceparent": value})
    assert status == 200
    assert "traceparent" not in upstream.requests[0].headers


async def test_the_request_id_is_ours(gateway: Gateway) -> None:
    _, headers, _ = await gateway.chat(headers={"x-request-id": "req_theirs", "x-cortex-request-id": "req_theirs"})
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-request-id"] != "req_theirs"


async def test_nothing_of_the_clients_headers_reaches_the_upstream(gateway: Gateway, upstream: Upstream) -> None:
    await gateway.chat(headers={"Cookie": "session=1", "X-Secret": "canary", "Authorization": "Bearer client"})
    (request,) = upstream.requests
    assert request.headers["authorization"] == "Bearer sk-test-1"
    assert not {"cookie", "x-secret"} & set(request.headers)


@pytest.mark.parametrize(
    ("body", "cheapest"),
    [({}, "b"), ({"max_tokens": 1000}, "b"), ({"max_completion_tokens": 1}, "a"), ({"max_tokens": "many"}, "b")],
)
async def test_routing_hears_of_the_clients_limit(body: Mapping[str, Any], cheapest: str) -> None:
    """`a` is dear in output, `b` in input: which is cheaper depends on how much is asked for."""
    async with Upstream(openai.speaking(["x"])) as upstream:
        config = cascade(upstream.url, upstream.url)
        for name, prices in (("a", (1.0, 100.0)), ("b", (5.0, 1.0))):
            model = {"name": f"model-{name}", "input_usd_per_mtok": prices[0], "output_usd_per_mtok": prices[1]}
            config["providers"][name]["models"] = [model]
        config["models"]["chat"] = {"balance": {"strategy": "lowest_cost", "targets": ["a", "b"]}}
        async with Gateway(config) as gateway:
            messages = [{"role": "user", "content": "x" * 4000}]
            status, headers, _ = await gateway.chat({"messages": messages, **body})
            assert (status, headers["x-cortex-model"][0]) == (200, cheapest)


async def test_embeddings_take_the_same_way() -> None:
    async with Upstream(openai.embeddings([[0.5, -0.5]])) as upstream, Gateway(cascade(upstream.url)) as gateway:
        async with gateway.client.post("/v1/embeddings", json={"input": "hi", "model": "a"}) as response:
            answer = await response.json()
            assert response.status == 200
            assert answer["data"][0]["embedding"] == [0.5, -0.5]
            decision = await gateway.decision(response.headers)
        assert decision["dialect"] == "openai_embeddings"


async def test_a_reload_between_two_requests_is_seen_by_the_second(gateway: Gateway) -> None:
    async with Upstream(openai.speaking(["new"])) as other, Gateway(cascade(other.url)) as reloaded:
        old = gateway.app.runtime
        gateway.app.runtime = reloaded.app.runtime
        _, _, answer = await gateway.chat()
        assert answer["choices"][0]["message"]["content"] == "new"
        gateway.app.runtime = old


async def test_many_at_once_are_each_settled(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(gateway.chat() for _ in range(50)))
    assert {status for status, _, _ in answers} == {200}
    assert len({headers["x-cortex-request-id"] for _, headers, _ in answers}) == 50
    await gateway.settled()
    stats = gateway.app.telemetry.stats
    assert (stats.total, stats.completed, stats.active) == (50, 50, 0)
