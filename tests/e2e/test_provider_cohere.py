"""OpenAI's own client through Cortex to an upstream that speaks Cohere's own API."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import openai
import pytest

from tests.support import upstream_cohere as wire
from tests.support import upstream_openai as openai_wire
from tests.support.capabilities import proves
from tests.support.conversation import CALL, JSON, PNG, RESULT, TEXT, client_of, opening, structured, talk
from tests.support.gateway import Gateway, provider
from tests.support.served import a_gateway, an_upstream
from tests.support.upstream import Script, Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply


def reply(request: Request) -> Reply:
    """What Cohere answers to each kind of request."""
    body = request.json
    if request.path == "/v1/check-api-key":
        return wire.error("no body is expected", 400) if body else wire.embeddings([], [])
    if request.path == "/v2/embed":
        return wire.embeddings([[1.0, -0.5] for _ in body["texts"]], body["texts"])
    say = wire.stream if body.get("stream") else wire.message
    if body.get("response_format"):
        return say(wire.text(json.dumps(JSON)))
    if body.get("tools") and body["messages"][-1]["role"] != "tool":
        name = body["tools"][0]["function"]["name"]
        return say([*wire.thought("Hm."), *wire.plan("I will look."), *wire.call(name, CALL[1])], reason="TOOL_CALL")
    return say(wire.text(*TEXT))


def command(url: str, **settings: Any) -> dict[str, Any]:
    return {"type": "cohere", "base_url": url, "keys": ["co-1"], "models": [wire.MODEL], **settings}


upstream = an_upstream(reply)
gateway = a_gateway(lambda url: {"providers": {"command": command(url)}, "models": {"chat": {"cascade": ["command"]}}})


def asked(upstream: Upstream) -> list[Request]:
    return [request for request in upstream.requests if request.path.startswith("/v2")]


@pytest.mark.parametrize("stream", [False, True])
@proves("cohere", "image", "tools", "tool round trip", "tool stream", "usage")
async def test_a_conversation_with_an_image_and_a_tool(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    held = await talk(gateway, stream=stream, temperature=0.2, reasoning_effort="low")
    assert held.asked.choices[0].message.content == "I will look."
    assert (held.asked.choices[0].message.model_extra or {})["reasoning_content"] == "Hm."
    assert held.said.usage is not None
    assert (held.said.usage.prompt_tokens, held.said.usage.completion_tokens) == (71, 12)
    assert held.said.usage.prompt_tokens_details is not None
    assert held.said.usage.prompt_tokens_details.cached_tokens == 64
    first, second = asked(upstream)
    assert first.path == second.path == "/v2/chat"
    assert first.headers["authorization"] == "Bearer co-1"
    assert first.json["model"] == wire.MODEL
    assert first.json["thinking"] == {"type": "enabled", "token_budget": 1024}
    assert first.json["messages"][0] == {"role": "system", "content": "Be brief."}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert first.json["messages"][1]["content"][1] == image
    function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    assert second.json["messages"][2:] == [
        {
            "role": "assistant",
            "tool_plan": "I will look.",
            "tool_calls": [{"id": "get_weather_a1b2", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "get_weather_a1b2", "content": RESULT},
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_function_under_a_name_that_it_does_not_take(
    gateway: Gateway, upstream: Upstream, stream: bool
) -> None:
    tools: Any = [{"type": "function", "function": {"name": "mcp.get-weather"}}]
    async with client_of(gateway) as client:
        members: Any = {"model": "chat", "messages": opening(image=False), "tools": tools}
        if stream:
            async with client.chat.completions.stream(**members) as events:
                answer: Any = await events.get_final_completion()
        else:
            answer = await client.chat.completions.create(**members)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "mcp.get-weather"
    assert asked(upstream)[0].json["tools"][0]["function"]["name"] == "mcp_get_weather"


@proves("cohere", "JSON schema")
async def test_an_answer_to_a_schema(gateway: Gateway, upstream: Upstream) -> None:
    assert (await structured(gateway)).model_dump() == JSON
    form = asked(upstream)[0].json["response_format"]
    assert form["type"] == "json_object"
    assert form["json_schema"]["required"] == ["city", "celsius"]


async def test_what_it_cannot_express_is_told(gateway: Gateway) -> None:
    _, headers, _ = await gateway.chat({"temperature": 2, "logit_bias": {"1": 1}})
    assert headers["x-cortex-warning"] == "dropped=temperature,logit_bias"
    for member, value in {"n": 2, "stop": list("abcdef"), "functions": [{"name": "f"}]}.items():
        status, _, body = await gateway.chat({member: value})
        assert (status, body["error"]["param"]) == (400, member)


@pytest.mark.parametrize("encoding", ["float", "base64"])
@proves("cohere", "embeddings")
async def test_embeddings(gateway: Gateway, upstream: Upstream, encoding: Any) -> None:
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(
            model="command",
            input=["a", "b"],
            encoding_format=encoding,
            dimensions=256,
            extra_body={"input_type": "search_query"},
        )
    assert (answer.model, answer.usage.prompt_tokens) == (wire.MODEL, 2)
    vector: Any = answer.data[1].embedding
    assert (struct.unpack("<2f", base64.b64decode(vector)) if encoding == "base64" else tuple(vector)) == (1.0, -0.5)
    (sent,) = asked(upstream)
    assert sent.json["texts"] == ["a", "b"]
    assert (sent.json["input_type"], sent.json["output_dimension"]) == ("search_query", 256)


async def test_more_texts_than_one_call_takes(gateway: Gateway, upstream: Upstream) -> None:
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(model="command", input=["a"] * 97)
    assert (len(answer.data), answer.usage.prompt_tokens) == (97, 4)
    assert [len(request.json["texts"]) for request in asked(upstream)] == [96, 1]


@pytest.mark.parametrize("stream", [False, True])
async def test_citations_of_documents_with_a_url_are_annotations(stream: bool) -> None:
    say = wire.stream if stream else wire.message
    script = say([*wire.text(*TEXT), *wire.citation(0, 2, url="https://a.example", title="A")])
    async with Upstream(script) as upstream, Gateway({"providers": {"chat": command(upstream.url)}}) as gateway:
        async with client_of(gateway) as client:
            members: Any = {"model": "chat", "messages": opening(image=False)}
            members |= {"extra_body": {"documents": [{"id": "doc_0", "data": {"text": "t"}}]}}
            if stream:
                chunks = [chunk async for chunk in await client.chat.completions.create(stream=True, **members)]
                found = [each for chunk in chunks for each in (chunk.choices[0].delta.model_extra or {}).values()]
                annotations = [each for some in found for each in some]
            else:
                answer = await client.chat.completions.create(**members)
                annotations = [each.model_dump() for each in answer.choices[0].message.annotations or []]
        assert upstream.requests[0].json["documents"] == [{"id": "doc_0", "data": {"text": "t"}}]
    citation = {"start_index": 0, "end_index": 2, "url": "https://a.example", "title": "A"}
    assert annotations == [{"type": "url_citation", "url_citation": citation}]


async def test_the_trials_month_parks_the_key_and_its_minute_does_not() -> None:
    def spent(unit: str) -> Reply:
        return wire.error(f"You are using a Trial key, which is limited to 1000 API calls / {unit}.", 429)

    script: Script = {"co-1": spent("month"), "co-2": spent("minute"), "co-3": reply}
    async with Upstream(script) as upstream:
        config = {"providers": {"chat": command(upstream.url, keys=["co-1", "co-2", "co-3"])}}
        async with Gateway(config) as gateway:
            status, headers, _ = await gateway.chat()
            attempts = (await gateway.decision(headers))["attempts"]
    assert status == 200
    assert [attempt["kind"] for attempt in attempts] == ["quota_exhausted", "rate_limited", "ok"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_elsewhere_and_comes_back(stream: bool) -> None:
    def of_openai(request: Request) -> Reply:
        if not request.json.get("stream"):
            return openai_wire.answer("".join(TEXT))
        return openai_wire.stream(TEXT, usage=openai_wire.usage())

    script: Script = [reply, wire.error("service unavailable", 503)]
    async with Upstream(script) as first, Upstream(of_openai) as second:
        config = {
            "providers": {"command": command(first.url), "other": provider(second.url)},
            "models": {"chat": {"cascade": ["command", "other"]}},
        }
        async with Gateway(config) as gateway:
            await talk(gateway, stream=stream)
        call, result = second.requests[0].json["messages"][-2:]
        assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "get_weather_a1b2"


async def test_a_conversation_that_began_elsewhere_goes_on_here(gateway: Gateway, upstream: Upstream) -> None:
    foreign = "call:ü/1"
    function = {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    calls = [{"id": foreign, "type": "function", "function": function}]
    signed = [calls[0] | {"extra_content": {"google": {"thought_signature": "c2ln"}}}]
    messages = [
        *opening(image=True),
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": signed},
        {"role": "tool", "tool_call_id": foreign, "content": RESULT},
    ]
    status, headers, body = await gateway.chat({"messages": messages})
    assert (status, body["choices"][0]["message"]["content"]) == (200, "".join(TEXT))
    assert headers["x-cortex-warning"] == "dropped=messages.reasoning_content"
    assert asked(upstream)[0].json["messages"][-2:] == [
        {"role": "assistant", "tool_plan": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": foreign, "content": RESULT},
    ]


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT"])
async def test_an_answer_that_broke_off_never_looks_whole(reason: str) -> None:
    script = wire.stream(wire.text(*TEXT), reason=reason)
    async with Upstream(script) as upstream, Gateway({"providers": {"chat": command(upstream.url)}}) as gateway:
        async with client_of(gateway) as client:
            members: Any = {"model": "chat", "messages": opening(image=False), "stream": True}
            said: list[str] = []
            with pytest.raises(openai.APIError, match="broke off"):
                async for chunk in await client.chat.completions.create(**members):
                    said.append(chunk.choices[0].delta.content or "")
                    assert chunk.choices[0].finish_reason is None
    assert "".join(said) == "".join(TEXT)
