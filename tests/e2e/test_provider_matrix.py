"""Every type of provider, put to the same: OpenAI's own client asks through Cortex, a scripted upstream answers.

One test a capability, one case a provider. What is particular to a provider is in the tests that have its name.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import openai
import pytest

from tests.support import upstream_openai
from tests.support.capabilities import NONE, PROVIDERS, proves
from tests.support.conversation import CALL, JSON, PNG, RESULT, TEXT, TOOLS, client_of, opening, structured, talk
from tests.support.gateway import Gateway
from tests.support.speakers import Said, Speaker
from tests.support.speakers_own import SPEAKERS
from tests.support.upstream import Script, Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply, stall

T = TypeVar("T", bound=Callable[..., object])
QUESTION: Any = {"model": "chat", "messages": opening(image=False)}
CALLING = Said(calls=[CALL])
SPEAKING = Said(text=TEXT)
EXCEPTIONS: dict[int, tuple[type[openai.APIStatusError], int]] = {
    400: (openai.BadRequestError, 400),
    401: (openai.InternalServerError, 502),
    429: (openai.RateLimitError, 429),
    500: (openai.InternalServerError, 502),
}
WITH_USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}


def every(capability: str) -> Callable[[T], T]:
    """One case for each provider that has it, each a proof."""
    speakers = [speaker for speaker in SPEAKERS if (speaker.type, capability) not in NONE]

    def cases(test: T) -> T:
        for speaker in speakers:
            proves(speaker.type, capability, case=speaker.type)(test)
        return pytest.mark.parametrize("speaker", speakers, ids=lambda speaker: speaker.type)(test)

    return cases


@asynccontextmanager
async def served(speaker: Speaker, script: Script) -> AsyncIterator[tuple[Gateway, Upstream]]:
    """Cortex in front of this one provider."""
    async with Upstream(script) as upstream:
        provider = {"type": speaker.type, "base_url": f"{upstream.url}{speaker.base_path}", "models": [speaker.model]}
        provider["keys"] = [f"sk-{n}" for n in range(len(EXCEPTIONS))]
        config = {
            "providers": {"it": provider},
            "models": {"chat": {"cascade": ["it"]}},
            "retries": {"attempts": 1},
        }
        async with Gateway(config) as gateway:
            yield gateway, upstream


def saying(speaker: Speaker, said: Said) -> Script:
    return lambda request: speaker.say(request, said)


def conversing(speaker: Speaker) -> Script:
    """Calls the tool, and speaks once it has the result."""
    return lambda request: speaker.say(request, SPEAKING if speaker.hear(request).results else CALLING)


def test_every_provider_is_put_to_it() -> None:
    assert sorted(speaker.type for speaker in SPEAKERS) == sorted(PROVIDERS)


@every("chat")
async def test_chat(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, SPEAKING)) as (gateway, upstream), client_of(gateway) as client:
        answer = await client.chat.completions.create(**QUESTION)
    assert answer.choices[0].message.content == "".join(TEXT)
    assert answer.choices[0].finish_reason == "stop"
    (request,) = upstream.requests
    assert request.key == "sk-0"
    assert b"What is the weather here?" in request.body


@every("stream")
async def test_stream(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, SPEAKING)) as (gateway, _), client_of(gateway) as client:
        chunks = [chunk async for chunk in await client.chat.completions.create(**QUESTION, stream=True)]
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert [choice.delta.content for choice in choices if choice.delta.content] == list(TEXT)
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]


@every("tools")
async def test_tools(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, CALLING)) as (gateway, upstream), client_of(gateway) as client:
        answer = await client.chat.completions.create(**QUESTION, tools=TOOLS)
    assert _calls(answer) == [CALL]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert speaker.hear(upstream.requests[0]).tools == ["get_weather"]


@every("parallel tools")
async def test_parallel_tools(speaker: Speaker) -> None:
    twice = [("get_weather", {"city": city}) for city in ("Oslo", "Rome")]
    async with served(speaker, saying(speaker, Said(calls=twice))) as (gateway, _), client_of(gateway) as client:
        whole = await client.chat.completions.create(**QUESTION, tools=TOOLS)
        async with client.chat.completions.stream(**QUESTION, tools=TOOLS) as stream:
            streamed = await stream.get_final_completion()
    for answer in (whole, streamed):
        assert _calls(answer) == twice
        assert len({call.id for call in answer.choices[0].message.tool_calls or ()}) == 2


@every("tool stream")
async def test_tool_stream(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, CALLING)) as (gateway, _), client_of(gateway) as client:
        chunks = [chunk async for chunk in await client.chat.completions.create(**QUESTION, tools=TOOLS, stream=True)]
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    pieces = [piece for choice in choices for piece in choice.delta.tool_calls or ()]
    assert [piece.function.name for piece in pieces if piece.function and piece.function.name] == ["get_weather"]
    assert len([piece.id for piece in pieces if piece.id]) == 1
    arguments = "".join((piece.function and piece.function.arguments) or "" for piece in pieces)
    assert json.loads(arguments) == CALL[1]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["tool_calls"]


@every("tool round trip")
async def test_tool_round_trip(speaker: Speaker) -> None:
    for stream in (False, True):
        async with served(speaker, conversing(speaker)) as (gateway, upstream):
            await talk(gateway, stream=stream, image=False)
        asked, answered = upstream.requests
        assert speaker.hear(asked).results == []
        assert speaker.hear(answered).results == [RESULT]
        assert speaker.hear(answered).tools == ["get_weather"]


@every("image")
async def test_image(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, SPEAKING)) as (gateway, upstream), client_of(gateway) as client:
        await client.chat.completions.create(model="chat", messages=opening(image=True))
    assert speaker.hear(upstream.requests[0]).images == [PNG]


@every("JSON schema")
async def test_json_schema(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, Said(text=[json.dumps(JSON)]))) as (gateway, upstream):
        assert (await structured(gateway)).model_dump() == JSON
    schema = speaker.hear(upstream.requests[0]).schema
    assert schema["properties"].keys() == JSON.keys()
    assert sorted(schema["required"]) == sorted(JSON)


@every("stop")
async def test_stop(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, SPEAKING)) as (gateway, upstream), client_of(gateway) as client:
        await client.chat.completions.create(**QUESTION, stop=["END", "\n\n#"])
        await client.chat.completions.create(**QUESTION, stop="END")
    both, one = (speaker.hear(request).stop for request in upstream.requests)
    assert both == ["END", "\n\n#"]
    assert one in ("END", ["END"])


@every("usage")
async def test_usage(speaker: Speaker) -> None:
    async with served(speaker, saying(speaker, SPEAKING)) as (gateway, _), client_of(gateway) as client:
        whole = await client.chat.completions.create(**QUESTION)
        chunks = [chunk async for chunk in await client.chat.completions.create(**QUESTION, **WITH_USAGE)]
    (streamed,) = [chunk.usage for chunk in chunks if chunk.usage]
    for usage in (whole.usage, streamed):
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens) == speaker.usage
        assert usage.total_tokens == sum(speaker.usage)


@every("reasoning")
async def test_reasoning(speaker: Speaker) -> None:
    said = Said(text=["It is 4 °C"], reasoning="Hm.")
    asked: Any = {**QUESTION, "reasoning_effort": "high"}
    async with served(speaker, saying(speaker, said)) as (gateway, upstream), client_of(gateway) as client:
        whole = await client.chat.completions.create(**asked)
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked, **WITH_USAGE)]
    assert [speaker.hear(request).effort for request in upstream.requests] == [True, True]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert whole.choices[0].message.content == "It is 4 °C"
    assert "".join(delta.content or "" for delta in deltas) == "It is 4 °C"
    if speaker.thinks_aloud:
        assert _thoughts(whole.choices[0].message) == "Hm."
        assert "".join(map(_thoughts, deltas)) == "Hm."
    else:
        (streamed,) = [chunk.usage for chunk in chunks if chunk.usage]
        for usage in (whole.usage, streamed):
            assert usage is not None
            assert usage.completion_tokens_details is not None
            assert usage.completion_tokens_details.reasoning_tokens == 1


@every("embeddings")
async def test_embeddings(speaker: Speaker) -> None:
    vectors = [[1.0, 0.0], [0.0, 1.0]]
    async with served(speaker, speaker.embed(vectors)) as (gateway, upstream), client_of(gateway) as client:
        answer = await client.embeddings.create(model="chat", input=["a", "b"], encoding_format="float")
    assert [row.embedding for row in answer.data] == vectors
    assert b'"a"' in upstream.requests[0].body


@pytest.mark.parametrize("speaker", [each for each in SPEAKERS if (each.type, "embeddings") in NONE])
async def test_what_a_provider_has_not_is_refused_here(speaker: Speaker) -> None:
    async with served(speaker, upstream_openai.embeddings([])) as (gateway, upstream), client_of(gateway) as client:
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model="chat", input=["a"])
    assert upstream.requests == []


@every("errors")
async def test_errors(speaker: Speaker) -> None:
    for stream in (False, True):
        script = [speaker.refuse(status, "as it says") for status in EXCEPTIONS]  # each spoils one key at most
        async with served(speaker, script) as (gateway, _), client_of(gateway) as client:
            for status, (exception, told) in EXCEPTIONS.items():
                with pytest.raises(exception) as caught:
                    await client.chat.completions.create(**QUESTION, stream=stream)
                assert caught.value.status_code == told
                if status == 400:
                    assert "as it says" in caught.value.message


@every("cancel")
async def test_cancel(speaker: Speaker) -> None:
    def endless(request: Request) -> Reply:
        whole = speaker.say(request, Said(text=["word "] * 9))
        return Reply((*whole.steps[:-5], stall))

    async with served(speaker, endless) as (gateway, upstream), client_of(gateway) as client:
        stream = await client.chat.completions.create(**QUESTION, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        await stream.close()
        await upstream.wait_closed()
        await gateway.settled()
        assert gateway.leases() == 0


def _calls(answer: Any) -> list[tuple[str, Any]]:
    calls = answer.choices[0].message.tool_calls or ()
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


def _thoughts(said: Any) -> str:
    extra = said.model_extra or {}
    return extra.get("reasoning_content") or extra.get("reasoning") or ""
