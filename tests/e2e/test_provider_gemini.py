"""Gemini behind Cortex, on real sockets: the official OpenAI SDK talks, a scripted Gemini answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.support import conversation, upstream_openai, upstream_replies
from tests.support import upstream_gemini as gemini
from tests.support.capabilities import proves
from tests.support.gateway import Gateway, provider
from tests.support.upstream import Upstream, by_path
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

KEY = "AIza-test-1"
PNG = "data:image/png;base64,iVBORw0KGgo="
ASKS: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Weather here?"}, {"type": "image_url", "image_url": {"url": PNG}}],
    },
]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("get_weather", "get_time")
]
CALLS = [
    gemini.call("get_weather", {"city": "Oslo"}, id="fc1", signature="RXFRQg=="),
    gemini.call("get_time", {"city": "Oslo"}),
]


class Weather(BaseModel):
    city: str
    celsius: int


def provider_of(upstream: Upstream, *keys: str, model: str = gemini.MODEL) -> dict[str, Any]:
    return {"type": "gemini", "base_url": upstream.url, "keys": list(keys or (KEY,)), "models": [model]}


@asynccontextmanager
async def served(**providers: dict[str, Any]) -> AsyncIterator[tuple[Gateway, openai.AsyncOpenAI]]:
    """Cortex with these providers in a cascade `chat`, and a client of it."""
    config = {"providers": providers, "models": {"chat": {"cascade": list(providers)}}, "default_model": "chat"}
    async with Gateway(config) as gateway:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
            yield gateway, client


def converse(request: Request) -> Reply:
    """Calls both tools; once it has their results, says so."""
    last = request.json["contents"][-1]["parts"]
    results = [part["functionResponse"] for part in last if "functionResponse" in part]
    if not results:
        return gemini.saying({"text": "Hm.", "thought": True}, *CALLS)(request)
    said = ", ".join(f"{result['name']}: {result['response']['output']}" for result in results)
    return gemini.saying(said, " é 🙂")(request)


def results_of(calls: list[Any]) -> list[Any]:
    return [{"role": "tool", "tool_call_id": call["id"], "content": "4 C"} for call in calls]


def talk(request: Request) -> Reply:
    """Gemini's part in the conversation that every type of provider is put to."""
    answered = any("functionResponse" in part for part in request.json["contents"][-1]["parts"])
    name, args = conversation.CALL
    return gemini.saying(*(conversation.TEXT if answered else [gemini.call(name, args, signature="RXFRQg==")]))(request)


@pytest.mark.parametrize("stream", [False, True])
@proves("gemini", "image", "tools", "tool round trip")
async def test_the_conversation_of_all_providers(stream: bool) -> None:
    async with Upstream(talk) as upstream, served(gemini=provider_of(upstream)) as (gateway, _):
        await conversation.talk(gateway, stream=stream)
    called = upstream.requests[1].json["contents"][1]["parts"][0]
    assert called["thoughtSignature"] == "RXFRQg=="


@proves("gemini", "image", "parallel tools", "reasoning", "tool round trip", "usage")
async def test_a_conversation_with_tools_and_an_image() -> None:
    async with Upstream(converse) as upstream, served(gemini=provider_of(upstream)) as (_, client):
        first = await client.chat.completions.create(model="chat", messages=ASKS, tools=TOOLS)
        message = first.choices[0].message.model_dump(exclude_none=True)
        second = await client.chat.completions.create(
            model="chat", messages=[*ASKS, message, *results_of(message["tool_calls"])], tools=TOOLS
        )
    assert first.choices[0].finish_reason == "tool_calls"
    assert message["reasoning_content"] == "Hm."
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["get_weather", "get_time"]
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
    assert first.usage is not None
    assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (9, 7)
    assert first.usage.completion_tokens_details is not None
    assert first.usage.completion_tokens_details.reasoning_tokens == 4
    assert second.choices[0].message.content == "get_weather: 4 C, get_time: 4 C é 🙂"
    assert second.model == gemini.MODEL
    opening, ending = upstream.requests
    assert opening.path == f"/v1beta/models/{gemini.MODEL}:generateContent"
    assert opening.headers["x-goog-api-key"] == KEY
    assert "authorization" not in opening.headers
    assert opening.json["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert opening.json["contents"][0]["parts"][1]["inlineData"]["mimeType"] == "image/png"
    # The signature that the client kept beside the call comes back where Gemini looks for it.
    called = ending.json["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in called] == ["RXFRQg==", None]
    assert [part["functionCall"]["id"] for part in called] == [call["id"] for call in message["tool_calls"]]


@proves("gemini", "stream", "tool stream", "usage")
async def test_the_same_streamed() -> None:
    async with Upstream(converse) as upstream, served(gemini=provider_of(upstream)) as (_, client):
        async with client.chat.completions.stream(
            model="chat", messages=ASKS, tools=TOOLS, stream_options={"include_usage": True}
        ) as stream:
            chunks = [event.chunk async for event in stream if event.type == "chunk"]
            final = await stream.get_final_completion()
        message = final.choices[0].message.model_dump(exclude_none=True)
        calls = message["tool_calls"]
        signatures = [
            (call.index, call.model_extra["extra_content"])
            for chunk in chunks
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
            if call.model_extra and "extra_content" in call.model_extra
        ]
        for call in calls:
            call.get("function", {}).pop("parsed_arguments", None)
        pieces = []
        async for chunk in await client.chat.completions.create(
            model="chat", messages=[*ASKS, message, *results_of(calls)], tools=TOOLS, stream=True
        ):
            pieces += [choice.delta.content or "" for choice in chunk.choices]
    assert final.choices[0].finish_reason == "tool_calls"
    assert [call["function"]["arguments"] for call in calls] == ['{"city":"Oslo"}'] * 2
    assert signatures == [(0, {"google": {"thought_signature": "RXFRQg=="}})]
    assert final.usage is not None
    assert final.usage.total_tokens == 16
    assert "".join(pieces) == "get_weather: 4 C, get_time: 4 C é 🙂"
    assert [request.path.partition(":")[2] for request in upstream.requests] == ["streamGenerateContent?alt=sse"] * 2


async def test_a_stream_cut_into_single_bytes() -> None:
    reply = gemini.stream("It is ", "cold é 🙂").in_pieces(1)
    async with Upstream(reply) as upstream, served(gemini=provider_of(upstream)) as (_, client):
        stream = await client.chat.completions.create(model="chat", messages=ASKS, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "It is cold é 🙂"


@proves("gemini", "JSON schema")
async def test_a_schema() -> None:
    script = gemini.saying('{"city":"Oslo",', '"celsius":4}')
    async with Upstream(script) as upstream, served(gemini=provider_of(upstream)) as (_, client):
        answer = await client.chat.completions.parse(model="chat", messages=ASKS, response_format=Weather)
        async with client.chat.completions.stream(model="chat", messages=ASKS, response_format=Weather) as stream:
            streamed = await stream.get_final_completion()
    assert answer.choices[0].message.parsed == streamed.choices[0].message.parsed == Weather(city="Oslo", celsius=4)
    for request in upstream.requests:
        config = request.json["generationConfig"]
        assert config["responseMimeType"] == "application/json"
        assert config["responseJsonSchema"]["required"] == ["city", "celsius"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_prompt_is_an_answer_and_goes_nowhere_else(stream: bool) -> None:
    reply = upstream_replies.sse(gemini.blocked()) if stream else upstream_replies.json(gemini.blocked())
    async with Upstream(reply) as upstream, Upstream(upstream_openai.speaking(["never"])) as other:
        async with served(gemini=provider_of(upstream), other=provider(other.url)) as (gateway, client):
            create: Any = client.chat.completions.create
            answer = await create(model="chat", messages=ASKS, stream=stream)
            if stream:
                reasons = [chunk.choices[0].finish_reason async for chunk in answer]
            else:
                reasons = [answer.choices[0].finish_reason]
            await gateway.settled()
    assert [reason for reason in reasons if reason] == ["content_filter"]
    assert (len(upstream.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_malformed_call_is_a_fault_and_goes_on(stream: bool) -> None:
    script = gemini.stream(CALLS[0], finish="MALFORMED_FUNCTION_CALL")
    whole = gemini.answer(CALLS[0], finish="MALFORMED_FUNCTION_CALL")
    async with Upstream(script if stream else whole) as upstream, Upstream(upstream_openai.speaking(["Hi"])) as other:
        async with served(gemini=provider_of(upstream), other=provider(other.url)) as (gateway, _):
            body = {"stream": stream, "tools": TOOLS}
            status, headers, told = await (gateway.stream(body) if stream else gateway.chat(body))
    assert status == 200
    assert headers["x-cortex-model"] == "other/test-model"
    assert "Hi" in str(told)


DAILY = gemini.error(
    "You exceeded your current quota. Please retry in 2s.",
    429,
    "RESOURCE_EXHAUSTED",
    {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
    {"retryDelay": "2s"},
)
BAD_KEY = gemini.error("API key not valid.", 400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"})


@pytest.mark.parametrize(("refusal", "kind"), [(DAILY, "quota_exhausted"), (BAD_KEY, "invalid_key")])
@proves("gemini", "errors")
async def test_a_key_that_is_refused_makes_way_for_the_next(refusal: Reply, kind: str) -> None:
    script = {"AIza-a": refusal, "AIza-b": gemini.answer("Hi")}
    async with Upstream(script) as upstream, served(gemini=provider_of(upstream, "AIza-a", "AIza-b")) as (gateway, _):
        answers = [await gateway.chat() for _ in range(3)]
        attempts = (await gateway.decision(answers[0][1]))["attempts"]
    assert [(status, told["choices"][0]["message"]["content"]) for status, _, told in answers] == [(200, "Hi")] * 3
    assert [attempt["kind"] for attempt in attempts] == [kind, "ok"]
    assert upstream.calls("AIza-a") == 1, "neither a day's quota nor a bad key comes back within seconds"


async def test_what_it_cannot_express_is_named_or_goes_elsewhere() -> None:
    async with Upstream(gemini.saying("Hi")) as upstream, Upstream(upstream_openai.speaking(["Ho"])) as other:
        async with served(gemini=provider_of(upstream), other=provider(other.url)) as (gateway, _):
            _, named, _ = await gateway.chat({"user": "u", "parallel_tool_calls": False})
            image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
            _, elsewhere, _ = await gateway.chat({"messages": [{"role": "user", "content": [image]}]})
        async with served(gemini=provider_of(upstream)) as (gateway, _):
            status, _, told = await gateway.chat({"n": 2})
    assert named["x-cortex-warning"] == "dropped=user,parallel_tool_calls"
    assert elsewhere["x-cortex-model"] == "other/test-model"
    assert (status, told["error"]["param"]) == (400, "n")
    assert len(upstream.requests) == 1


async def test_a_conversation_goes_on_at_another_provider_and_comes_back() -> None:
    """Each turn is answered by whoever is there, the history made by all before."""
    openais = upstream_replies.json(
        upstream_openai.completion(
            None,
            finish="tool_calls",
            message={
                "tool_calls": [
                    {
                        "id": "call_o",
                        "type": "function",
                        "function": {"name": "get_time", "arguments": '{"city":"Rome"}'},
                    }
                ]
            },
        )
    )
    async with Upstream(gemini.answer(CALLS[0])) as google, Upstream(openais) as other:
        strict = {**provider(other.url), "type": "openai"}
        async with served(google=provider_of(google), other=strict) as (_, client):
            messages = list(ASKS)
            for name in ("google", "other", "google", "other"):
                answer = await client.chat.completions.create(model=name, messages=messages, tools=TOOLS)
                message = answer.choices[0].message.model_dump(exclude_none=True)
                messages += [message, *results_of(message["tool_calls"])]
    assert b"extra_content" not in other.requests[1].body
    assert [m["role"] for m in other.requests[1].json["messages"][2:]] == ["assistant", "tool"] * 3
    contents = google.requests[1].json["contents"]
    assert [turn["role"] for turn in contents] == ["user", "model", "user", "model", "user"]
    assert contents[1]["parts"][0]["thoughtSignature"] == "RXFRQg=="
    assert contents[3]["parts"] == [
        {
            "functionCall": {"id": "call_o", "name": "get_time", "args": {"city": "Rome"}},
            "thoughtSignature": "skip_thought_signature_validator",
        }
    ]


async def test_a_cut_stream_is_never_an_end() -> None:
    frames = [gemini.chunk("Hel"), gemini.chunk("lo")]
    async with Upstream(upstream_replies.sse(*frames)) as upstream, served(gemini=provider_of(upstream)) as (_, client):
        said: list[str] = []
        with pytest.raises(openai.APIError):
            async for chunk in await client.chat.completions.create(model="chat", messages=ASKS, stream=True):
                said.append(chunk.choices[0].delta.content or "")
                assert chunk.choices[0].finish_reason is None
    assert "".join(said) == "Hello"


@pytest.mark.parametrize("encoding", ["float", "base64"])
@proves("gemini", "embeddings")
async def test_embeddings(encoding: Any) -> None:
    script = by_path({"/v1beta/models/gemini-embedding-001:batchEmbedContents": gemini.embeddings([3, 4], [0, 1])})
    async with Upstream(script) as upstream:
        async with served(gemini=provider_of(upstream, model="gemini-embedding-001")) as (_, client):
            if encoding == "float":
                answer = await client.embeddings.create(
                    model="gemini", input=["a", "b"], dimensions=2, encoding_format="float"
                )
            else:
                answer = await client.embeddings.create(model="gemini", input=["a", "b"], dimensions=2)
    assert [row.embedding for row in answer.data] == [pytest.approx([0.6, 0.8]), pytest.approx([0, 1])]
    assert answer.model == "gemini-embedding-001"
    assert [each["outputDimensionality"] for each in upstream.requests[0].json["requests"]] == [2, 2]
