"""What answers from the cache leave behind: nothing that only the garbage collector could free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.e2e.test_garbage import REQUESTS, unreachable
from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached, Reading
from tests.support.clients import API_CHAT
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

TOKENS = ("a", " b", " c")

Ask = Callable[["Scripted", Cached], Awaitable[object]]


class Scripted:
    """An upstream whose answers wait while `hold` is set, and fail while `fails` is."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.reply = openai.speaking(TOKENS)
        self.seed = 0

    def __call__(self, asked: Request) -> Reply:
        steps = self.reply(asked).steps
        return replies.raw(replies.until(self.gate), *steps)

    def fresh(self) -> dict[str, Any]:
        """A question nobody has asked."""
        self.seed += 1
        return {"seed": self.seed}


async def hit(script: Scripted, cached: Cached) -> None:
    await cached.ask()


async def hit_streamed(script: Scripted, cached: Cached) -> None:
    await cached.stream(client=API_CHAT)


async def kept(script: Scripted, cached: Cached) -> None:
    await cached.stream(script.fresh())


async def followed(script: Scripted, cached: Cached, **headers: str) -> None:
    script.gate.clear()
    body = script.fresh()
    tasks = [asyncio.create_task(cached.ask({**body, "stream": stream})) for stream in (True, True, False)]
    await cached.wait_followers(2)
    script.gate.set()
    await asyncio.gather(*tasks)


async def expired(script: Scripted, cached: Cached) -> None:
    """A follower whose time is over before the answer comes."""
    script.gate.clear()
    body = script.fresh()
    leader = asyncio.create_task(cached.ask(body))
    while not cached.followers and not len(cached.cache.flights):
        await asyncio.sleep(0.001)
    got = await cached.ask(body, headers={"x-cortex-timeout": "20ms"})
    assert got.status == 504
    script.gate.set()
    await leader


async def failed(script: Scripted, cached: Cached) -> None:
    script.reply = lambda asked: faults.SERVER_ERROR
    await followed(script, cached)
    script.reply = openai.speaking(TOKENS)


async def cut(script: Scripted, cached: Cached) -> None:
    script.reply = lambda asked: faults.cut_stream() if asked.json.get("stream") else faults.RESET
    await followed(script, cached)
    script.reply = openai.speaking(TOKENS)


async def left(script: Scripted, cached: Cached) -> None:
    """By its leader, then by its follower."""
    script.gate.clear()
    body = script.fresh()
    async with Reading(cached.gateway, body) as other:
        async with Reading(cached.gateway, body):
            await cached.wait_followers(1)
        await cached.wait_followers(1)
        script.gate.set()
        await other.got()
    await cached.settled()


async def embedded(script: Scripted, cached: Cached) -> None:
    script.reply = lambda asked: openai.embeddings([[0.5]] * len(asked.json["input"]))
    script.seed += 1
    for texts in ('["a"]', f'["a","{script.seed}"]', f'["{script.seed}"]'):
        assert (await cached.post("/v1/embeddings", b'{"model":"chat","input":%s}' % texts.encode())).status == 200


async def refused(script: Scripted, cached: Cached) -> None:
    await cached.ask(script.fresh(), headers={"x-cortex-cache": "only-if-cached"})
    await cached.ask({"cache": {"ttl": "x"}})


@pytest.mark.parametrize("ask", [hit, hit_streamed, kept, followed, expired, failed, cut, left, embedded, refused])
async def test_an_answer_from_the_cache_leaves_no_cycles(ask: Ask) -> None:
    script = Scripted()
    async with Cached(script) as cached:
        await ask(script, cached)  # whatever is made once
        with unreachable() as found:
            for _ in range(REQUESTS):
                await ask(script, cached)
            await cached.settled()
    assert sum(found.values()) < REQUESTS, found
