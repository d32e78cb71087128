"""OpenAI's own client, which asks for chat completions, through Cortex to models that need the Responses API."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.support import upstream_openai as chat_wire
from tests.support import upstream_responses as wire
from tests.support.conversation import CALL, JSON, PNG, RESULT, TEXT, client_of, opening, structured, talk
from tests.support.gateway import Gateway, provider
from tests.support.served import a_gateway, an_upstream
from tests.support.upstream import Script, Upstream, by_path
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply


def respond(request: Request) -> Reply:
    """What the Responses API answers to each kind of request."""
    body = request.json
    say = wire.stream if body.get("stream") else wire.whole
    if body.get("text", {}).get("format", {}).get("type") == "json_schema":
        return say(wire.text(json.dumps(JSON)))
    if body.get("tools") and body["input"][-1].get("type") != "function_call_output":
        return say([*wire.thought("Hm."), *wire.text("I will look."), *wire.call(*CALL)])
    return say(wire.text(*TEXT))


def complete(request: Request) -> Reply:
    """What chat completions answers: these models take no tools there."""
    if request.json.get("tools"):
        return chat_wire.replies.json(
            chat_wire.error("Function tools are not supported.", "invalid_request_error"), 400
        )
    return chat_wire.speaking(TEXT)(request)


def gpt(url: str, **settings: Any) -> dict[str, Any]:
    return {"type": "openai", "base_url": f"{url}/v1", "keys": ["sk-1"], "models": [wire.MODEL], **settings}


upstream = an_upstream(by_path({"/v1/responses": respond, "/v1/chat/completions": complete}))
gateway = a_gateway(
    lambda url: {
        "providers": {"gpt": gpt(url, models=[wire.MODEL, "gpt-5.4-pro"])},
        "models": {"chat": {"cascade": ["gpt"]}},
    }
)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_with_an_image_and_a_tool(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    held = await talk(gateway, stream=stream, temperature=0.2, reasoning_effort="low")
    assert held.asked.choices[0].message.content == "I will look."
    assert (held.asked.choices[0].message.model_extra or {})["reasoning_content"] == "Hm."
    assert held.said.object == "chat.completion"
    assert (held.said.id, held.said.model) == ("resp_1", wire.MODEL)
    usage = held.said.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (71, 12)
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens_details.cached_tokens, usage.completion_tokens_details.reasoning_tokens) == (64, 8)
    first, second = upstream.requests
    assert first.path == second.path == "/v1/responses"
    assert first.headers["authorization"] == "Bearer sk-1"
    assert first.json["store"] is False
    assert first.json["reasoning"] == {"effort": "low"}
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    assert first.json["input"][1]["content"][1] == image
    assert second.json["input"][2:] == [
        {"role": "assistant", "content": "I will look."},
        {"type": "function_call", "call_id": "call_a1", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "call_a1", "output": RESULT},
    ]


async def test_one_model_is_asked_in_two_ways(gateway: Gateway, upstream: Upstream) -> None:
    status, _, body = await gateway.chat({"seed": 7})
    assert (status, body["choices"][0]["message"]["content"]) == (200, "".join(TEXT))
    assert upstream.requests[-1].path == "/v1/chat/completions"
    assert upstream.requests[-1].json["seed"] == 7
    status, headers, _ = await gateway.chat({"model": "gpt/gpt-5.4-pro", "seed": 7})
    assert (status, headers["x-cortex-warning"]) == (200, "dropped=seed")
    assert upstream.requests[-1].path == "/v1/responses"


async def test_an_answer_to_a_schema(gateway: Gateway, upstream: Upstream) -> None:
    async with client_of(gateway) as client:
        members: Any = {"messages": opening(image=False), "model": "gpt/gpt-5.4-pro"}
        members |= {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}
        answer = await client.chat.completions.create(**members)
    assert json.loads(answer.choices[0].message.content or "") == JSON
    assert upstream.requests[0].json["text"]["format"] == {"type": "json_schema", "name": "x", "schema": {}}


async def test_what_it_cannot_express_goes_elsewhere_or_is_refused(gateway: Gateway) -> None:
    for member, value in {"n": 2, "stop": "END"}.items():
        status, _, body = await gateway.chat({"model": "gpt/gpt-5.4-pro", member: value})
        assert (status, body["error"]["param"]) == (400, member)


async def test_api_chat_speaks_to_it_too(gateway: Gateway) -> None:
    _, _, body = await gateway.stream({"model": "gpt/gpt-5.4-pro"}, path="/api/chat")
    assert "".join(json.loads(line[6:]).get("content", "") for line in body.splitlines() if line[:6] == "data: ") == (
        "".join(TEXT)
    )
    assert "event: done" in body


@pytest.mark.parametrize(("details", "reason"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
async def test_why_an_answer_is_incomplete(details: str, reason: str) -> None:
    script = wire.stream(wire.text("I"), status="incomplete", incomplete_details={"reason": details})
    async with Upstream(script) as upstream:
        config = {"providers": {"chat": gpt(upstream.url, models=["o3-pro"])}}
        async with Gateway(config) as gateway, client_of(gateway) as client:
            members: Any = {"model": "chat", "messages": opening(image=False), "stream": True}
            chunks = [chunk async for chunk in await client.chat.completions.create(**members)]
    assert chunks[-1].choices[0].finish_reason == reason


async def test_an_answer_that_failed_never_looks_whole() -> None:
    error = {"code": "server_error", "message": "boom"}
    async with Upstream(wire.stream(wire.text(*TEXT), status="failed", error=error)) as upstream:
        config = {"providers": {"chat": gpt(upstream.url, models=["o3-pro"])}}
        async with Gateway(config) as gateway, client_of(gateway) as client:
            members: Any = {"model": "chat", "messages": opening(image=False), "stream": True}
            said: list[str] = []
            with pytest.raises(openai.APIError, match="boom"):
                async for chunk in await client.chat.completions.create(**members):
                    said.append(chunk.choices[0].delta.content or "")
                    assert chunk.choices[0].finish_reason is None
    assert "".join(said) == "".join(TEXT)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_elsewhere_and_comes_back(stream: bool) -> None:
    def of_openai(request: Request) -> Reply:
        if not request.json.get("stream"):
            return chat_wire.answer("".join(TEXT))
        return chat_wire.stream(TEXT, usage=chat_wire.usage())

    script: Script = [respond, wire.replies.json(chat_wire.error("busy", code="server_is_overloaded"), 503)]
    async with Upstream(script) as first, Upstream(of_openai) as second:
        config = {
            "providers": {"gpt": gpt(first.url), "other": provider(second.url)},
            "models": {"chat": {"cascade": ["gpt", "other"]}},
        }
        async with Gateway(config) as gateway:
            await talk(gateway, stream=stream)
        call, result = second.requests[0].json["messages"][-2:]
        assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "call_a1"


async def test_a_conversation_that_began_elsewhere_goes_on_here(gateway: Gateway, upstream: Upstream) -> None:
    foreign = "x" * 99
    function = {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    calls = [{"id": foreign, "type": "function", "function": function}]
    messages = [
        *opening(image=True),
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": foreign, "content": RESULT},
    ]
    status, headers, body = await gateway.chat({"model": "gpt/gpt-5.4-pro", "messages": messages})
    assert (status, body["choices"][0]["message"]["content"]) == (200, "".join(TEXT))
    assert headers["x-cortex-warning"] == "dropped=messages.reasoning_content"
    call, result = upstream.requests[0].json["input"][-2:]
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) <= 64


async def test_structured_answers_of_the_sdk(gateway: Gateway) -> None:
    assert (await structured(gateway, tools=[strict_tool()])).model_dump() == JSON


def strict_tool() -> dict[str, Any]:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    return {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}
