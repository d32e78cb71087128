"""Requests whose very bytes came before are not read again: nothing of one may show in the next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached, encoded, until
from tests.support.clients import API_CHAT, CLIENTS, OPENAI, Client
from tests.support.gateway import provider
from tests.support.speakers import Said, Speaker
from tests.support.speakers_own import SPEAKERS

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call00000", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BODY: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call00000", "content": "4"},
        {"role": "user", "content": "so?"},
    ],
    "tools": [TOOL],
    "max_tokens": 50,
    "stop": ["END"],
    "temperature": 0.5,
}


async def forget(cached: Cached) -> None:
    async with cached.gateway.client.delete("/api/cache") as response:
        assert response.status == 200


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.type)
async def test_what_goes_upstream_is_the_same_each_time(speaker: Speaker, client: Client, stream: bool) -> None:
    def config(urls: list[str]) -> dict[str, Any]:
        one = {"type": speaker.type, "base_url": urls[0] + speaker.base_path, "keys": ["k"], "models": [speaker.model]}
        return {"providers": {"a": one}, "models": {"chat": {"cascade": ["a"]}}, "default_model": "chat"}

    body = encoded({**BODY, "stream": stream})
    async with Cached(lambda asked: speaker.say(asked, Said(text=["x"])), config=config) as cached:
        for _ in range(3):
            assert (await cached.ask(body, client=client)).cache == "miss"
            for _ in range(2):
                assert (await cached.ask(body, client=client)).cache == "hit"
            await forget(cached)
        first, *others = cached.upstream.requests
        assert len(others) == 2
        for each in others:
            assert (each.body, each.path) == (first.body, first.path)


async def test_the_same_bytes_in_two_dialects_are_two_requests() -> None:
    """What pins a provider in one is a member like any in the other."""
    config = {"a": "from a", "b": "from b"}

    def both(urls: list[str]) -> dict[str, Any]:
        providers = {name: provider(url) for name, url in zip(config, urls, strict=True)}
        return {"providers": providers, "models": {"chat": {"cascade": list(config)}}, "default_model": "chat"}

    body = encoded({"provider": "b", "stream": False})
    async with Cached(*(openai.speaking([text]) for text in config.values()), config=both) as cached:
        for _ in range(3):
            assert (await cached.ask(body, client=OPENAI)).view.text == "from a"
            assert (await cached.ask(body, client=API_CHAT)).view.text == "from b"
        assert cached.calls == 2


@pytest.mark.parametrize(
    ("headers", "cache"),
    [
        ({"x-cortex-cache": "no-cache"}, "bypass"),
        ({"Cache-Control": "no-cache"}, "bypass"),
        ({"x-cortex-cache": "only-if-cached"}, "hit"),
        ({"x-cortex-cache": "no-store"}, "hit"),
        ({}, "hit"),
    ],
)
async def test_headers_count_each_time(headers: dict[str, str], cache: str) -> None:
    body = encoded({"stream": False})
    async with Cached(openai.speaking(["x"])) as cached:
        for _ in range(3):
            await cached.ask(body)
        for _ in range(2):
            assert (await cached.ask(body, headers=headers)).cache == cache
        faulty = await cached.ask(body, headers={"x-cortex-cache": "what"})
        assert (faulty.status, faulty.json["error"]["param"]) == (400, "x-cortex-cache")


async def test_ages_and_ids_are_each_requests_own() -> None:
    body = encoded({"stream": False})
    async with Cached(openai.speaking(["x"])) as cached:
        got = [await cached.ask(body, client=API_CHAT) for _ in range(4)]
        assert len({each.json["request_id"] for each in got}) == 4
        assert len({each.headers["x-cortex-request-id"] for each in got}) == 4
        decisions = [await cached.gateway.decision(each.headers) for each in got]
        assert [each["cache"]["result"] for each in decisions] == ["miss", "hit", "hit", "hit"]
        assert [len(each["attempts"]) for each in decisions] == [1, 0, 0, 0]


async def test_many_at_once_of_what_is_known_and_no_longer_kept_make_one_call() -> None:
    """They share what was read of their bytes, while they wait for each other."""
    gate = asyncio.Event()
    gate.set()
    speaks = openai.speaking(["x"])

    def reply(asked: Any) -> Any:
        return speaks(asked) if gate.is_set() else _held(gate, speaks(asked))

    body = encoded({"stream": True})
    async with Cached(reply) as cached:
        for _ in range(3):
            await cached.ask(body)
        await forget(cached)
        gate.clear()
        tasks = [asyncio.create_task(cached.ask(body)) for _ in range(20)]
        await cached.wait_followers(19)
        gate.set()
        assert {each.said for each in await asyncio.gather(*tasks)} == {("x", True, "stop")}
        assert cached.calls == 2
        await until(lambda: len(cached.cache.store) == 1, "the answer to be kept")


def _held(gate: asyncio.Event, reply: Any) -> Any:
    return replies.raw(replies.until(gate), *reply.steps)
