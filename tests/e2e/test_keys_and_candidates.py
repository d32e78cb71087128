"""The main job: whole answers while keys run dry and providers fall over."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.gateway import Gateway, cascade, leaving, provider
from tests.support.ports import dead_url
from tests.support.upstream import Upstream

LIMITED = replies.json(openai.error("Rate limit reached", "tokens", "rate_limit_exceeded"), status=429)


def content(stream: str) -> str:
    """What a streamed answer says, if it is whole; an error event or a missing end fails."""
    events = [line.removeprefix("data: ") for line in stream.split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]", stream[-300:]
    said = [json.loads(event) for event in events[:-1]]
    assert [chunk["choices"][0]["finish_reason"] for chunk in said if chunk["choices"]][-1] == "stop"
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in said if chunk["choices"])


async def test_a_thousand_requests_come_back_whole_from_the_fourth_candidate() -> None:
    """429 on every key, then 500, then garbage, then an answer: 1,000 of 1,000, 100 at a time, half of them streams."""
    words = ["one", " two", " three"]
    async with (
        Upstream(LIMITED) as limited,
        Upstream(replies.json(openai.error("boom"), status=500)) as broken,
        Upstream(replies.html("<html>garbage</html>")) as garbage,
        Upstream(openai.speaking(words)) as good,
        Gateway(
            {
                **cascade(limited.url, broken.url, garbage.url, good.url),
                "providers": {
                    "a": provider(limited.url, keys=["sk-one", "sk-two", "sk-three"]),
                    "b": provider(broken.url),
                    "c": provider(garbage.url),
                    "d": provider(good.url),
                },
            }
        ) as gateway,
    ):
        slots = asyncio.Semaphore(100)
        headers_of: list[object] = []

        async def one(n: int) -> str:
            async with slots:
                if n % 2:
                    status, headers, text = await gateway.stream()
                    said = content(text)
                else:
                    status, headers, answer = await gateway.chat()
                    said = answer["choices"][0]["message"]["content"]
            assert status == 200
            assert headers["x-cortex-model"] == "d/test-model"
            headers_of.append(headers)
            return said

        answers = await asyncio.gather(*(one(n) for n in range(1000)))
        assert answers == ["one two three"] * 1000

        decision = await gateway.decision(headers_of[0])  # type: ignore[arg-type]
        assert [attempt["target"] for attempt in decision["attempts"]][-1] == "d/test-model"
        assert len(decision["attempts"]) == int(headers_of[0]["x-cortex-attempts"])  # type: ignore[index]
        assert decision["attempts"][0]["kind"] == "rate_limited"
        assert decision["attempts"][0]["status"] == 429
        assert decision["attempts"][0]["next"] in ("key", "candidate"), "others may have found out about the keys first"
        assert decision["outcome"] == "completed"
        assert "sk-" not in json.dumps(decision)

        called = len(limited.requests)
        assert {request.key for request in limited.requests} == {"sk-one", "sk-two", "sk-three"}
        await asyncio.gather(*(one(n) for n in range(50)))
        assert len(limited.requests) == called, "a cooling key was called"
        await gateway.settled()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
async def test_two_hundred_cut_streams_give_two_hundred_errors_and_not_one_end(path: str) -> None:
    tokens = [f"t{n} " for n in range(10)]
    async with Upstream(faults.cut_stream(tokens)) as upstream, Gateway(cascade(upstream.url)) as gateway:
        streams = await asyncio.gather(*(gateway.stream(path=path) for _ in range(200)))
        for status, headers, text in streams:
            assert status == 200
            assert all(f"t{n} " in text for n in range(10))
            assert text.count('"error"') == 1
            assert "[DONE]" not in text
            assert "event: done" not in text
            assert '"finish_reason":"' not in text
            assert "x-cortex-request-id" in headers
        decision = await gateway.decision(streams[0][1])
        assert decision["outcome"] == "cut"
        assert decision["attempts"][0]["kind"] == "broken"
        assert len(upstream.requests) == 200, "never again after the commit"


BEFORE_COMMIT = {
    "refused": None,
    "reset": faults.RESET,
    "closed": faults.CLOSE,
    "not http": faults.NOT_HTTP,
    "500": replies.json(openai.error(), status=500),
    "529": replies.json(openai.error(), status=529),
    "401": replies.json(openai.error("Incorrect API key", code="invalid_api_key"), status=401),
    "404 model": replies.json(openai.error("no such model", code="model_not_found"), status=404),
    "429": LIMITED,
    "html": replies.html(),
    "200 error body": replies.json(openai.error("overloaded")),
    "null choices": replies.json({"choices": None}),
    "no choices": replies.json({"choices": []}),
    "redirect": replies.redirect("http://127.0.0.1:9/steal"),
    "error as first event": replies.sse(openai.error("overloaded")),
    "role, then error": replies.sse(openai.chunks([], finish=None, done=False)[0], openai.error("overloaded")),
    "cut before content": replies.sse(*openai.chunks([], finish=None, done=False), replies.close),
    "invalid json event": replies.sse("{nonsense"),
    "stall": replies.sse(*openai.chunks([], finish=None, done=False), replies.stall),
    "silence": faults.BLACK_HOLE,
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("fault", BEFORE_COMMIT)
async def test_a_fault_before_the_commit_moves_on(fault: str, stream: bool) -> None:
    """Whatever the first candidate does, the second one's answer comes whole, and the story is told."""
    script = BEFORE_COMMIT[fault] or faults.CLOSE
    async with Upstream(script) as bad, Upstream(openai.speaking(["fine"])) as good:
        url = dead_url() if BEFORE_COMMIT[fault] is None else bad.url
        config = cascade(url, good.url)
        config["providers"]["a"]["timeouts"] = {"first_token": "300ms", "response": "300ms"}
        async with Gateway(config) as gateway:
            if stream:
                status, headers, text = await gateway.stream()
                said = content(text)
            else:
                status, headers, answer = await gateway.chat()
                said = answer["choices"][0]["message"]["content"]
            assert (status, said) == (200, "fine")
            decision = await gateway.decision(headers)
            assert [attempt["target"] for attempt in decision["attempts"]] == ["a/test-model", "b/test-model"]
            assert decision["attempts"][0]["kind"] != "ok"
            assert gateway.leases() == 0


async def test_key_after_key_then_the_next_candidate() -> None:
    async with Upstream(LIMITED) as limited, Upstream(openai.speaking(["fine"])) as good:
        config = cascade(limited.url, good.url)
        config["providers"]["a"]["keys"] = "sk-one,sk-two"
        async with Gateway(config) as gateway:
            _, headers, _ = await gateway.chat()
            decision = await gateway.decision(headers)
            assert [(each["key"], each["next"]) for each in decision["attempts"]] == [
                ("a#1", "key"),
                ("a#2", "candidate"),
                ("b#1", None),
            ]
            assert headers["x-cortex-attempts"] == "3"
            _, headers, _ = await gateway.chat()
            decision = await gateway.decision(headers)
            assert decision["candidates"][0]["skip"] == "keys cooling"
            assert decision["candidates"][0]["until"] > decision["time"] + 800
            assert len(limited.requests) == 2


async def test_a_key_that_the_provider_refuses_is_never_used_again() -> None:
    script = {"sk-bad": faults.CLOSE, "sk-good": openai.speaking(["fine"])}
    script["sk-bad"] = replies.json(openai.error("Incorrect API key provided: sk-bad"), status=401)
    async with Upstream(script) as upstream:
        config = cascade(upstream.url)
        config["providers"]["a"]["keys"] = ["sk-bad", "sk-good"]
        async with Gateway(config) as gateway:
            for _ in range(6):
                status, _, _ = await gateway.chat()
                assert status == 200
            assert upstream.calls("sk-bad") == 1
            async with gateway.client.get("/api/stats") as response:
                keys = (await response.json())["keys"]["a"]
            assert [key["status"] for key in keys] == ["disabled", "available"]
        assert "key disabled" in gateway.logged.getvalue()
        assert "sk-bad" not in gateway.logged.getvalue()


async def test_all_keys_cooling_is_a_429_without_an_upstream_call() -> None:
    headers = {"Retry-After": "120"}
    limited = replies.json(openai.error("slow down", code="rate_limit_exceeded"), status=429, headers=headers)
    async with Upstream(limited) as upstream, Gateway(cascade(upstream.url)) as gateway:
        await gateway.chat()
        status, headers_, body = await gateway.chat()
        assert status == 429
        assert len(upstream.requests) == 1
        assert int(headers_["Retry-After"]) <= 30
        assert headers_["x-should-retry"] == "false"
        assert 100 < body["error"]["retry_after_s"] <= 120
        assert body["error"]["type"] == "rate_limit_error"


async def test_the_request_s_own_fault_stops_the_cascade_and_blames_nobody() -> None:
    refused = replies.json(
        {"error": {"message": "temperature too high", "type": "invalid_request_error", "param": "temperature"}}, 400
    )
    async with (
        Upstream(refused) as first,
        Upstream(openai.speaking(["no"])) as second,
        Gateway(cascade(first.url, second.url)) as gateway,
    ):
        for _ in range(7):
            status, _, body = await gateway.chat({"temperature": 9})
            assert status == 400
        assert body["error"]["param"] == "temperature"
        assert "temperature too high" in body["error"]["message"]
        assert not second.requests
        assert len(first.requests) == 7, "a client's fault must not eject"


async def test_never_more_calls_than_attempts_whatever_the_nesting() -> None:
    async with Upstream(replies.json(openai.error(), status=500)) as upstream:
        config = cascade(upstream.url, upstream.url, upstream.url)
        config["models"] |= {"outer": {"cascade": ["chat", "chat2"]}, "chat2": {"cascade": ["c", "a"]}}
        config["retries"] = {"attempts": 4, "backoff": "1ms"}
        async with Gateway(config) as gateway:
            status, _, body = await gateway.chat({"model": "outer"})
            assert status == 502
            assert len(upstream.requests) == 4
            assert len(body["error"]["attempts"]) == 4


async def test_the_deadline_of_the_request_wins() -> None:
    async with Upstream(faults.BLACK_HOLE) as upstream, Gateway(cascade(upstream.url, upstream.url)) as gateway:
        status, _, body = await gateway.chat(headers={"x-cortex-timeout": "200ms"})
        assert status == 504
        assert body["error"]["code"] == "deadline_exceeded"
        assert len(upstream.requests) == 1


async def test_a_model_that_nobody_has_is_a_404_with_the_nearest_names() -> None:
    async with Upstream(openai.speaking(["x"])) as upstream, Gateway(cascade(upstream.url)) as gateway:
        status, _, body = await gateway.chat({"model": "chatt"})
        assert status == 404
        assert body["error"]["code"] == "model_not_found"
        assert "chat" in body["error"]["message"]


async def test_a_client_that_leaves_cancels_the_upstream_call_before_the_first_token_too() -> None:
    async with Upstream(faults.BLACK_HOLE) as upstream, Gateway(cascade(upstream.url)) as gateway:
        async with leaving(gateway, {}):
            await upstream.wait_requests(1)
        await upstream.wait_closed(1)
        await gateway.settled()
        newest = gateway.app.telemetry.decisions.newest(1)[0]
        assert newest.outcome == "cancelled"
        assert gateway.app.runtime.state.health.snapshot(0.0) == {} or newest.attempts[0].kind == "cancelled"


async def test_a_client_that_leaves_mid_stream_is_charged_for_what_came() -> None:
    async with Upstream(faults.stalled_stream(["Hel", "lo"])) as upstream, Gateway(cascade(upstream.url)) as gateway:
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with gateway.client.post("/v1/chat/completions", json=body) as response:
            seen = b""
            async for data in response.content.iter_any():
                seen += data
                if b"lo" in seen:
                    break
        await upstream.wait_closed(1)
        await gateway.settled()
        newest = gateway.app.telemetry.decisions.newest(1)[0]
        assert newest.outcome == "cancelled"
        assert newest.usage is not None
        assert newest.usage.estimated


async def test_a_prompt_too_long_for_a_candidate_goes_to_one_that_fits() -> None:
    async with Upstream(openai.speaking(["small"])) as small, Upstream(openai.speaking(["large"])) as large:
        config = cascade(small.url, large.url)
        config["providers"]["a"]["models"] = [{"name": "test-model", "context": 100}]
        async with Gateway(config) as gateway:
            long = {"messages": [{"role": "user", "content": "word " * 500}]}
            status, headers, _ = await gateway.chat(long)
            assert (status, headers["x-cortex-model"]) == (200, "b/test-model")
            decision = await gateway.decision(headers)
            assert "context" in decision["candidates"][0]["skip"]
            assert not small.requests
            status, _, body = await gateway.chat(long | {"model": "a"})
            assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
