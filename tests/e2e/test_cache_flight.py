"""One leader a key: those who ask the same at once share one upstream call, each in its own form, at its own pace."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cortex.caching import flight as flights
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import MESSAGES, Cached, Reading, encoded, until
from tests.support.clients import API_CHAT, CLIENTS, OPENAI, Client
from tests.support.raw_client import RawClient, request
from tests.support.scene import Case, cases
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply, stall

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

TOKENS = ("Hel", "lo", " wör", "ld")
WHOLE = ("Hello wörld", True, "stop")


def gated(gate: asyncio.Event, after: int = 2) -> Any:
    """Says so many tokens, then waits; a JSON answer waits before anything. A probe or later call gets it as well."""

    def reply(asked: Request) -> Reply:
        if not asked.json.get("stream"):
            return replies.raw(replies.until(gate), *openai.answer("".join(TOKENS)).steps)
        frames = openai.chunks(TOKENS, usage=openai.usage())
        return replies.sse(*frames[: after + 1], replies.until(gate), *frames[after + 1 :])

    return reply


@pytest.mark.parametrize("leader_streams", [True, False])
async def test_many_at_once_make_one_call_and_each_is_whole(leader_streams: bool) -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        leader = asyncio.create_task(cached.ask({"stream": leader_streams}))
        await cached.upstream.wait_requests()
        asked = [(client, stream) for client in CLIENTS for stream in (True, False)] * 8
        following = [asyncio.create_task(cached.ask({"stream": stream}, client=client)) for client, stream in asked]
        await cached.wait_followers(len(following))
        gate.set()
        got = [await leader, *await asyncio.gather(*following)]
        assert cached.calls == 1
        assert {each.said for each in got} == {WHOLE}
        assert [each.cache for each in got] == ["miss"] + ["coalesced"] * len(following)
        for each in got:
            assert each.view.usage is None or each.view.usage["total_tokens"] == 12 or each.client is API_CHAT
            assert each.headers["x-cortex-model"] == "a/test-model"
            assert each.headers["x-cortex-route"] == "chat"
            assert each.headers["x-cortex-attempts"] == ("1" if each is got[0] else "0")
        assert len({each.headers["x-cortex-request-id"] for each in got}) == len(got)
        assert len({each.headers["x-cortex-cache-key"] for each in got}) == 1
        await cached.settled()
        counts = cached.cache.counts
        assert (counts.misses, counts.coalesced, counts.hits) == (1, len(following), 0)
        assert (await cached.ask()).cache == "hit"


async def test_a_stampede_of_several_keys_makes_one_call_each() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        tasks = [asyncio.create_task(cached.ask({"seed": n % 3, "stream": n % 2 == 0})) for n in range(60)]
        await cached.wait_followers(57)
        gate.set()
        assert {each.said for each in await asyncio.gather(*tasks)} == {WHOLE}
        assert cached.calls == 3


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("case", cases(stream=True, clients=[OPENAI]), ids=lambda case: case.wire.type)
async def test_followers_stream_along_before_the_answer_is_whole(case: Case, client: Client) -> None:
    gate, wire = asyncio.Event(), case.wire
    frames = wire.frames()
    script = wire.streamed(*frames[:-1], replies.until(gate), frames[-1], *wire.ending)

    def config(urls: list[str]) -> dict[str, Any]:
        url = urls[0] + wire.base_path
        one = {"type": wire.type, "base_url": url, "keys": ["k"], "models": [wire.model]}
        return {"providers": {"a": one}, "models": {"chat": {"cascade": ["a"]}}, "default_model": "chat"}

    async with Cached(script, config=config) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            async with Reading(cached.gateway, client=client) as early, Reading(cached.gateway, client=client) as late:
                await early.until("Hel")
                await late.until("wör")
                await cached.wait_followers(2)
                gate.set()
                got = [await early.got(), await late.got(), await leader.got()]
        assert len({each.said for each in got}) == 1
        assert cached.calls == 1


async def test_a_follower_of_a_forwarded_stream_gets_its_bytes() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        async with Reading(cached.gateway) as leader, Reading(cached.gateway) as other:
            await leader.until("lo")
            await other.until("lo")
            gate.set()
            assert (await leader.got()).body == (await other.got()).body
            with_usage = await cached.stream({"stream_options": {"include_usage": True}})
            assert with_usage.view.usage == openai.usage()


# Who does not wait for whom


async def test_a_leader_that_reads_nothing_holds_nobody_up() -> None:
    """More than sockets hold: alone it would have stopped the upstream."""
    long = ["x" * 30_000 for _ in range(120)]
    go = asyncio.Event()
    frames = openai.chunks(long)
    script = replies.sse(*frames[:2], replies.until(go), *frames[2:])
    async with Cached(script) as cached, RawClient(cached.gateway.url, receive_buffer_bytes=4096) as stuck:
        await stuck.send(request(body=encoded({"stream": True})))
        await cached.upstream.wait_requests()
        async with Reading(cached.gateway) as other:
            await other.until("xxx")
            await cached.wait_followers(1)
            go.set()
            assert (await other.got()).said == ("".join(long), True, "stop")
        assert cached.calls == 1
        assert (await cached.ask()).cache == "hit"
        await stuck.leave()
    assert cached.gateway.app.telemetry.stats.active == 0


async def test_a_leader_that_is_stuck_already_is_freed_by_the_first_follower() -> None:
    long = ["x" * 30_000 for _ in range(300)]
    async with Cached(openai.stream(long)) as cached:
        async with RawClient(cached.gateway.url, receive_buffer_bytes=4096) as stuck:
            await stuck.send(request(body=encoded({"stream": True})))
            await stuck.until(b"xxx")
            flight = next(iter(cached.cache.flights._by_key.values()))
            seen = -1
            while seen != flight.size_bytes:  # until it stands still
                seen = flight.size_bytes
                await asyncio.sleep(0.05)
            got = await cached.stream()
            assert (got.cache, got.said) == ("coalesced", ("".join(long), True, "stop"))
            assert cached.calls == 1
            await stuck.leave()


async def test_a_follower_that_reads_nothing_is_cut_and_hurts_nobody() -> None:
    """Cut at the write limit, which is the idle time-out."""
    long = ["x" * 30_000 for _ in range(200)]
    go = asyncio.Event()
    frames = openai.chunks(long)
    script = replies.sse(*frames[:2], replies.until(go), *frames[2:])
    async with Cached(script, timeouts={"idle": "300ms"}) as cached:
        async with RawClient(cached.gateway.url, receive_buffer_bytes=4096) as stuck, Reading(cached.gateway) as leader:
            await leader.until("xxx")
            await stuck.send(request(body=encoded({"stream": True})))
            async with Reading(cached.gateway) as other:
                await other.until("xxx")
                await cached.wait_followers(2)
                go.set()
                got = await asyncio.gather(leader.got(), other.got())
                assert {each.said for each in got} == {("".join(long), True, "stop")}
            await until(lambda: cached.gateway.app.telemetry.stats.active == 0, "the slow one's end")
            assert b"[DONE]" not in await stuck.closed()


# Deadlines


async def test_a_follower_with_less_time_is_told_in_time() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        leader = asyncio.create_task(cached.ask())
        await cached.upstream.wait_requests()
        for client in CLIENTS:
            for stream in (True, False):
                got = await cached.ask({"stream": stream}, client=client, headers={"x-cortex-timeout": "60ms"})
                assert (got.status, got.json["error"]["code"]) == (504, "deadline_exceeded")
                assert got.headers["x-should-retry"] == "false"
        assert cached.calls == 1
        gate.set()
        assert (await leader).said == WHOLE


async def test_a_followers_time_ends_in_mid_stream() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            got = await cached.stream(headers={"x-cortex-timeout": "100ms"})
            assert (got.view.text, got.view.whole) == ("Hello", False)
            assert got.view.error["code"] == "deadline_exceeded"
            gate.set()
            assert (await leader.got()).said == WHOLE


async def test_one_with_much_more_time_follows_no_leader_in_haste_and_the_next_ones_follow_it() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        hasty = asyncio.create_task(cached.ask(headers={"x-cortex-timeout": "5s"}))
        await cached.upstream.wait_requests(1)
        patient = [asyncio.create_task(cached.ask()) for _ in range(10)]
        await cached.upstream.wait_requests(2)
        await cached.wait_followers(9)
        gate.set()
        assert {each.said for each in await asyncio.gather(hasty, *patient)} == {WHOLE}
        assert cached.calls == 2, "one for those in haste, one for all others"


async def test_a_leaders_deadline_is_not_its_followers() -> None:
    gate = asyncio.Event()
    async with Cached([gated(gate), openai.speaking(TOKENS)]) as cached:
        hasty = asyncio.create_task(cached.ask(headers={"x-cortex-timeout": "600ms"}))
        await cached.upstream.wait_requests()
        headers = {"x-cortex-timeout": "1s"}
        others = [asyncio.create_task(cached.ask({"stream": n % 2 == 0}, headers=headers)) for n in range(6)]
        await cached.wait_followers(6)
        assert (await hasty).status == 504
        assert {each.said for each in await asyncio.gather(*others)} == {WHOLE}
        assert cached.calls == 2


# Bounds


@pytest.mark.parametrize("followed", [True, False])
async def test_an_answer_too_large_to_keep_reaches_its_followers_and_holds_nothing_after(followed: bool) -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate), cache={"exact": {"max_entry_bytes": "700B"}}) as cached:
        async with Reading(cached.gateway) as leader:
            await leader.until("Hel")
            following = [asyncio.create_task(cached.stream()) for _ in range(3 if followed else 0)]
            await cached.wait_followers(len(following))
            gate.set()
            assert (await leader.got()).said == WHOLE
            assert {each.said for each in await asyncio.gather(*following)} <= {WHOLE}
        await cached.settled()
        assert len(cached.cache.store) == 0


async def test_what_is_far_too_large_is_not_held_for_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told that it was cut; the leader, who needs nothing held, has it whole."""
    monkeypatch.setattr(flights, "MAX_FOLLOWED_BYTES", 2000)
    gate, rest = asyncio.Event(), asyncio.Event()
    frames = openai.chunks(["x", *["y" * 1000] * 6])
    script = replies.sse(*frames[:2], replies.until(gate), *frames[2:5], replies.until(rest), *frames[5:])
    async with Cached([script, openai.speaking(["later"])], cache={"exact": {"max_entry_bytes": "1500B"}}) as cached:
        async with Reading(cached.gateway) as leader, Reading(cached.gateway) as other:
            await leader.until('"x"')
            await other.until('"x"')
            waiting = asyncio.create_task(cached.ask())
            await cached.wait_followers(2)
            gate.set()
            cut = (await other.got()).view
            assert (cut.whole, cut.error["code"]) == (False, "upstream_stream_broken")
            rest.set()
            assert (await leader.got()).said == ("x" + "y" * 6000, True, "stop")
            assert (await waiting).said == ("later", True, "stop"), "one who has seen nothing asks anew"


async def test_a_flight_takes_no_more_than_so_many_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "MAX_FOLLOWERS", 2)
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        tasks = [asyncio.create_task(cached.ask()) for _ in range(9)]
        await cached.upstream.wait_requests(3)
        gate.set()
        assert {each.said for each in await asyncio.gather(*tasks)} == {WHOLE}
        assert cached.calls == 3


async def test_requests_that_want_no_part_in_it_ask_for_themselves() -> None:
    gate = asyncio.Event()
    async with Cached(gated(gate)) as cached:
        asked = ({"x-cortex-cache": "no-cache"}, {"x-cortex-cache": "no-store"}, {"x-cortex-cache-ttl": "0s"})
        alone = [asyncio.create_task(cached.ask(headers=headers)) for headers in asked]
        await cached.upstream.wait_requests(3)
        leader = asyncio.create_task(cached.ask())
        await cached.upstream.wait_requests(4)
        follower = asyncio.create_task(cached.ask(headers=asked[1]))
        await cached.wait_followers(1)
        gate.set()
        got = await asyncio.gather(*alone, leader, follower)
        assert {each.said for each in got} == {WHOLE}
        assert [each.cache for each in got] == ["bypass", "miss", "miss", "miss", "coalesced"]
        assert MESSAGES
        assert stall
