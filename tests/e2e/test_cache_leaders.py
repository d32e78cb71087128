"""Leaders that leave, and leaders whose upstream fails: the work goes on for those who wait, or one of them tries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached, Reading
from tests.support.clients import CLIENTS, Client
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

TOKENS = ["Hel", "lo"]
WHOLE = ("Hello", True, "stop")
FRAMES = openai.chunks(TOKENS, usage=openai.usage())


def gated(gate: asyncio.Event, after: int) -> Any:
    """So many frames, then the rest when the gate opens; a JSON answer waits before anything."""

    def reply(asked: Request) -> Reply:
        if not asked.json.get("stream"):
            return replies.raw(replies.until(gate), *openai.answer("".join(TOKENS)).steps)
        return replies.sse(*FRAMES[:after], replies.until(gate), *FRAMES[after:])

    return reply


@pytest.mark.parametrize("after", [0, 2], ids=["before the commit", "after it"])
async def test_a_leader_that_leaves_ends_nothing_for_those_who_follow(after: int) -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate, after)) as cached:
        async with Reading(cached.gateway) as leader:
            await cached.upstream.wait_requests()
            if after:
                await leader.until("Hel")
            following = [asyncio.create_task(cached.ask({"stream": n % 2 == 0})) for n in range(6)]
            await cached.wait_followers(6)
        gate.set()
        got = await asyncio.gather(*following)
        assert {each.said for each in got} == {WHOLE}
        assert {each.cache for each in got} == {"coalesced"}
        assert cached.calls == 1
        await cached.settled()
        assert (await cached.ask()).cache == "hit"


async def test_a_json_leader_that_leaves_ends_nothing_either() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate, 0)) as cached:
        leader = asyncio.create_task(cached.ask())
        await cached.upstream.wait_requests()
        other = asyncio.create_task(cached.stream())
        await cached.wait_followers(1)
        leader.cancel()
        await asyncio.gather(leader, return_exceptions=True)
        gate.set()
        assert (await other).said == WHOLE
        assert cached.calls == 1


async def test_a_leader_that_leaves_alone_ends_its_call() -> None:
    async with Cached(gated(asyncio.Event(), 2)) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
        async with asyncio.timeout(1):
            await cached.upstream.wait_closed()
        assert len(cached.cache.store) == 0


async def test_when_all_have_left_the_call_ends() -> None:
    async with Cached(gated(asyncio.Event(), 2)) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            async with Reading(cached.gateway) as other:
                await other.until("Hel")
                await leader.leave()
            async with asyncio.timeout(1):
                await cached.upstream.wait_closed()
        assert cached.calls == 1


async def test_a_leader_stays_when_its_followers_leave() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate, 2)) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            async with Reading(cached.gateway) as other:
                await other.until("Hel")
            await cached.wait_followers(0)
            gate.set()
            assert (await leader.got()).said == WHOLE
        assert cached.calls == 1


def failing_first(gate: asyncio.Event, times: int, fault: Reply, then: Reply) -> Any:
    """The first calls fail once the gate is open; what comes after them is answered."""
    calls = [0]

    def reply(_: Request) -> Reply:
        calls[0] += 1
        return replies.raw(replies.until(gate), *fault.steps) if calls[0] <= times else then

    return reply


@pytest.mark.parametrize("stream", [True, False], ids=["streams", "JSON"])
async def test_when_the_leader_fails_exactly_one_tries_in_its_place(stream: bool) -> None:
    gate = asyncio.Event()
    then = openai.stream(TOKENS) if stream else openai.answer("Hello")
    async with Cached(failing_first(gate, 1, faults.SERVER_ERROR, then)) as cached:
        leader = asyncio.create_task(cached.ask({"stream": stream}))
        await cached.upstream.wait_requests()
        others = [asyncio.create_task(cached.ask({"stream": stream})) for _ in range(20)]
        await cached.wait_followers(20)
        gate.set()
        assert (await leader).status == 502
        got = await asyncio.gather(*others)
        assert {each.said for each in got} == {WHOLE}
        assert sorted(each.cache for each in got) == ["coalesced"] * 19 + ["miss"]
        assert cached.calls == 2


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_when_that_one_fails_as_well_all_share_its_error(client: Client) -> None:
    gate = asyncio.Event()
    async with Cached(failing_first(gate, 99, faults.SERVER_ERROR, openai.answer("never"))) as cached:
        leader = asyncio.create_task(cached.ask(client=client))
        await cached.upstream.wait_requests()
        others = [asyncio.create_task(cached.ask(client=client)) for _ in range(20)]
        await cached.wait_followers(20)
        gate.set()
        got = [await leader, *await asyncio.gather(*others)]
        assert {each.status for each in got} == {502}
        assert cached.calls == 2
        assert len({each.json["error"]["request_id"] for each in got}) == 21, "each error names its own request"
        decision = await cached.gateway.decision(got[-1].headers)
        assert decision["cache"] | {"key": None} == {
            "result": "coalesced",
            "reason": "the request that it waited for failed",
            "key": None,
            "age_s": None,
            "saved_usd": None,
        }


async def test_a_requests_own_fault_is_everybodys_at_once() -> None:
    gate = asyncio.Event()
    refused = replies.json(openai.error("no such parameter", "invalid_request_error"), status=400)
    async with Cached(failing_first(gate, 99, refused, refused)) as cached:
        leader = asyncio.create_task(cached.ask())
        await cached.upstream.wait_requests()
        others = [asyncio.create_task(cached.ask()) for _ in range(10)]
        await cached.wait_followers(10)
        gate.set()
        assert {each.status for each in [await leader, *await asyncio.gather(*others)]} == {400}
        assert cached.calls == 1


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_stream_that_breaks_is_cut_for_all_who_have_begun_and_tried_anew_by_one_who_has_not(
    client: Client,
) -> None:
    gate = asyncio.Event()
    broken = replies.sse(*FRAMES[:2], replies.until(gate), replies.close)
    async with Cached([broken, openai.answer("Hello")]) as cached:
        async with Reading(cached.gateway) as leader, Reading(cached.gateway, client=client) as other:
            await leader.until("Hel")
            await other.until("Hel")
            waiting = [asyncio.create_task(cached.ask(client=client)) for _ in range(5)]
            await cached.wait_followers(6)
            gate.set()
            for each in (await leader.got(), await other.got()):
                assert (each.view.text, each.view.whole, each.view.finish_reason) == ("Hel", False, None)
                assert each.view.error["code"] == "upstream_stream_broken"
            got = await asyncio.gather(*waiting)
        assert {each.said for each in got} == {WHOLE}
        assert cached.calls == 2
        await cached.settled()
        assert len(cached.cache.store) == 1


async def test_a_failover_before_the_commit_is_nobodys_affair() -> None:
    gate = asyncio.Event()
    first = failing_first(gate, 99, faults.SERVER_ERROR, openai.answer("never"))
    async with Cached(first, openai.speaking(TOKENS), retries={"attempts": 5}) as cached:
        leader = asyncio.create_task(cached.stream())
        await cached.upstreams[0].wait_requests()
        others = [asyncio.create_task(cached.ask({"stream": n % 2 == 0})) for n in range(6)]
        await cached.wait_followers(6)
        gate.set()
        got = [await leader, *await asyncio.gather(*others)]
        assert {each.said for each in got} == {WHOLE}
        assert {each.headers["x-cortex-model"] for each in got} == {"b/test-model"}
        assert [len(upstream.requests) for upstream in cached.upstreams] == [1, 1]
