"""Embeddings in the cache: text by text, in order, and never two models' vectors in one answer."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support.caching import Cached, Got
from tests.support.upstream_http import Request

PATH = "/v1/embeddings"


def vector(item: Any) -> list[float]:
    """Exact in 32 bits, and another for each item."""
    size = len(item) if isinstance(item, str) else sum(item)
    return [size / 4, -0.5]


def embedding(request: Request) -> Any:
    given = request.json["input"]
    items = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    return openai.embeddings([vector(item) for item in items])


async def embed(cached: Cached, given: Any, headers: dict[str, str] | None = None, **members: Any) -> Got:
    import json

    return await cached.post(PATH, json.dumps({"input": given, **members}).encode(), headers)


def vectors(got: Got) -> list[Any]:
    assert got.status == 200, got.body
    return [row["embedding"] for row in got.json["data"]]


def asked(cached: Cached) -> list[Any]:
    return [request.json["input"] for request in cached.upstream.requests]


async def test_only_new_texts_are_asked_for_and_the_order_is_kept() -> None:
    async with Cached(embedding) as cached:
        assert (await embed(cached, ["a", "bb"])).cache == "miss"
        got = await embed(cached, ["ccc", "bb", "dddd", "a"])
        assert (got.cache, vectors(got)) == ("miss", [vector(text) for text in ("ccc", "bb", "dddd", "a")])
        assert asked(cached) == [["a", "bb"], ["ccc", "dddd"]]
        got = await embed(cached, ["a", "ccc", "a"])
        assert (got.cache, vectors(got)) == ("hit", [vector(text) for text in ("a", "ccc", "a")])
        assert [row["index"] for row in got.json["data"]] == [0, 1, 2]
        assert got.headers["x-cortex-model"] == "a/test-model"
        assert got.headers["x-cortex-attempts"] == "0"
        assert (await embed(cached, "bb")).cache == "hit"
        assert cached.calls == 2
        decision = await cached.gateway.decision(got.headers)
        assert (decision["cache"]["result"], decision["cost_usd"]) == ("hit", 0)


async def test_usage_is_that_of_all_texts() -> None:
    async with Cached(embedding) as cached:
        first = (await embed(cached, ["aa", "bb"])).json["usage"]
        partly = (await embed(cached, ["aa", "cc"])).json["usage"]
        whole = (await embed(cached, ["aa", "bb"])).json["usage"]
        assert whole["total_tokens"] == first["total_tokens"]
        assert partly["prompt_tokens"] == partly["total_tokens"] > first["total_tokens"] // 2


@pytest.mark.parametrize("first", ["float", "base64"])
async def test_numbers_and_base64_share_vectors(first: str) -> None:
    async with Cached(embedding) as cached:
        await embed(cached, ["abc"], encoding_format=first)
        numbers = await embed(cached, ["abc"], encoding_format="float")
        packed = await embed(cached, ["abc"], encoding_format="base64")
        assert (numbers.cache, packed.cache, cached.calls) == ("hit", "hit", 1)
        assert vectors(numbers) == [vector("abc")]
        assert list(struct.unpack("<2f", base64.b64decode(vectors(packed)[0]))) == vector("abc")


async def test_token_ids_are_items_too() -> None:
    async with Cached(embedding) as cached:
        await embed(cached, [1, 2, 3])
        got = await embed(cached, [[1, 2, 3], [4]])
        assert (vectors(got), asked(cached)[1]) == ([[1.5, -0.5], [1.0, -0.5]], [[4]])
        assert (await embed(cached, [[4], [1, 2, 3]])).cache == "hit"
        assert (await embed(cached, "[1,2,3]")).cache == "miss", "a text is no list of ids"


@pytest.mark.parametrize("member", [{"dimensions": 2}, {"model": "a"}, {"input_type": "query"}])
async def test_any_other_member_makes_another_vector(member: dict[str, Any]) -> None:
    async with Cached(embedding) as cached:
        await embed(cached, ["a"])
        assert (await embed(cached, ["a"], **member)).cache == "miss"
        assert (await embed(cached, ["a"], user="u")).cache == "hit"


async def test_vectors_of_two_models_are_never_mixed() -> None:
    """`a` made the vector of one text and then fails: `b` is asked for all of them."""

    def other(request: Request) -> Any:
        return openai.embeddings([[9.0, float(n)] for n, _ in enumerate(request.json["input"])], model="other")

    async with Cached([embedding, faults.SERVER_ERROR], other, retries={"attempts": 5}) as cached:
        await embed(cached, ["one"])
        got = await embed(cached, ["one", "two"])
        assert vectors(got) == [[9.0, 0.0], [9.0, 1.0]]
        assert got.headers["x-cortex-model"] == "b/test-model"
        assert cached.upstreams[0].requests[1].json["input"] == ["two"]
        assert cached.upstreams[1].requests[0].json["input"] == ["one", "two"]
        again = await embed(cached, ["one", "two"])
        assert (again.cache, vectors(again)) == ("hit", [[9.0, 0.0], [9.0, 1.0]])


async def test_texts_known_of_two_models_are_asked_for_anew_as_one_model_needs_them() -> None:
    calls = [0]

    def first(request: Request) -> Any:
        calls[0] += 1
        return faults.SERVER_ERROR if calls[0] == 2 else embedding(request)

    def other(request: Request) -> Any:
        return openai.embeddings([[9.0, 9.0] for _ in request.json["input"]], model="other")

    async with Cached(first, other, retries={"attempts": 5}) as cached:
        await embed(cached, ["one"])  # by a
        await embed(cached, ["three"])  # by b
        got = await embed(cached, ["one", "three"])
        assert (got.cache, vectors(got)) == ("miss", [vector("one"), vector("three")])
        assert cached.upstreams[0].requests[-1].json["input"] == ["three"]


async def test_the_same_texts_at_once_are_asked_for_once() -> None:
    gate = asyncio.Event()
    from tests.support import upstream_replies as replies

    def reply(request: Request) -> Any:
        return replies.raw(replies.until(gate), *embedding(request).steps)

    async with Cached(reply) as cached:
        tasks = [asyncio.create_task(embed(cached, ["a", "bb"])) for _ in range(10)]
        await cached.wait_followers(9)
        gate.set()
        got = await asyncio.gather(*tasks)
        assert all(vectors(each) == [vector("a"), vector("bb")] for each in got)
        assert sorted(each.cache for each in got) == ["coalesced"] * 9 + ["miss"]
        assert cached.calls == 1


async def test_control_is_that_of_chats() -> None:
    async with Cached(embedding) as cached:
        assert (await embed(cached, ["a"], {"x-cortex-cache": "only-if-cached"})).status == 504
        await embed(cached, ["a"], cache={"no-store": True})
        assert len(cached.cache.store) == 0
        await embed(cached, ["a"], {"x-cortex-cache-ttl": "5m"})
        assert (await embed(cached, ["a"], {"x-cortex-cache": "no-cache"})).cache == "bypass"
        assert (await embed(cached, ["a"], {"x-cortex-cache": "only-if-cached"})).cache == "hit"
        assert all("cache" not in request.json for request in cached.upstream.requests)
