"""Which member of a request makes its answer another's: of every one that OpenAI knows, and of those nobody knows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from tests.support import upstream_openai as openai
from tests.support.caching import Cached, encoded
from tests.support.clients import API_CHAT, CLIENTS, OPENAI, Client
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
_OTHER_TOOL = {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}

# Two values each. A request with one of them, with the other and with none are three requests.
MATTERS: dict[str, tuple[Any, Any]] = {
    "audio": ({"voice": "alloy", "format": "wav"}, {"voice": "ash", "format": "wav"}),
    "frequency_penalty": (0.5, 0.25),
    "function_call": ("auto", "none"),
    "functions": ([{"name": "f"}], [{"name": "g"}]),
    "logit_bias": ({"1": 5}, {"1": 6}),
    "logprobs": (True, False),
    "max_completion_tokens": (10, 11),
    "max_tokens": (10, 11),
    "messages": ([{"role": "user", "content": "one"}], [{"role": "user", "content": "two"}]),
    "modalities": (["text"], ["text", "audio"]),
    "model": ("b", "a/test-model"),
    "moderation": ({"model": "m"}, {"model": "n"}),
    "n": (1, 2),
    "parallel_tool_calls": (True, False),
    "prediction": ({"type": "content", "content": "x"}, {"type": "content", "content": "y"}),
    "presence_penalty": (0.5, 0.25),
    "prompt_cache_key": ("a", "b"),
    "prompt_cache_options": ({"ttl": "1h"}, {"ttl": "2h"}),
    "prompt_cache_retention": ("24h", "in_memory"),
    "reasoning_effort": ("low", "high"),
    "response_format": ({"type": "json_object"}, {"type": "text"}),
    "safety_identifier": ("a", "b"),
    "seed": (1, 2),
    "service_tier": ("flex", "default"),
    "stop": (["a"], "a"),
    "store": (True, False),
    "temperature": (0.5, 0),
    "tool_choice": ("none", "required"),
    "tools": ([_TOOL], [_OTHER_TOOL]),
    "top_logprobs": (1, 2),
    "top_p": (0.5, 0.25),
    "verbosity": ("low", "high"),
    "web_search_options": ({"search_context_size": "low"}, {"search_context_size": "high"}),
    "x_never_heard_of": ({"a": [1, "b"]}, {"a": [1, "c"]}),
    "top_k": (5, 6),
}
DOES_NOT: dict[str, tuple[Any, Any]] = {
    "stream": (True, False),
    "stream_options": ({"include_usage": True}, {"include_usage": False, "include_obfuscation": False}),
    "user": ("me", "you"),
    "metadata": ({"a": "b"}, {"a": "c"}),
    "cache": ({"ttl": 60}, {"use-cache": True}),
}


def counting() -> Callable[[Request], Reply]:
    """Never says the same twice."""
    numbers = itertools.count()

    def reply(request: Request) -> Reply:
        return openai.speaking([f"answer {next(numbers)}"])(request)

    return reply


def test_every_field_of_openai_stands_on_one_side() -> None:
    known = {*CompletionCreateParamsNonStreaming.__annotations__, *CompletionCreateParamsStreaming.__annotations__}
    assert len(known) > 30
    assert sorted(known - MATTERS.keys() - DOES_NOT.keys()) == []
    assert not MATTERS.keys() & DOES_NOT.keys()


async def say(cached: Cached, client: Client, **members: Any) -> tuple[str, str]:
    """What the cache had to do with it, and what was answered."""
    got = await cached.ask(members, client=client)
    assert got.status == 200, got
    return got.cache, got.view.text


@pytest.mark.parametrize("name", sorted(MATTERS))
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_field_that_may_change_the_answer_makes_another_entry(client: Client, name: str) -> None:
    one, other = MATTERS[name]
    if client is API_CHAT and name == "n":
        other = None  # an answer there has one choice
    script = counting()
    async with Cached(script, script) as cached:
        first = await say(cached, client, **{name: one})
        second = await say(cached, client, **{name: other})
        none = await say(cached, client)
        assert [first, second, none] == [("miss", f"answer {n}") for n in range(3)]
        assert await say(cached, client, **{name: one}) == ("hit", "answer 0")
        assert await say(cached, client, **{name: other}) == ("hit", "answer 1")
        assert await say(cached, client) == ("hit", "answer 2")


@pytest.mark.parametrize("name", sorted(DOES_NOT))
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_field_that_says_how_or_for_whom_makes_none(client: Client, name: str) -> None:
    one, other = DOES_NOT[name]
    members = {"stream": True} if name == "stream_options" else {}
    async with Cached(counting()) as cached:
        assert await say(cached, client, **members, **{name: one}) == ("miss", "answer 0")
        assert await say(cached, client, **members, **{name: other}) == ("hit", "answer 0")
        assert await say(cached, client) == ("hit", "answer 0")


async def test_fields_inside_messages_and_tools_count_as_deep_as_they_stand() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]
    told = [{"role": "user", "content": parts, "name": "me"}]
    async with Cached(counting()) as cached:
        kept = json.dumps(told)
        assert await say(cached, OPENAI, messages=told) == ("miss", "answer 0")
        for old, new in (
            ("AAAA", "AAAB"),
            ('"detail": "low"', '"detail": "high"'),
            (', "detail": "low"', ""),
            ('"name": "me"', '"name": "you"'),
            ('"user"', '"assistant"'),
            ('"image_url", "image_url"', '"image_url", "x": null, "image_url"'),
        ):
            assert old in kept
            assert (await say(cached, OPENAI, messages=json.loads(kept.replace(old, new))))[0] == "miss", new
        assert await say(cached, OPENAI, messages=told) == ("hit", "answer 0")


SPELLINGS = [
    b'{"model":"chat","messages":[{"role":"user","content":"\xc3\xa9/1"}],"seed":7,"logit_bias":{"1":2,"3":-4}}',
    b'{"messages":[{"content":"\\u00e9/1","role":"user"}],"logit_bias":{"3":-4,"1":2},"seed":7.0,"model":"chat"}',
    b' {\n"seed" : 70e-1 , "model":"ch\\u0061t",\t"messages" : [ { "role" : "user" , "content" : "\\u00E9\\/1" } ],'
    b'"logit_bias" : { "3" : -4.0 , "1" : 2E0 } } ',
    b'{"s\\u0065ed":7,"model":"chat","stream":false,"messages":[{"role":"user","content":"\xc3\xa9/1"}],'
    b'"user":"x","logit_bias":{"1":2,"3":-40e-1},"cache":null}',
]


@pytest.mark.parametrize("first", range(len(SPELLINGS)))
async def test_however_a_request_is_spelt_it_is_the_same(first: int) -> None:
    async with Cached(counting()) as cached:
        assert (await cached.ask(SPELLINGS[first])).cache == "miss"
        for body in SPELLINGS:
            got = await cached.ask(body)
            assert (got.cache, got.view.text) == ("hit", "answer 0")
        assert cached.calls == 1


async def test_what_has_no_canonical_form_is_passed_on_and_not_remembered() -> None:
    body = encoded({"x": 1})[:-1] + b', "y": 1e999}'
    async with Cached(counting()) as cached:
        for number in range(2):
            got = await cached.ask(body)
            assert (got.cache, got.view.text) == ("bypass", f"answer {number}")
            assert "x-cortex-cache-key" not in got.headers
        decision = await cached.gateway.decision(got.headers)
        assert decision["cache"]["reason"].startswith("no canonical form")
        assert b"1e999" in cached.upstream.requests[1].body


async def test_both_dialects_share_entries() -> None:
    async with Cached(counting()) as cached:
        assert await say(cached, OPENAI, temperature=0.5) == ("miss", "answer 0")
        assert await say(cached, API_CHAT, temperature=0.5) == ("hit", "answer 0")
        assert await say(cached, API_CHAT, seed=1) == ("miss", "answer 1")
        assert await say(cached, OPENAI, seed=1) == ("hit", "answer 1")


async def test_a_pinned_provider_has_its_own_entries() -> None:
    async with Cached(counting(), openai.speaking(["from b"])) as cached:
        assert await say(cached, API_CHAT) == ("miss", "answer 0")
        assert await say(cached, API_CHAT, provider="b") == ("miss", "from b")
        assert await say(cached, API_CHAT, provider="a") == ("miss", "answer 1")
        assert await say(cached, API_CHAT, provider="b") == ("hit", "from b")
        assert await say(cached, API_CHAT) == ("hit", "answer 0")


async def test_a_namespace_has_its_own_entries() -> None:
    async with Cached(counting()) as cached:
        assert await say(cached, OPENAI, cache={"namespace": "x"}) == ("miss", "answer 0")
        assert await say(cached, OPENAI, cache={"namespace": "y"}) == ("miss", "answer 1")
        assert await say(cached, OPENAI) == ("miss", "answer 2")
        assert await say(cached, OPENAI, cache={"namespace": ""}) == ("miss", "answer 3")
        assert await say(cached, API_CHAT, cache={"namespace": "x"}) == ("hit", "answer 0")


async def test_a_request_that_names_no_model_asks_the_default() -> None:
    async with Cached(counting()) as cached:
        assert await say(cached, OPENAI) == ("miss", "answer 0")
        assert await say(cached, OPENAI, model="chat") == ("hit", "answer 0")


async def test_what_other_gateways_call_provider_is_passed_on_and_matters() -> None:
    """OpenAI's dialect pins no provider: OpenRouter's preferences are a member like any that nobody knows."""
    async with Cached(counting()) as cached:
        assert await say(cached, OPENAI, provider={"order": ["x"]}) == ("miss", "answer 0")
        assert cached.upstream.requests[0].json["provider"] == {"order": ["x"]}
        assert await say(cached, OPENAI, provider={"order": ["y"]}) == ("miss", "answer 1")
        assert await say(cached, OPENAI) == ("miss", "answer 2")
