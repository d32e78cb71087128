"""A hit says what the miss said, whoever asks: every upstream, every form, every dialect, whole or streamed."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import openai as sdk
import pytest

from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.caching import Cached, Got, encoded
from tests.support.clients import API_CHAT, CLIENTS, OPENAI, Client
from tests.support.raw_client import RawClient, request
from tests.support.speakers import Said, Speaker
from tests.support.speakers_own import SPEAKERS
from tests.support.upstream_replies import Reply

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
SAID = {
    "text": Said(text=["It is ", "4 °C", " 🙂"]),
    "reasoning": Said(text=["It is ", "4 °C"], reasoning="Hm, é"),
    "calls": Said(calls=[("f", {"city": "Oslo"}), ("f", {"n": 1})]),
}
STREAMED = {"stream": True}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
FORMS: list[tuple[Client, dict[str, Any]]] = [
    (OPENAI, {}),
    (OPENAI, STREAMED),
    (OPENAI, WITH_USAGE),
    (API_CHAT, {}),
    (API_CHAT, STREAMED),
]
EFFORT = {"reasoning_effort": "low"}


def _named(form: tuple[Client, dict[str, Any]]) -> str:
    client, members = form
    return f"{client.name}{' stream' if members else ''}{' usage' if len(members) > 1 else ''}"


def of(speaker: Speaker) -> Any:
    def config(urls: list[str]) -> dict[str, Any]:
        one = {"type": speaker.type, "base_url": urls[0] + speaker.base_path, "keys": ["k"], "models": [speaker.model]}
        return {"providers": {"a": one}, "models": {"chat": {"cascade": ["a"]}}, "default_model": "chat"}

    return config


def meaning(got: Got) -> dict[str, Any]:
    """What a client makes of an answer, told in one way whatever its form."""
    view = got.view
    calls: dict[int, dict[str, Any]] = {}
    for number, piece in enumerate(view.tool_calls):
        call = calls.setdefault(piece.get("index", number), {"id": None, "name": "", "arguments": ""})
        call["id"] = call["id"] or piece.get("id")
        call["name"] += piece["function"].get("name") or ""
        call["arguments"] += piece["function"].get("arguments") or ""
    return {
        "text": view.text or "",
        "reasoning": reasoning(got),
        "finish": view.finish_reason,
        "calls": [(each["name"], json.loads(each["arguments"])) for each in calls.values()],
        "ids": {bool(each["id"]) for each in calls.values()},
    }


def reasoning(got: Got) -> str:
    names = ("reasoning", "reasoning_content")
    return "".join(next((part[n] for n in names if isinstance(part.get(n), str)), "") for part in parts(got))


def parts(got: Got) -> Iterable[dict[str, Any]]:
    """Each delta, or the one message."""
    if not got.headers["Content-Type"].startswith("text/event-stream"):
        told = got.json
        return [told] if got.client is API_CHAT else [choice["message"] for choice in told["choices"]]
    events = chunks(got)
    if got.client is API_CHAT:
        return events
    return [choice["delta"] for event in events for choice in event["choices"]]


def chunks(got: Got) -> list[dict[str, Any]]:
    lines = got.body.decode().split("\n")
    data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [json.loads(each) for each in data if each != openai.DONE]


def same_for_all(told: Any) -> Any:
    """An answer in JSON, or its events, without what names a single request."""
    if isinstance(told, list):
        return [same_for_all(each) for each in told]
    return {name: value for name, value in told.items() if name not in ("id", "request_id", "attempts")}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("first", FORMS, ids=_named)
@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.type)
async def test_a_hit_in_any_form_means_what_the_miss_meant(
    speaker: Speaker, first: tuple[Client, dict[str, Any]], said: Said
) -> None:
    body: dict[str, Any] = {**(EFFORT if said.reasoning else {}), **({"tools": TOOLS} if said.calls else {})}
    if speaker.type == "openai" and (said.reasoning or said.calls):
        body = {name: value for name, value in body.items() if name != "reasoning_effort"}
    async with Cached(lambda asked: speaker.say(asked, said), config=of(speaker)) as cached:
        client, form = first
        miss = await cached.ask({**body, **form}, client=client)
        assert (miss.status, miss.cache) == (200, "miss"), miss
        for again, members in FORMS * 2:
            hit = await cached.ask({**body, **members}, client=again)
            assert (hit.status, hit.cache, hit.headers["x-cortex-attempts"]) == (200, "hit", "0")
            assert meaning(hit) == meaning(miss), (again.name, members)
            if again is OPENAI and (not members or members is WITH_USAGE):
                usage = hit.view.usage
                assert (usage["prompt_tokens"], usage["completion_tokens"]) == speaker.usage
            elif again is OPENAI:
                assert hit.view.usage is None or speaker.type == "mistral", "nobody asked"
        assert cached.calls == 1


@pytest.mark.parametrize("form", FORMS, ids=_named)
@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.type)
async def test_a_hit_in_the_same_form_is_the_same_answer(speaker: Speaker, form: tuple[Client, dict[str, Any]]) -> None:
    """Byte for byte in OpenAI's dialect; /api/chat tells each request its own id."""
    client, members = form
    async with Cached(lambda asked: speaker.say(asked, SAID["text"]), config=of(speaker)) as cached:
        miss = await cached.ask(members, client=client)
        for _ in range(2):
            hit = await cached.ask(members, client=client)
            assert hit.cache == "hit"
            assert hit.headers["Content-Type"] == miss.headers["Content-Type"]
            if client is OPENAI:
                assert hit.body == miss.body
            elif members:
                assert [same_for_all(each) for each in chunks(hit)] == [same_for_all(each) for each in chunks(miss)]
            else:
                assert same_for_all(hit.json) == same_for_all(miss.json)
            if client is API_CHAT:
                told = chunks(hit)[-1] if members else hit.json
                assert told["request_id"] == hit.headers["x-cortex-request-id"]


def two_choices(stream: bool) -> Reply:
    logprobs = {"content": [{"token": "x", "logprob": -0.25, "bytes": [120], "top_logprobs": []}], "refusal": None}
    if not stream:
        told = openai.completion("one")
        (choice,) = told["choices"]
        other = {**choice, "index": 1, "message": {**choice["message"], "content": "two"}}
        told["choices"] = [{**each, "logprobs": logprobs} for each in (choice, other)]
        return replies.json({**told, "system_fingerprint": "fp_1", "service_tier": "default"})
    frames = []
    for text, finish in (("one", None), ("", "stop")):
        for index in (0, 1):
            frame = json.loads(openai.delta_chunk({"content": text.replace("one", ("one", "two")[index])}))
            frame["choices"][0] |= {"index": index, "finish_reason": finish, "logprobs": logprobs if text else None}
            frames.append(frame | {"system_fingerprint": "fp_1"})
    return replies.sse(*frames, openai.DONE)


@pytest.mark.parametrize("first", [True, False], ids=["streamed first", "whole first"])
async def test_several_choices_with_logprobs(first: bool) -> None:
    body = {"n": 2, "logprobs": True}
    async with Cached(lambda asked: two_choices(bool(asked.json.get("stream")))) as cached:
        miss = await cached.ask({**body, "stream": first})
        hits = {stream: await cached.ask({**body, "stream": stream}) for stream in (True, False)}
        assert cached.calls == 1
        assert hits[first].body == miss.body
        whole = hits[False].json["choices"]
        assert [(each["index"], each["message"]["content"], each["finish_reason"]) for each in whole] == [
            (0, "one", "stop"),
            (1, "two", "stop"),
        ]
        assert [each["logprobs"]["content"][0]["logprob"] for each in whole] == [-0.25, -0.25]
        texts = {0: "", 1: ""}
        logged = []
        for choice in [choice for chunk in chunks(hits[True]) for choice in chunk["choices"]]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
            logged += (choice.get("logprobs") or {}).get("content") or []
        assert (texts, len(logged)) == ({0: "one", 1: "two"}, 2)


@pytest.mark.parametrize("streams", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_usage_that_nobody_told_is_estimated_each_time(client: Client, streams: tuple[bool, bool]) -> None:
    script = {True: openai.stream(["Hello", " world"]), False: replies.json(openai.completion("Hello", usage=None))}
    async with Cached(lambda asked: script[bool(asked.json.get("stream"))]) as cached:
        for stream in streams:
            got = await cached.ask({"stream": stream}, client=client)
            assert got.view.whole
            if client is API_CHAT:
                assert got.view.usage["estimated"]
        decision = await cached.gateway.decision(got.headers)
        assert (decision["cache"]["result"], decision["usage"]["estimated"]) == ("hit", True)


async def test_a_hit_tells_what_could_not_be_told_upstream() -> None:
    (cohere,) = (each for each in SPEAKERS if each.type == "cohere")
    async with Cached(lambda asked: cohere.say(asked, SAID["text"]), config=of(cohere)) as cached:
        miss, hit = await cached.both({"service_tier": "flex", "verbosity": "low"})
        assert miss.headers["x-cortex-warning"].startswith("dropped=")
        assert (hit.cache, hit.headers["x-cortex-warning"]) == ("hit", miss.headers["x-cortex-warning"])


async def test_a_hit_over_http_1_0_ends_with_its_connection() -> None:
    async with Cached(openai.speaking(["Hel", "lo"])) as cached:
        miss = await cached.stream()
        for stream in (True, False):
            async with RawClient(cached.gateway.url) as client:
                await client.send(request(body=encoded({"stream": stream}), version="1.0"))
                answer = await client.answer()
                assert (answer.status, answer.headers["x-cortex-cache"]) == (200, "hit")
                assert "transfer-encoding" not in answer.headers
                assert not stream or answer.body == miss.body
                assert await client.closed() == b""


async def test_hits_share_a_kept_connection_with_misses() -> None:
    async with Cached(openai.speaking(["Hel", "lo"])) as cached, RawClient(cached.gateway.url) as client:
        for seed, stream in itertools.product((1, 2), (True, False, True)):
            await client.send(request(body=encoded({"seed": seed, "stream": stream})))
            assert (await client.answer()).status == 200
        for path in ("/v1/chat/completions", "/api/chat"):
            await client.send(request(path, method="HEAD"))
            assert (await client.answer(bodiless=True)).status == 405
        assert cached.calls == 2


async def test_two_hits_asked_for_at_one_go_come_one_after_the_other() -> None:
    async with Cached(openai.speaking(["Hello"])) as cached, RawClient(cached.gateway.url) as client:
        miss = await cached.ask()
        await client.send(request(body=encoded({})) * 5)
        assert [(await client.answer()).body for _ in range(5)] == [miss.body] * 5


# The official SDK


@pytest.fixture
async def client() -> AsyncIterator[tuple[sdk.AsyncOpenAI, Cached]]:
    async with Cached(_anything) as cached:
        url = f"{cached.gateway.url}/v1"
        async with sdk.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as each:
            yield each, cached


def _anything(asked: Any) -> Reply:
    body = asked.json
    if "input" in body:
        packed = base64.b64encode(bytes(8)).decode()
        return openai.embeddings([packed if body.get("encoding_format") == "base64" else [0.0, 0.0]])
    if body.get("tools"):
        return replies.sse(*openai.tool_chunks("f", ['{"city":', '"Oslo"}']))
    return openai.speaking(["Hel", "lo", " 🙂"])(asked)


async def test_the_sdk_reads_hits_as_it_reads_misses(client: tuple[sdk.AsyncOpenAI, Cached]) -> None:
    asking, cached = client
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    for _ in range(2):
        whole = await asking.chat.completions.create(model="chat", messages=messages)
        assert whole.choices[0].message.content == "Hello 🙂"
        assert whole.usage is not None
        assert whole.usage.total_tokens == 12
        options: Any = {"include_usage": True}
        stream = await asking.chat.completions.create(
            model="chat", messages=messages, stream=True, stream_options=options
        )
        told = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in told if chunk.choices) == "Hello 🙂"
        assert [chunk.usage.total_tokens for chunk in told if chunk.usage] == [12]
        tools: Any = TOOLS
        async with asking.chat.completions.stream(model="chat", messages=messages, tools=tools) as calling:
            final = await calling.get_final_completion()
        assert final.choices[0].message.tool_calls is not None
        assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == {"city": "Oslo"}
        made = await asking.embeddings.create(model="chat", input=["a", "b"][:1])
        assert made.data[0].embedding == [0.0, 0.0]
    assert cached.calls == 3
    assert cached.cache.counts.hits == 5


async def test_the_sdks_extra_body_and_headers_say_what_the_cache_is_to_do(
    client: tuple[sdk.AsyncOpenAI, Cached],
) -> None:
    asking, cached = client
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    for body, headers in (({"cache": {"no-cache": True}}, {}), ({}, {"Cache-Control": "no-cache"})):
        for _ in range(2):
            raw = await asking.chat.completions.with_raw_response.create(
                model="chat", messages=messages, extra_body=body, extra_headers=headers
            )
            assert raw.headers["x-cortex-cache"] == "bypass"
    assert cached.calls == 4
