"""Which answers are remembered, and for how long: whole ones that ended by themselves, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached, Got, Reading, until
from tests.support.clients import CLIENTS, OPENAI, Client
from tests.support.scene import Case, cases
from tests.support.upstream import Script
from tests.support.upstream_replies import Reply, close, raw, reset, stall

CALLS = {"tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


def several(*finishes: str, stream: bool = False) -> Reply:
    """An answer of several choices, each with its finish reason."""
    if not stream:
        told = openai.completion("x")
        (choice,) = told["choices"]
        told["choices"] = [{**choice, "index": n, "finish_reason": each} for n, each in enumerate(finishes)]
        return replies.json(told)
    frames = [json.loads(openai.delta_chunk({"role": "assistant", "content": "x"})) for _ in finishes]
    for n, frame in enumerate(frames):
        frame["choices"][0]["index"] = n
    for n, finish in enumerate(finishes):
        frame = json.loads(openai.delta_chunk({}, finish=finish))
        frame["choices"][0]["index"] = n
        frames.append(frame)
    return replies.sse(*frames, openai.DONE)


KEPT: dict[str, tuple[bool, Script]] = {
    "stop": (False, openai.answer("x")),
    "stop, streamed": (True, openai.stream(["x"])),
    "tool calls": (False, replies.json(openai.completion(None, finish="tool_calls", message=CALLS))),
    "tool calls, streamed": (True, replies.sse(*openai.tool_chunks("f", ['{"a":', "1}"]))),
    "two choices": (False, several("stop", "stop")),
    "two choices, streamed": (True, several("stop", "tool_calls", stream=True)),
    "no usage": (False, faults.NO_USAGE),
    "no usage, streamed": (True, openai.stream(["x"])),
    "JSON to a stream": (True, openai.answer("x")),
    "bytes after the marker": (True, faults.bytes_after_done()),
    "nothing said": (True, openai.stream([""])),
    "in one-byte pieces": (True, openai.stream(["x", "é"]).in_pieces(1)),
}
NOT_KEPT: dict[str, tuple[bool, Script]] = {
    "length": (False, openai.answer("x", finish="length")),
    "length, streamed": (True, openai.stream(["x"], finish="length")),
    "filtered": (False, openai.answer("x", finish="content_filter")),
    "filtered, streamed": (True, openai.stream(["x"], finish="content_filter")),
    "a filter withheld all": (False, openai.answer("", finish="content_filter")),
    "one of two cut": (False, several("stop", "length")),
    "the first of two cut": (False, several("length", "stop")),
    "one of two cut, streamed": (True, several("stop", "length", stream=True)),
    "the first of two cut, streamed": (True, several("length", "stop", stream=True)),
    "the second of two filtered, streamed": (True, several("stop", "content_filter", stream=True)),
    "an error": (False, faults.SERVER_ERROR),
    "an error, streamed": (True, faults.SERVER_ERROR),
    "an error as 200": (False, faults.ERROR_AS_200),
    "an error as 200, streamed": (True, faults.ERROR_AS_200),
    "an error as the first event": (True, faults.error_event()),
    "an error in mid-stream": (True, faults.error_event(["x"])),
    "cut": (True, faults.cut_stream()),
    "reset": (True, faults.cut_stream(ending=reset)),
    "cut without framing": (True, faults.cut_close_delimited_stream()),
    "no finish and no marker": (True, faults.unmarked_stream()),
    "a finish and no marker": (True, faults.stream_without_done()),
    "aborted": (True, faults.aborted_stream()),
    "a tool call cut": (True, faults.cut_tool_call()),
    "no JSON": (False, faults.NOT_JSON),
    "too short": (False, faults.body_too_short(openai.completion("x"))),
    "no choices": (False, faults.NO_CHOICES),
    "the request's own fault": (False, faults.BAD_REQUEST),
    "the request's own fault, streamed": (True, faults.CONTEXT_TOO_LONG),
}


@pytest.mark.parametrize(("stream", "script"), KEPT.values(), ids=KEPT.keys())
async def test_a_whole_answer_is_kept(stream: bool, script: Script) -> None:
    async with Cached(script) as cached:
        first, again = await cached.both({"stream": stream, "tools": []})
        assert (first.status, first.cache, again.cache) == (200, "miss", "hit")
        assert cached.calls == 1
        assert (await cached.gateway.decision(first.headers))["cache"]["reason"] == "kept"


@pytest.mark.parametrize(("stream", "script"), NOT_KEPT.values(), ids=NOT_KEPT.keys())
async def test_any_other_answer_is_not(stream: bool, script: Script) -> None:
    async with Cached(script) as cached:
        got = await cached.both({"stream": stream, "n": 2})
        assert [each.cache for each in got] == ["miss", "miss"]
        assert (len(cached.cache.store), cached.calls) == (0, 2)


@pytest.mark.parametrize("case", cases(), ids=str)
async def test_answers_of_every_wire_are_kept(case: Case) -> None:
    wire = case.wire
    async with Cached(wire.speaking(), config=of_wire(case)) as cached:
        got = await cached.both({"stream": case.stream}, client=case.client)
        assert [each.cache for each in got] == ["miss", "hit"]
        assert len({each.said for each in got}) == 1
        assert cached.calls == 1


BROKEN = [
    case
    for case in cases(stream=True, variants=["cut", "unmarked", "error", "garbage", "aborted", "filtered"])
    if not (case.variant == "aborted" and not case.wire.aborted)
    and not (case.variant == "filtered" and case.wire.filtered_frames is None)
]


@pytest.mark.parametrize("case", BROKEN, ids=str)
async def test_broken_streams_of_every_wire_are_not_kept(case: Case) -> None:
    wire = case.wire
    frames = wire.frames()
    script = {
        "cut": lambda: wire.streamed(*frames, close),
        "unmarked": lambda: wire.streamed(*frames),
        "error": lambda: wire.streamed(*frames, wire.error_frame("overloaded")),
        "garbage": lambda: wire.streamed(*frames, wire.garbage, *wire.ending),
        "aborted": lambda: wire.streamed(*frames, *wire.aborted[0]),
        "filtered": lambda: wire.streamed(*wire.filtered_frames or ()),
    }[case.variant]()
    async with Cached(script, config=of_wire(case)) as cached:
        got = await cached.both({"stream": True}, client=case.client)
        assert [each.cache for each in got] == ["miss", "miss"]
        assert len(cached.cache.store) == 0


def of_wire(case: Case) -> Any:
    def config(urls: list[str]) -> dict[str, Any]:
        url = urls[0] + case.wire.base_path
        one = {"type": case.wire.type, "base_url": url, "keys": ["k"], "models": [case.wire.model]}
        return {"providers": {"a": one}, "models": {"chat": {"cascade": ["a"]}}, "default_model": "chat"}

    return config


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_what_its_client_left_before_the_end_is_not_kept(client: Client) -> None:
    stalled = replies.sse(*openai.chunks(["Hel", "lo"])[:3], stall)
    async with Cached([stalled, openai.stream(["new"])]) as cached:
        async with Reading(cached.gateway, client=client) as reading:
            await reading.until("Hel")
        await cached.upstream.wait_closed()
        await cached.settled()
        assert len(cached.cache.store) == 0
        got = await cached.stream(client=client)
        assert (got.cache, got.said) == ("miss", ("new", True, "stop"))


async def test_a_failover_is_kept_as_the_one_answered() -> None:
    async with Cached(faults.SERVER_ERROR, openai.speaking(["b"]), retries={"attempts": 3}) as cached:
        first, again = await cached.both()
        assert (first.headers["x-cortex-model"], first.headers["x-cortex-attempts"]) == ("b/test-model", "2")
        assert (again.cache, again.headers["x-cortex-model"]) == ("hit", "b/test-model")
        assert again.headers["x-cortex-attempts"] == "0"
        assert again.body == first.body


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_too_large_is_whole_and_not_kept(stream: bool) -> None:
    sizes = {"max_entry_bytes": "8KiB"}
    async with Cached(openai.speaking(["x" * 4000, "y" * 4000]), cache={"exact": sizes}) as cached:
        got = await cached.both({"stream": stream})
        assert [each.cache for each in got] == ["miss", "miss"]
        assert {len(each.view.text) for each in got} == {8000}
        assert (await cached.gateway.decision(got[0].headers))["cache"]["reason"] == "not kept: too large"
        assert len(cached.cache.store) == 0


async def test_the_bounds_of_the_file_hold() -> None:
    async with Cached(openai.speaking(["x"]), cache={"exact": {"max_entries": 3}}) as cached:
        for seed in range(5):
            assert (await cached.ask({"seed": seed})).cache == "miss"
        assert (len(cached.cache.store), cached.cache.store.counts.evicted) == (3, 2)
        assert (await cached.ask({"seed": 4})).cache == "hit"
        assert (await cached.ask({"seed": 0})).cache == "miss"


# For how long

BY_MODEL = {"chat": "5m"}
TTLS: dict[str, tuple[Mapping[str, Any], Mapping[str, str], Any, float | None]] = {
    "the default": ({}, {}, None, 3600.0),
    "the file's": ({"ttl": "2m"}, {}, None, 120.0),
    "the entry's": ({"ttl": "2m", "ttl_by_model": BY_MODEL}, {}, None, 300.0),
    "the candidate's": ({"ttl_by_model": {"a/test-model": "6m"}}, {}, None, 360.0),
    "the model's": ({"ttl_by_model": {"test-model": "6m"}}, {}, None, 360.0),
    "the provider's": ({"ttl_by_model": {"a": "6m"}}, {}, None, 360.0),
    "the nearest": ({"ttl_by_model": {"a": "6m", "a/test-model": "7m"}}, {}, None, 420.0),
    "the header's": ({"ttl_by_model": BY_MODEL}, {"x-cortex-cache-ttl": "90s"}, None, 90.0),
    "the body's": ({"ttl_by_model": BY_MODEL}, {}, {"ttl": 70}, 70.0),
    "the header before the body": ({}, {"x-cortex-cache-ttl": "1m30s"}, {"ttl": 70}, 90.0),
    "none by the file": ({"ttl_by_model": {"a": "0s"}}, {}, None, None),
    "none by the header": ({}, {"x-cortex-cache-ttl": "0s"}, None, None),
    "none by the body": ({}, {}, {"ttl": 0}, None),
}


@pytest.mark.parametrize(("exact", "headers", "said", "ttl_s"), TTLS.values(), ids=TTLS.keys())
async def test_how_long_an_answer_is_good_for(
    exact: Mapping[str, Any], headers: Mapping[str, str], said: Any, ttl_s: float | None
) -> None:
    async with Cached(openai.speaking(["x"]), cache={"exact": exact}) as cached:
        got = await cached.ask({"cache": said}, headers=headers)
        if ttl_s is None:
            assert (got.cache, len(cached.cache.store)) == ("miss", 0)
            return
        entry = cached.cache.store.get(bytes.fromhex(got.headers["x-cortex-cache-key"]), got_at := 0.0)
        assert entry is not None
        assert entry.expires_at - entry.stored_at == pytest.approx(ttl_s)
        assert entry.stored_at > got_at


async def test_no_time_for_the_model_asked_for_is_no_cache() -> None:
    async with Cached(openai.speaking(["x"]), cache={"exact": {"ttl_by_model": {"chat": "0s"}}}) as cached:
        got = await cached.ask(headers={"x-cortex-cache-ttl": "1h"})
        assert got.cache == "bypass"
        assert (await cached.gateway.decision(got.headers))["cache"]["reason"] == "switched off for this model"
        assert [each.cache for each in await cached.both({"model": "a"})] == ["miss", "hit"]


async def test_what_is_over_is_asked_for_anew() -> None:
    async with Cached(openai.speaking(["x"]), cache={"exact": {"ttl": "50ms"}}) as cached:
        assert (await cached.ask()).cache == "miss"
        seen: list[Got] = []
        async with asyncio.timeout(10):
            while not seen or seen[-1].cache == "hit":
                seen.append(await cached.ask())
        assert seen[-1].cache == "miss"
        assert cached.calls == 2


async def test_how_old_an_answer_may_be_is_the_requests_to_say() -> None:
    async with Cached(openai.speaking(["x"])) as cached:
        assert (await cached.ask()).cache == "miss"
        assert (await cached.ask({"cache": {"s-maxage": 60}})).cache == "hit"
        loop = asyncio.get_running_loop()
        stored = loop.time()
        await until(lambda: loop.time() > stored + 0.02, "some time")
        assert (await cached.ask({"cache": {"s-maxage": 0.01}})).cache == "miss"
        assert (await cached.ask({"cache": {"s-maxage": 0}})).cache == "miss"
        assert (await cached.ask()).cache == "hit"


TEMPERATURES = [(0, True), (0.5, True), (0.51, False), (1, False), (None, False), ("absent", False), ("0", False)]


@pytest.mark.parametrize(("temperature", "kept"), TEMPERATURES)
async def test_requests_above_a_temperature_are_always_asked_anew(temperature: Any, kept: bool) -> None:
    body = {} if temperature == "absent" else {"temperature": temperature}
    async with Cached(openai.speaking(["x"]), cache={"exact": {"max_temperature": 0.5}}) as cached:
        got = await cached.both(body)
        assert [each.cache for each in got] == (["miss", "hit"] if kept else ["bypass", "bypass"])


async def test_none_named_counts_as_one() -> None:
    async with Cached(openai.speaking(["x"]), cache={"exact": {"max_temperature": 1}}) as cached:
        assert [each.cache for each in await cached.both()] == ["miss", "hit"]
        assert (await cached.ask({"temperature": 1.01})).cache == "bypass"


async def test_a_black_hole_leaves_nothing() -> None:
    async with Cached(raw(stall)) as cached:
        got = await cached.ask(headers={"x-cortex-timeout": "50ms"}, client=OPENAI)
        assert (got.status, got.cache) == (504, "miss")
        assert len(cached.cache.store) == 0
