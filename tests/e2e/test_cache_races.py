"""What must not depend on who is woken first: followers, leaders that left, reloads, shutdown, and hosts of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached, Reading, until
from tests.support.clients import API_CHAT, CLIENTS, Client
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

TOKENS = ("Hel", "lo", " wör", "ld")
WHOLE = ("Hello wörld", True, "stop")


def gated(gate: asyncio.Event, after: int = 2) -> Reply:
    frames = openai.chunks(TOKENS)
    return replies.sse(*frames[:after], replies.until(gate), *frames[after:])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_what_a_leader_that_left_began_is_kept_though_all_followers_are_done_first(
    client: Client, count: int
) -> None:
    """Streaming followers have the end of the answer as soon as it comes: before the leader's own task runs."""
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            following = [asyncio.create_task(cached.stream(client=client)) for _ in range(count)]
            await cached.wait_followers(count)
        await until(lambda: cached.gateway.app.telemetry.stats.active == count + 1, "the leader's going on")
        gate.set()
        assert {each.said for each in await asyncio.gather(*following)} == {WHOLE}
        await cached.settled()
        assert (await cached.ask()).cache == "hit"
        assert cached.calls == 1


async def test_the_gateway_closes_while_a_leader_without_client_works_for_others() -> None:
    """No task is left, and no connection."""
    async with Cached(gated(asyncio.Event())) as cached:
        async with Reading(cached.gateway) as other:
            async with Reading(cached.gateway) as leader:
                await leader.until("Hel")
                other_asks = asyncio.create_task(other.until("Hel"))
                await cached.wait_followers(1)
                await other_asks
            await cached.gateway._listener.close()
            await cached.upstream.wait_closed()


async def test_followers_that_leave_and_come_in_turn_keep_the_work_going() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            held = Reading(cached.gateway)
            await held.__aenter__()
            await held.until("Hel")
        for client in CLIENTS * 3:
            async with Reading(cached.gateway, client=client) as fresh:
                await fresh.until("Hel")
                await cached.wait_followers(2)
                await held.leave()
                await cached.wait_followers(1)
                held = Reading(cached.gateway)
                await held.__aenter__()
                await held.until("Hel")
        gate.set()
        got = await held.got()
        assert (got.said, cached.calls) == (WHOLE, 1)
        await held.leave()


async def test_answers_that_are_not_kept_are_shared_all_the_same() -> None:
    gate = asyncio.Event()
    script = replies.sse(*openai.chunks(TOKENS)[:2], replies.until(gate), *openai.chunks(TOKENS, finish="length")[2:])
    async with Cached(script) as cached:
        tasks = [asyncio.create_task(cached.stream()) for _ in range(8)]
        await cached.wait_followers(7)
        gate.set()
        assert {each.said for each in await asyncio.gather(*tasks)} == {("Hello wörld", True, "length")}
        assert (cached.calls, len(cached.cache.store)) == (1, 0)


def embedding(gate: asyncio.Event) -> Callable[[Request], Reply]:
    def reply(asked: Request) -> Reply:
        given = asked.json["input"]
        texts = [given] if isinstance(given, str) else given
        return replies.raw(replies.until(gate), *openai.embeddings([[float(len(text))] for text in texts]).steps)

    return reply


@pytest.mark.parametrize(
    "exact", [{"ttl_by_model": {"a": "0s"}}, {"max_entry_bytes": "1B"}], ids=["no time", "no room"]
)
async def test_embeddings_that_are_not_kept_do_not_make_those_who_wait_queue_up(exact: dict[str, Any]) -> None:
    """One after the other they would wait as often as there are of them."""
    gate, rest = asyncio.Event(), asyncio.Event()
    calls = [0]

    def reply(asked: Request) -> Reply:
        calls[0] += 1
        return embedding(gate if calls[0] == 1 else rest)(asked)

    async with Cached(reply, cache={"exact": exact}) as cached:
        data = b'{"model":"chat","input":["one","two"]}'
        tasks = [asyncio.create_task(cached.post("/v1/embeddings", data)) for _ in range(6)]
        await cached.wait_followers(5)
        gate.set()
        await until(lambda: calls[0] == 6, "all others to ask at once")
        rest.set()
        assert {each.status for each in await asyncio.gather(*tasks)} == {200}


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_under_way_when_all_is_forgotten(stream: bool) -> None:
    """It comes to its end, and is remembered: what was deleted is what there was."""
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        task = asyncio.create_task(cached.stream())
        await cached.upstream.wait_requests()
        async with cached.gateway.client.delete("/api/cache") as response:
            assert await response.json() == {"removed": 0}
        gate.set()
        assert (await task).said == WHOLE
        assert (await cached.ask({"stream": stream})).cache == "hit"


async def test_a_cascade_of_failing_leaders_ends() -> None:
    """Those who wait are told after one more call, however many they are and whatever came late."""
    gate = asyncio.Event()
    script = replies.raw(replies.until(gate), *faults.SERVER_ERROR.steps)
    async with Cached(script) as cached:
        tasks = [asyncio.create_task(cached.ask({"stream": n % 2 == 0})) for n in range(40)]
        await cached.wait_followers(39)
        gate.set()
        got = await asyncio.gather(*tasks)
        assert {each.status for each in got} == {502}
        assert cached.calls == 2


async def test_keepalive_comments_of_followers_are_no_content() -> None:
    """A follower that waits has an open stream at most, and still gets the answer of the one in its place."""
    gate = asyncio.Event()
    first = replies.raw(replies.until(gate), *faults.RESET.steps)
    async with Cached([first, openai.speaking(TOKENS)]) as cached:
        leader = asyncio.create_task(cached.stream())
        await cached.upstream.wait_requests()
        other = asyncio.create_task(cached.stream(client=API_CHAT))
        await cached.wait_followers(1)
        gate.set()
        assert (await leader).status == 502
        assert (await other).said == WHOLE
        assert cached.calls == 2
