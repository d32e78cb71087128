"""Candidates that fail are left alone, tried with one call, and taken back; probes find out for nothing."""

from __future__ import annotations

import asyncio
import functools

import pytest

from cortex import passage
from cortex.keepalive import Keepalive
from cortex.probes import probe_all
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

BROKEN = replies.json(openai.error("boom"), status=500)


def calls(upstream: Upstream) -> int:
    return sum(request.method == "POST" for request in upstream.requests)


async def test_a_failing_candidate_is_ejected_and_taken_back_by_one_probe() -> None:
    """Five failures eject it; when the time is over one request of many tries it; its success takes it back."""
    healthy, held = False, asyncio.Event()

    def recovering(request: Request) -> Reply:
        answer = openai.speaking(["a"])(request)
        return replies.raw(replies.until(held), *answer.steps) if healthy else BROKEN

    async with Upstream(recovering) as first, Upstream(openai.speaking(["b"])) as second:
        config = cascade(first.url, second.url, health={"eject_after": 5, "eject_for": "2s"})
        async with Gateway(config) as gateway:
            for _ in range(8):
                status, _, _ = await gateway.chat()
                assert status == 200
            assert calls(first) == 5
            _, headers, _ = await gateway.chat()
            assert (await gateway.decision(headers))["candidates"][0]["skip"] == "ejected"

            healthy = True
            until = gateway.app.runtime.state.health.ejected_until("a/test-model")
            assert until is not None
            while asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.01)
            herd = [asyncio.create_task(gateway.chat()) for _ in range(20)]
            await first.wait_requests(6)
            while sum(task.done() for task in herd) < 19:
                await asyncio.sleep(0.01)
            assert calls(first) == 6, "more than one request tried a half-open candidate"
            held.set()
            answers = [(await task)[1]["x-cortex-model"] for task in herd]
            assert sorted(answers) == ["a/test-model"] + ["b/test-model"] * 19
            _, headers, _ = await gateway.chat()
            assert headers["x-cortex-model"] == "a/test-model"


async def test_the_last_candidate_is_never_ejected() -> None:
    async with Upstream(BROKEN) as upstream:
        config = cascade(upstream.url, retries={"attempts": 1}, health={"eject_after": 2})
        async with Gateway(config) as gateway:
            for _ in range(6):
                status, _, _ = await gateway.chat()
                assert status == 502
            assert calls(upstream) == 6


async def test_probes_cost_nothing_and_see_a_dead_provider_and_a_refused_key() -> None:
    refused = replies.json(openai.error("Incorrect API key provided", code="invalid_api_key"), status=401)
    async with Upstream(openai.models("m")) as alive, Upstream(BROKEN) as dead, Upstream(refused) as locked:
        config = cascade(alive.url, dead.url, locked.url, health={"eject_after": 2})
        async with Gateway(config) as gateway:
            await probe_all(gateway.app)
            await probe_all(gateway.app)
            for upstream in (alive, dead, locked):
                assert {(request.method, request.path) for request in upstream.requests} == {("GET", "/v1/models")}
            async with gateway.client.get("/api/health") as response:
                told = await response.json()
            assert told["workers"] == {"a": "available", "b": "ejected", "c": "disabled"}
            assert told["status"] == "degraded"
        assert "sk-test" not in gateway.logged.getvalue()


async def test_a_stream_that_waits_long_is_kept_alive_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they have been sent the status is 200, and what goes wrong then is told in the stream."""
    monkeypatch.setattr(passage, "Keepalive", functools.partial(Keepalive, silence_s=0.05))
    answer, fail = asyncio.Event(), asyncio.Event()

    def slow(request: Request) -> Reply:
        wait, then = (answer, openai.stream(["hi"])) if len(upstream.requests) == 1 else (fail, BROKEN)
        return replies.raw(replies.until(wait), *then.steps)

    async with Upstream(slow) as upstream:
        async with Gateway(cascade(upstream.url, retries={"attempts": 1})) as gateway:
            for event, expected in ((answer, b"data: [DONE]\n\n"), (fail, b"}}\n\n")):
                body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
                async with gateway.client.post("/v1/chat/completions", json=body) as response:
                    assert response.status == 200
                    text = await response.content.readuntil(b"\n\n")
                    assert text == b": ping\n\n"
                    event.set()
                    text = await response.content.read()
                    assert text.endswith(expected)
                    assert (b'"error"' in text) is (event is fail)
                    assert text.count(b"[DONE]") == (event is answer)
