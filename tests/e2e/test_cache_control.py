"""What requests and admins may say of the cache: headers, the body's `cache`, /api/cache."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import upstream_openai as openai
from tests.support.caching import Cached, Got
from tests.support.clients import CLIENTS, OPENAI, Client
from tests.support.upstream_http import Request


def counting() -> Any:
    """Each call is answered otherwise, as a model would."""
    calls = [0]

    def reply(asked: Request) -> Any:
        calls[0] += 1
        text = f"answer {calls[0]}"
        return openai.stream([text]) if asked.json.get("stream") else openai.answer(text)

    return reply


async def test_no_cache_asks_anew_and_keeps_the_new_answer() -> None:
    for said in (
        {"x-cortex-cache": "no-cache"},
        {"Cache-Control": "no-cache"},
        {"Cache-Control": "max-age=0, No-Cache"},
    ):
        async with Cached(counting()) as cached:
            await cached.ask()
            got = await cached.ask(headers=said)
            assert (got.cache, got.view.text) == ("bypass", "answer 2")
            assert (await cached.ask()).view.text == "answer 2"
            reason = (await cached.gateway.decision(got.headers))["cache"]["reason"]
            assert reason == "no-cache asked; kept"


async def test_no_store_answers_from_the_cache_and_keeps_nothing() -> None:
    for said in ({"x-cortex-cache": "no-store"}, {"Cache-Control": "no-store"}):
        async with Cached(counting()) as cached:
            assert (await cached.ask(headers=said)).cache == "miss"
            assert (await cached.ask()).cache == "miss"
            got = await cached.ask(headers=said)
            assert (got.cache, got.view.text) == ("hit", "answer 2")


async def test_both_are_no_part_of_it() -> None:
    async with Cached(counting()) as cached:
        await cached.ask()
        got = await cached.ask(headers={"x-cortex-cache": " no-store , no-cache"})
        assert (got.cache, got.view.text) == ("bypass", "answer 2")
        assert (await cached.ask()).view.text == "answer 1"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_only_if_cached(client: Client) -> None:
    only = {"x-cortex-cache": "only-if-cached"}
    async with Cached(counting()) as cached:
        got = await cached.ask(headers=only, client=client)
        assert (got.status, got.json["error"]["code"], cached.calls) == (504, "not_cached", 0)
        assert got.headers["x-should-retry"] == "false"
        await cached.ask(client=client)
        assert (await cached.ask(headers=only, client=client)).cache == "hit"


async def test_only_if_cached_where_the_cache_is_switched_off() -> None:
    async with Cached(counting(), cache={"exact": {"enabled": False}}) as cached:
        got = await cached.ask(headers={"x-cortex-cache": "only-if-cached"})
        assert (got.status, got.json["error"]["code"], cached.calls) == (504, "not_cached", 0)


LITELLM: list[tuple[dict[str, Any], str, str]] = [
    ({"no-cache": True}, "bypass", "hit"),
    ({"no-cache": False, "use-cache": True}, "hit", "hit"),
    ({"no-store": True}, "hit", "hit"),
    ({"no-store": True, "no-cache": True}, "bypass", "hit"),
    ({"ttl": 600}, "hit", "hit"),
    ({"namespace": "other"}, "miss", "hit"),
    ({"s-maxage": 3600}, "hit", "hit"),
    ({"s-maxage": 0}, "miss", "hit"),
    ({}, "hit", "hit"),
]


@pytest.mark.parametrize(("said", "then", "after"), LITELLM, ids=[str(said) for said, _, _ in LITELLM])
async def test_litellms_body_member(said: dict[str, Any], then: str, after: str) -> None:
    async with Cached(counting()) as cached:
        await cached.ask()
        assert (await cached.ask({"cache": said})).cache == then
        assert (await cached.ask()).cache == after
        assert all("cache" not in request.json for request in cached.upstream.requests)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_the_member_never_goes_upstream(client: Client, enabled: bool) -> None:
    async with Cached(counting(), cache={"exact": {"enabled": enabled}}) as cached:
        await cached.ask({"cache": {"ttl": 5}}, client=client)
        assert "cache" not in cached.upstream.requests[0].json


FAULTY: list[tuple[Any, str]] = [
    ({"ttl": "soon"}, "cache.ttl"),
    ({"ttl": -1}, "cache.ttl"),
    ({"ttl": 1e12}, "cache.ttl"),
    ({"no-cache": 1}, "cache.no-cache"),
    ({"namespace": 7}, "cache.namespace"),
    ({"namespace": "x" * 1000}, "cache.namespace"),
    ({"no_cache": True}, "cache"),
    ("no-cache", "cache"),
    ([1], "cache"),
]


@pytest.mark.parametrize(("said", "param"), FAULTY, ids=[str(said)[:30] for said, _ in FAULTY])
async def test_a_faulty_member_is_told(said: Any, param: str) -> None:
    async with Cached(counting()) as cached:
        got = await cached.ask({"cache": said})
        assert (got.status, got.json["error"]["param"], cached.calls) == (400, param, 0)


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"x-cortex-cache": "nocache"}, "x-cortex-cache"),
        ({"x-cortex-cache": "no-cache, only-if-cached"}, "x-cortex-cache"),
        ({"x-cortex-cache-ttl": "10"}, "x-cortex-cache-ttl"),
        ({"x-cortex-cache-ttl": "-1s"}, "x-cortex-cache-ttl"),
    ],
)
async def test_a_faulty_header_is_told(headers: dict[str, str], param: str) -> None:
    async with Cached(counting()) as cached:
        got = await cached.ask(headers=headers)
        assert (got.status, got.json["error"]["param"], cached.calls) == (400, param, 0)


async def test_what_an_answer_tells() -> None:
    async with Cached(counting()) as cached:
        miss, hit = await cached.both()
        assert "Age" not in miss.headers
        assert int(hit.headers["Age"]) < 60
        assert miss.headers["x-cortex-cache-key"] == hit.headers["x-cortex-cache-key"]
        assert hit.headers["x-cortex-route"] == "chat"
        decision = await cached.gateway.decision(hit.headers)
        assert decision["cache"]["result"] == "hit"
        assert decision["cache"]["age_s"] >= 0
        assert (decision["attempts"], decision["cost_usd"], decision["outcome"]) == ([], 0, "completed")
        assert decision["usage"]["total_tokens"] == 12
        assert (await cached.gateway.decision(miss.headers))["cache"]["reason"] == "kept"


# For those who look after it


async def told(cached: Cached, path: str = "/api/cache") -> Any:
    async with cached.gateway.client.get(path) as response:
        assert response.status == 200
        return await response.json()


async def remove(cached: Cached, query: str = "") -> tuple[int, Any]:
    async with cached.gateway.client.delete(f"/api/cache{query}") as response:
        return response.status, await response.json()


async def test_admins_see_what_it_holds_and_saved() -> None:
    async with Cached(counting()) as cached:
        await cached.both()
        await cached.ask(headers={"x-cortex-cache": "no-cache"})
        seen = await told(cached)
        assert (seen["entries"], seen["hits"], seen["misses"], seen["bypassed"], seen["stored"]) == (1, 1, 1, 1, 2)
        assert 0 < seen["bytes"] < 10_000
        assert seen["saved"] == {"tokens": 12, "usd": 0.0}
        stats = await told(cached, "/api/stats")
        assert stats["cache"] == seen
        assert stats["performance"]["total_tokens"] == 24, "what was saved was not used"


async def test_entries_are_removed_all_at_once_by_model_or_by_key() -> None:
    async with Cached(counting()) as cached:
        keys = [
            (await cached.ask({"model": model})).headers["x-cortex-cache-key"]
            for model in ("chat", "a", "a/test-model")
        ]
        assert await remove(cached, f"?key={keys[0]}") == (200, {"removed": 1})
        assert await remove(cached, f"?key={keys[0]}") == (200, {"removed": 0})
        assert await remove(cached, f"?key={keys[1]}&model=chat") == (200, {"removed": 0})
        assert await remove(cached, "?model=a") == (200, {"removed": 1})
        assert await remove(cached, "?model=nothing") == (200, {"removed": 0})
        assert await remove(cached, "?model=a/test-model") == (200, {"removed": 1})
        await cached.both()
        assert await remove(cached) == (200, {"removed": 1})
        assert (await cached.ask()).cache == "miss"


async def test_what_cannot_be_removed_is_told() -> None:
    async with Cached(counting()) as cached:
        for query, param in (("?key=xyz", "key"), ("?modell=chat", "modell")):
            status, body = await remove(cached, query)
            assert (status, body["error"]["param"]) == (400, param)


async def test_clients_may_neither_look_nor_remove() -> None:
    server = {"client_keys": "client-key-aaaaaaaa", "admin_keys": "admin-key-bbbbbbbb"}
    async with Cached(counting(), server=server) as cached:
        for method in ("GET", "DELETE"):
            for key, status in ((None, 401), ("client-key-aaaaaaaa", 403), ("admin-key-bbbbbbbb", 200)):
                headers = {} if key is None else {"Authorization": f"Bearer {key}"}
                async with cached.gateway.client.request(method, "/api/cache", headers=headers) as response:
                    assert response.status == status
                    assert "client-key-aaaaaaaa" not in await response.text()


async def test_the_same_bytes_again_are_answered_as_their_headers_say() -> None:
    """A body that was read before is not read again; what headers say of it counts all the same."""
    async with Cached(counting()) as cached:
        await cached.both()
        again: list[Got] = [await cached.ask(headers=headers) for headers in ({"x-cortex-cache": "no-cache"}, {})]
        assert [(each.cache, each.view.text) for each in again] == [("bypass", "answer 2"), ("hit", "answer 2")]
        await remove(cached)
        assert (await cached.ask()).view.text == "answer 3"
        assert len(cached.gateway.app.runtime.caching.repeats) == 1


async def test_a_body_that_differs_in_a_byte_is_another() -> None:
    async with Cached(counting()) as cached:
        bodies = [b'{"messages":[{"role":"user","content":"%d"}]}' % n for n in range(3)]
        for _ in range(3):
            texts = [(await cached.ask(body, client=OPENAI)).view.text for body in bodies]
            assert texts == ["answer 1", "answer 2", "answer 3"]


async def test_many_clients_have_their_own_answers_to_the_same_bytes() -> None:
    names = [f"client-key-{n:08d}" for n in range(20)]
    async with Cached(counting(), server={"client_keys": ",".join(names)}) as cached:
        for _ in range(3):
            got = await asyncio.gather(*(cached.ask(headers={"x-api-key": name}) for name in names))
            assert len({each.view.text for each in got}) == len(names)
        assert cached.calls == len(names)
