"""The semantic tier, with the built-in embedder: the same question in other words, and what only looks like it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.support import upstream_openai as openai
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request

FIRST = "How do I reset my password in the billing portal?"
REWORDED = "What is the way to reset the password for my billing portal?"
SEMANTIC = {"semantic": {"enabled": True}}
EMBEDDER = {"type": "builtin", "timeout": "10s"}  # a busy machine must not decide a test


def numbered(request: Request) -> Any:
    """Each call is answered otherwise."""
    numbered.calls += 1  # type: ignore[attr-defined]
    return openai.answer(f"answer {numbered.calls}")  # type: ignore[attr-defined]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    numbered.calls = 0  # type: ignore[attr-defined]
    async with Upstream(numbered) as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(cascade(upstream.url, cache=SEMANTIC, embedder=EMBEDDER)) as gateway:
        await ready(gateway)
        yield gateway


async def ready(gateway: Gateway) -> None:
    service = gateway.app.runtime.classification.service
    async with asyncio.timeout(20):
        while service.status().state != "ready":
            await asyncio.sleep(0.01)


def asking(text: str, **members: Any) -> Mapping[str, Any]:
    return {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}], **members}


async def ask(gateway: Gateway, text: str, headers: Mapping[str, str] | None = None, **members: Any) -> tuple[str, str]:
    """What came of it, and the answer."""
    status, told, body = await gateway.chat(asking(text, **members), headers=headers)
    assert status == 200
    return told["x-cortex-cache"], body["choices"][0]["message"]["content"]


async def test_the_same_question_in_other_words_is_answered(gateway: Gateway) -> None:
    assert await ask(gateway, FIRST) == ("miss", "answer 1")
    status, headers, body = await gateway.chat(asking(REWORDED))
    assert (status, headers["x-cortex-cache"], headers["x-cortex-attempts"]) == (200, "semantic", "0")
    assert float(headers["x-cortex-cache-similarity"]) > 0.85
    assert headers["x-cortex-model"] == "a/test-model"
    assert "Age" in headers
    assert body["choices"][0]["message"]["content"] == "answer 1"
    decision = await gateway.decision(headers)
    assert decision["cache"]["result"] == "semantic"
    assert decision["cache"]["similarity"] > 0.85
    assert decision["cost_usd"] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("How do I not reset my password in the billing portal?", "negation"),
        ("How do I reset my password in the admin portal?", ""),
        ("Who can reset my password in the billing portal?", ""),
        ("How do I reset my 2 passwords in the billing portal?", "number"),
    ],
)
async def test_what_only_looks_alike_is_asked_anew(gateway: Gateway, text: str, why: str) -> None:
    await ask(gateway, FIRST)
    _, headers, body = await gateway.chat(asking(text))
    assert (headers["x-cortex-cache"], body["choices"][0]["message"]["content"]) == ("miss", "answer 2")
    reason = (await gateway.decision(headers))["cache"]["reason"]
    assert reason.startswith("kept; the nearest question (0.")
    assert why in reason


async def test_all_else_must_be_the_same(gateway: Gateway) -> None:
    await ask(gateway, FIRST)
    others: list[dict[str, Any]] = [
        {"max_tokens": 5},
        {"model": "a"},
        {"temperature": 0.1},
        {"tools": [{"type": "function", "function": {"name": "reset", "parameters": {}}}]},
        {"messages": [{"role": "system", "content": "Be long."}, {"role": "user", "content": REWORDED}]},
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hi"},
                *asking(REWORDED)["messages"],
            ]
        },
    ]
    for members in others:
        _, headers, _ = await gateway.chat({**asking(REWORDED), **members})
        assert headers["x-cortex-cache"] == "miss", members


async def test_a_stream_and_the_other_dialect_get_it_too(gateway: Gateway) -> None:
    await ask(gateway, FIRST)
    _, headers, text = await gateway.stream(asking(REWORDED))
    assert headers["x-cortex-cache"] == "semantic"
    assert text.endswith("data: [DONE]\n\n")
    _, headers, text = await gateway.stream(asking(REWORDED), path="/api/chat")
    assert headers["x-cortex-cache"] == "semantic"
    assert '{"content":"answer 1"}' in text


async def test_requests_may_refuse_it(gateway: Gateway, upstream: Upstream) -> None:
    await ask(gateway, FIRST)
    assert (await ask(gateway, REWORDED, {"x-cortex-cache": "no-cache"}))[0] == "bypass"
    assert (await ask(gateway, REWORDED, {"x-cortex-cache": "only-if-cached"}))[0] == "hit"  # kept by the one before
    status, _, _ = await gateway.chat(asking("What is a lease?"), headers={"x-cortex-cache": "only-if-cached"})
    assert status == 504
    assert len(upstream.requests) == 2


async def test_only_a_humans_own_words_are_compared(gateway: Gateway) -> None:
    await ask(gateway, FIRST)
    for content in (
        f"<system-reminder>Be kind.</system-reminder>{REWORDED}",
        [{"type": "text", "text": REWORDED}, {"type": "text", "text": "And thanks."}],
    ):
        _, headers, _ = await gateway.chat({**asking(FIRST), "messages": [{"role": "user", "content": content}]})
        assert headers["x-cortex-cache"] == "miss"


async def test_what_was_removed_answers_nothing(gateway: Gateway) -> None:
    await ask(gateway, FIRST)
    async with gateway.client.delete("/api/cache") as response:
        assert await response.json() == {"removed": 1}
    assert await ask(gateway, REWORDED) == ("miss", "answer 2")
    async with gateway.client.get("/api/cache") as response:
        told = await response.json()
    assert told["questions"]["questions"] == 1
    assert told["questions"]["embedder"] == "ready"


async def test_no_word_of_a_question_stands_in_a_decision(gateway: Gateway) -> None:
    await ask(gateway, "¿Cuál es la capital de Francia?")
    _, headers, _ = await gateway.chat(asking("¿Cuál es la capital de España?"))
    assert headers["x-cortex-cache"] == "miss"
    decision = str(await gateway.decision(headers)).lower()
    assert "francia" not in decision
    assert "espana" not in decision


async def test_requests_at_once_make_one_call(gateway: Gateway, upstream: Upstream) -> None:
    told = await asyncio.gather(*(ask(gateway, FIRST) for _ in range(20)))
    assert {answer for _, answer in told} == {"answer 1"}
    assert len(upstream.requests) == 1


async def test_without_an_embedder_in_time_a_question_is_asked(upstream: Upstream) -> None:
    embedder = {"type": "builtin", "timeout": "0.001ms"}
    async with Gateway(cascade(upstream.url, cache=SEMANTIC, embedder=embedder)) as gateway:
        await ready(gateway)
        await ask(gateway, FIRST)
        _, headers, _ = await gateway.chat(asking(REWORDED))
        assert headers["x-cortex-cache"] == "miss"
        assert "not compared: the embedder" in (await gateway.decision(headers))["cache"]["reason"]
