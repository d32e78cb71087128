"""A candidate that cannot serve a request is skipped with the reason, when another can; and nothing is sent to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.conversation import PNG, SCHEMA, TOOLS, opening
from tests.support.gateway import Gateway, provider
from tests.support.upstream import Upstream
from tests.support.upstream_replies import Reply

SAYING = openai.speaking(["Hi"])
NO_IMAGES: Reply = replies.json(openai.error("I see no images", "invalid_request_error", "no_images"), status=400)
TOO_MANY: Reply = replies.json(openai.error("Rate limit reached", "tokens", "rate_limit_exceeded"), status=429)


def config(**providers: dict[str, Any]) -> dict[str, Any]:
    return {"providers": providers, "models": {"chat": {"cascade": list(providers)}}, "default_model": "chat"}


def groq(url: str) -> dict[str, Any]:
    return provider(url, type="groq")


def model(**facts: Any) -> list[dict[str, Any]]:
    return [{"name": "test-model", **facts}]


def skips(decision: dict[str, Any]) -> dict[str, str | None]:
    return {candidate["target"]: candidate.get("skip") for candidate in decision["candidates"]}


async def used(gateway: Gateway, name: str) -> int:
    async with gateway.client.get("/api/stats") as response:
        (key,) = (await response.json())["keys"][name]
    assert key["errors"] == 0
    count: int = key["used"]
    return count


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_provider_cannot_express_goes_to_one_that_can_and_is_no_call(stream: bool) -> None:
    async with Upstream(SAYING) as first, Upstream(SAYING) as second:
        retries = {"attempts": 1}  # all calls of a request: the one that answers
        async with Gateway({**config(groq=groq(first.url), other=provider(second.url)), "retries": retries}) as gateway:
            ask = gateway.stream if stream else gateway.chat
            status, headers, _ = await ask({"n": 2})
            decision = await gateway.decision(headers)
            assert await used(gateway, "groq") == 0
    assert (status, headers["x-cortex-model"], headers["x-cortex-attempts"]) == (200, "other/test-model", "1")
    assert [attempt["target"] for attempt in decision["attempts"]] == ["other/test-model"]
    assert skips(decision) == {"groq/test-model": "unsupported: n", "other/test-model": None}
    assert first.connections == []
    assert second.requests[0].json["n"] == 2


async def test_what_nobody_can_express_is_the_clients_400_with_the_field() -> None:
    async with Upstream(SAYING) as first, Upstream(SAYING) as second:
        async with Gateway(config(one=groq(first.url), two=groq(second.url))) as gateway:
            status, headers, body = await gateway.chat({"logprobs": True})
            decision = await gateway.decision(headers)
            stats = await (await gateway.client.get("/api/stats")).json()
    assert (status, headers["x-cortex-attempts"], headers["x-should-retry"]) == (400, "0", "false")
    assert (body["error"]["param"], body["error"]["code"]) == ("logprobs", "unsupported_parameter")
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"].get("attempts", []) == []
    assert decision["attempts"] == []
    assert set(skips(decision).values()) == {"unsupported: logprobs"}
    assert stats["requests"]["no_workers"] == 0
    assert first.connections == second.connections == []


async def test_a_request_that_nobody_could_read_ends_at_the_first_codec_that_reads_it() -> None:
    """Forwarded bytes are the upstream's to judge; what has to be translated is judged here."""
    async with Upstream(SAYING) as first, Upstream(SAYING) as second:
        ollama = {"type": "ollama", "base_url": first.url, "models": ["test-model"]}
        async with Gateway(config(ollama=ollama, other=provider(second.url))) as gateway:
            status, headers, body = await gateway.chat({"temperature": "hot"})
            decision = await gateway.decision(headers)
    assert (status, body["error"]["param"], headers["x-cortex-attempts"]) == (400, "temperature", "0")
    assert decision["attempts"] == []
    assert first.connections == second.connections == []


async def test_embeddings_are_passed_over_alike() -> None:
    async with Upstream(SAYING) as first, Upstream(openai.embeddings([[1.0]])) as second:
        ollama = {"type": "ollama", "base_url": first.url, "models": ["test-model"]}
        async with Gateway(config(ollama=ollama, other=provider(second.url))) as gateway:
            body = {"model": "chat", "input": [1, 2, 3]}
            async with gateway.client.post("/v1/embeddings", json=body) as response:
                assert response.status == 200
                assert response.headers["x-cortex-model"] == "other/test-model"
                decision = await gateway.decision(response.headers)
    assert skips(decision)["ollama/test-model"] == "unsupported: input"
    assert first.connections == []


NEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tools": ("tools", {"tools": TOOLS}),
    "vision": ("vision", {"messages": opening(image=True)}),
    "json_schema": (
        "json_schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}},
    ),
}


@pytest.mark.parametrize(("lacks", "body"), NEEDS.values(), ids=NEEDS)
async def test_a_model_that_lacks_what_is_needed_is_skipped(lacks: str, body: dict[str, Any]) -> None:
    async with Upstream(SAYING) as poor, Upstream(SAYING) as rich:
        providers = {"poor": provider(poor.url, models=model(**{lacks: False})), "rich": provider(rich.url)}
        async with Gateway(config(**providers)) as gateway:
            _, headers, _ = await gateway.chat(body)
            decision = await gateway.decision(headers)
            _, plain, _ = await gateway.chat()
    assert headers["x-cortex-model"] == "rich/test-model"
    assert skips(decision) == {"poor/test-model": f"lacks {lacks}", "rich/test-model": None}
    assert plain["x-cortex-model"] == "poor/test-model"
    assert len(poor.requests) == 1


async def test_a_known_text_model_is_skipped_without_being_told() -> None:
    name = "openai/gpt-oss-20b"
    async with Upstream(SAYING) as text, Upstream(SAYING) as seeing:
        known = provider(text.url, type="groq", models=[name])
        async with Gateway(config(groq=known, other=provider(seeing.url))) as gateway:
            _, headers, _ = await gateway.chat({"messages": opening(image=True)})
            decision = await gateway.decision(headers)
        assert skips(decision)[f"groq/{name}"] == "lacks vision"
        told = provider(text.url, type="groq", models=[{"name": name, "vision": True}])
        async with Gateway(config(groq=told, other=provider(seeing.url))) as gateway:
            _, headers, _ = await gateway.chat({"messages": opening(image=True)})
    assert headers["x-cortex-model"] == f"groq/{name}"
    assert PNG.encode() in text.requests[0].body


async def test_where_no_model_is_said_to_see_the_providers_judge() -> None:
    async with Upstream(NO_IMAGES) as first, Upstream(SAYING) as second:
        blind = model(vision=False)
        off = {"type": "openai", "base_url": second.url, "models": ["m"]}
        providers = {"one": provider(first.url, models=blind), "off": off}
        async with Gateway(config(**providers)) as gateway:
            status, headers, body = await gateway.chat({"messages": opening(image=True)})
            decision = await gateway.decision(headers)
    assert (status, body["error"]["code"]) == (400, "no_images")
    assert [attempt["target"] for attempt in decision["attempts"]] == ["one/test-model"]
    assert skips(decision) == {"one/test-model": None, "off/m": "off: no key"}


async def test_an_image_waits_for_the_model_that_sees_rather_than_go_to_one_that_does_not() -> None:
    async with Upstream(SAYING) as text, Upstream(TOO_MANY) as seeing:
        providers = {"text": provider(text.url, models=model(vision=False)), "seeing": provider(seeing.url)}
        async with Gateway(config(**providers)) as gateway:
            for _ in range(2):  # the second time no key is free at all
                status, headers, _ = await gateway.chat({"messages": opening(image=True)})
                assert status == 429
            decision = await gateway.decision(headers)
    assert skips(decision) == {"text/test-model": "lacks vision", "seeing/test-model": "keys cooling"}
    assert text.connections == []


async def test_the_cost_of_an_answer_knows_the_cache() -> None:
    usage = openai.usage(1000, 100) | {"prompt_tokens_details": {"cached_tokens": 800}}
    priced = model(input_usd_per_mtok=10, output_usd_per_mtok=50, cached_input_usd_per_mtok=1)
    async with Upstream(openai.answer("Hi", usage=usage)) as upstream:
        async with Gateway(config(a=provider(upstream.url, models=priced), b=provider(upstream.url))) as gateway:
            _, headers, _ = await gateway.chat()
            assert (await gateway.decision(headers))["cost_usd"] == pytest.approx((200 * 10 + 800 + 100 * 50) / 1e6)
            _, headers, _ = await gateway.chat({"model": "b"})
            assert (await gateway.decision(headers))["cost_usd"] is None
            stats = await (await gateway.client.get("/api/stats")).json()
    assert stats["cost"] == {"usd": pytest.approx(0.0078), "unpriced_requests": 1}
