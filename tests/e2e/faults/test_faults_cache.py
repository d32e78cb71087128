"""The cache under stress: stampedes, tenants, parameters, and answers that are not whole."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached
from tests.support.fault_table import fault
from tests.support.upstream_http import Request

CROWD = 200


@fault(58)
@pytest.mark.parametrize("dies", [False, True], ids=["leader lives", "leader dies"])
async def test_a_stampede_makes_one_call_and_a_dead_leader_one_more(dies: bool) -> None:
    gate = asyncio.Event()
    calls = [0]

    def reply(asked: Request) -> Any:
        calls[0] += 1
        if dies and calls[0] == 1:
            return replies.raw(replies.until(gate), *faults.RESET.steps)
        answer = openai.stream(["Hello"]) if asked.json.get("stream") else openai.answer("Hello")
        return replies.raw(replies.until(gate), *answer.steps)

    async with Cached(reply) as cached:
        tasks = [asyncio.create_task(cached.ask({"stream": n % 2 == 0})) for n in range(CROWD)]
        await cached.wait_followers(CROWD - 1)
        gate.set()
        got = await asyncio.gather(*tasks)
        assert sum(each.status == 502 for each in got) == dies
        assert {each.said for each in got if each.status == 200} == {("Hello", True, "stop")}
        assert cached.calls == 1 + dies


@fault(59)
async def test_two_tenants_share_nothing_unless_the_file_says_so() -> None:
    keys = ["tenant-key-one-1111", "tenant-key-two-2222"]
    for share in (False, True):
        server = {"client_keys": ",".join(keys)}
        async with Cached(openai.speaking(["x"]), cache={"share": share}, server=server) as cached:
            got = [await cached.ask(headers={"Authorization": f"Bearer {key}"}) for key in keys]
            assert [each.cache for each in got] == ["miss", "hit" if share else "miss"]
            assert cached.calls == (1 if share else 2)


@fault(60)
@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 5},
        {"tool_choice": "none"},
        {"response_format": {"type": "json_object"}},
        {"seed": 7},
        {"temperature": 0.2},
        {"top_p": 0.5},
        {"stop": ["x"]},
        {"n": 2},
        {"logprobs": True},
        {"model": "a"},
        {"unknown": 1},
        {"messages": [{"role": "user", "content": "hi!"}]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_any_parameter_that_changes_the_answer_misses(change: dict[str, Any]) -> None:
    async with Cached(openai.speaking(["x"])) as cached:
        await cached.ask()
        assert (await cached.ask(change)).cache == "miss"
        assert cached.calls == 2


@fault(61)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_what_is_not_whole_is_not_kept(stream: bool, reason: str) -> None:
    script = openai.stream(["x"], finish=reason) if stream else openai.answer("x", finish=reason)
    async with Cached(script) as cached:
        got = await cached.both({"stream": stream})
        assert [each.cache for each in got] == ["miss", "miss"]
        assert (await cached.gateway.decision(got[0].headers))["cache"]["reason"] == f"not kept: finish reason {reason}"


@fault(61)
@pytest.mark.parametrize(
    "broken", [faults.cut_stream(), faults.stalled_stream(), faults.aborted_stream(), faults.stream_without_done()]
)
async def test_what_broke_is_not_kept(broken: replies.Reply) -> None:
    async with Cached([broken, openai.stream(["later"])], timeouts={"idle": "150ms"}) as cached:
        assert not (await cached.stream()).view.whole
        got = await cached.stream()
        assert (got.cache, got.view.text) == ("miss", "later")
