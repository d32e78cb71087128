"""More texts than one call of the provider takes: one attempt of several calls, and nothing of it to be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from tests.support import upstream_cohere, upstream_gemini, upstream_openai, upstream_replies
from tests.support.conversation import client_of
from tests.support.gateway import Gateway, provider
from tests.support.upstream import Script, Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

TEXTS = [str(n) for n in range(200)]
SECOND_PART = TEXTS[96:192]


def cohere(request: Request) -> Reply:
    """The vector of a number is that number."""
    texts = request.json["texts"]
    return upstream_cohere.embeddings([[float(text)] for text in texts], texts)


def gemini(request: Request) -> Reply:
    texts = [each["content"]["parts"][0]["text"] for each in request.json["requests"]]
    return upstream_gemini.embeddings(*([1.0, float(text)] for text in texts))


def of_openai(request: Request) -> Reply:
    return upstream_openai.embeddings([[-1.0] for _ in request.json["input"]])


def second_part(reply: Reply) -> Script:
    """What comes in place of the answer to the second part."""
    return lambda request: reply if request.json["texts"] == SECOND_PART else cohere(request)


@asynccontextmanager
async def served(url: str, other: str | None = None, **settings: Any) -> AsyncIterator[Gateway]:
    """Cohere, and where it cannot serve, an upstream that speaks as OpenAI does."""
    first = {"type": "cohere", "base_url": url, "keys": ["co-1", "co-2"], "models": ["embed-v4.0"], **settings}
    providers = {"first": first} if other is None else {"first": first, "other": provider(other)}
    async with Gateway({"providers": providers, "models": {"texts": {"cascade": list(providers)}}}) as gateway:
        yield gateway


async def ask(gateway: Gateway, texts: Sequence[str] = TEXTS) -> tuple[Any, dict[str, Any]]:
    """The answer, and the decision on it."""
    async with client_of(gateway) as client:
        raw = await client.embeddings.with_raw_response.create(
            model="texts", input=list(texts), encoding_format="float"
        )
    return raw.parse(), await gateway.decision(raw.headers)


def sizes(upstream: Upstream) -> list[int]:
    return [len(request.json["texts"]) for request in upstream.requests]


async def test_the_parts_are_joined_in_order() -> None:
    async with Upstream(cohere) as upstream, served(upstream.url) as gateway:
        answer, decision = await ask(gateway)
    assert [row.embedding for row in answer.data] == [[float(text)] for text in TEXTS]
    assert [row.index for row in answer.data] == list(range(200))
    assert (answer.model, answer.usage.prompt_tokens) == ("embed-v4.0", 6)
    assert sizes(upstream) == [96, 96, 8]
    assert len({request.headers["authorization"] for request in upstream.requests}) == 1
    (attempt,) = decision["attempts"]
    assert (attempt["kind"], attempt["status"], attempt["calls"]) == ("ok", 200, 3)
    assert decision["usage"]["prompt_tokens"] == 6


async def test_a_part_without_usage_makes_it_an_estimate() -> None:
    config = {"type": "gemini", "keys": ["AIza-1"], "models": ["gemini-embedding-001"]}
    async with Upstream(gemini) as upstream, served(upstream.url, **config) as gateway:
        answer, decision = await ask(gateway)
    assert [round(row.embedding[1] / row.embedding[0]) for row in answer.data] == list(range(200))
    assert [len(request.json["requests"]) for request in upstream.requests] == [100, 100]
    assert (decision["attempts"][0]["calls"], decision["usage"]["estimated"]) == (2, True)


async def test_one_call_is_told_as_ever() -> None:
    async with Upstream(cohere) as upstream, served(upstream.url) as gateway:
        _, decision = await ask(gateway, TEXTS[:96])
    assert sizes(upstream) == [96]
    assert "calls" not in decision["attempts"][0]


@pytest.mark.parametrize(
    ("reply", "kind", "status"),
    [
        (upstream_cohere.error("down", 503), "overloaded", 503),
        (upstream_cohere.embeddings([[0.0]], ["0"]), "invalid_response", 200),
        (upstream_replies.html(), "invalid_response", 200),
    ],
)
async def test_a_part_that_fails_fails_the_attempt(reply: Reply, kind: str, status: int) -> None:
    async with Upstream(second_part(reply)) as first, Upstream(of_openai) as other:
        async with served(first.url, other.url) as gateway:
            answer, decision = await ask(gateway)
    assert [row.embedding for row in answer.data] == [[-1.0]] * 200
    failed, done = decision["attempts"]
    assert (failed["kind"], failed["status"], failed["next"]) == (kind, status, "candidate")
    assert (done["kind"], "calls" in done) == ("ok", False)
    assert [request.json["input"] for request in other.requests] == [TEXTS]


async def test_another_key_begins_with_the_first_part() -> None:
    script = {"co-1": second_part(upstream_cohere.error("too many", 429)), "co-2": cohere}
    async with Upstream(script) as upstream, served(upstream.url) as gateway:
        answer, decision = await ask(gateway)
    assert [row.embedding for row in answer.data] == [[float(text)] for text in TEXTS]
    assert sizes(upstream) == [96, 96, 96, 96, 8]
    assert [(each["key"], each["kind"], each["calls"]) for each in decision["attempts"]] == [
        ("first#1", "rate_limited", 2),
        ("first#2", "ok", 3),
    ]


async def test_more_than_any_chain_takes_goes_elsewhere_before_anything_is_sent() -> None:
    texts = ["0"] * 2049
    async with Upstream(cohere) as first, Upstream(of_openai) as other:
        async with served(first.url, other.url) as gateway:
            answer, _ = await ask(gateway, texts)
            with pytest.raises(openai.BadRequestError, match="2048") as caught:
                async with client_of(gateway) as client:
                    await client.embeddings.create(model="first", input=texts)
    assert len(answer.data) == 2049
    assert caught.value.param == "input"
    assert first.requests == []


async def test_all_parts_together_are_no_longer_than_an_answer_may_be() -> None:
    def long(request: Request) -> Reply:
        return upstream_replies.json(
            {"embeddings": {"float": [[0.0] for _ in request.json["texts"]]}, "pad": " " * (30 << 20)}
        )

    async with Upstream(long) as first, Upstream(of_openai) as other:
        async with served(first.url, other.url) as gateway:
            _, decision = await ask(gateway)
    assert [(each["kind"], each.get("calls")) for each in decision["attempts"]] == [
        ("invalid_response", 3),
        ("ok", None),
    ]
