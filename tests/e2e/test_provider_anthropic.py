"""OpenAI's own client through Cortex to an upstream that speaks Anthropic's Messages API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import upstream_anthropic as wire
from tests.support import upstream_openai as openai_wire
from tests.support import upstream_replies as replies
from tests.support.capabilities import proves
from tests.support.conversation import CALL, JSON, PNG, RESULT, TEXT, client_of, opening, structured, talk
from tests.support.gateway import Gateway, provider
from tests.support.served import a_gateway, an_upstream
from tests.support.upstream import Script, Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply


def reply(request: Request) -> Reply:
    """What Anthropic answers to each kind of request."""
    if request.method == "GET":
        return replies.json({"data": [], "has_more": False})
    body = request.json
    say = wire.stream if body.get("stream") else wire.message
    if body.get("output_config", {}).get("format"):
        return say(wire.text(json.dumps(JSON)))
    if body.get("tools") and not any(block["type"] == "tool_result" for block in body["messages"][-1]["content"]):
        return say([*wire.thought("Hm."), *wire.text("Let me look."), *wire.call(*CALL)], stop="tool_use")
    return say(wire.text(*TEXT))


def claude(url: str, **settings: Any) -> dict[str, Any]:
    return {"type": "anthropic", "base_url": url, "keys": ["sk-ant-1"], "models": [wire.MODEL], **settings}


upstream = an_upstream(reply)
gateway = a_gateway(lambda url: {"providers": {"claude": claude(url)}, "models": {"chat": {"cascade": ["claude"]}}})


def asked(upstream: Upstream) -> list[Request]:
    return [request for request in upstream.requests if request.method == "POST"]


@pytest.mark.parametrize(
    ("settings", "version", "kept"),
    [
        ({}, "2023-06-01", {"temperature": 0.2, "top_k": 5}),
        ({"api_version": "2023-06-01"}, "2023-06-01", {"temperature": 0.2, "top_k": 5}),
        ({"api_version": "2026-10-21"}, "2026-10-21", {}),
    ],
)
async def test_the_api_s_version_is_a_setting(settings: Any, version: str, kept: dict[str, Any]) -> None:
    config = {"models": ["claude-sonnet-4-5"], **settings}
    async with Upstream(reply) as upstream:
        async with Gateway({"providers": {"claude": claude(upstream.url, **config)}}) as gateway:
            async with client_of(gateway) as client:
                answer = await client.chat.completions.with_raw_response.create(
                    model="claude", messages=opening(image=False), temperature=0.2, extra_body={"top_k": 5}
                )
    assert answer.parse().choices[0].message.content == "".join(TEXT)
    (sent,) = asked(upstream)
    assert sent.headers["anthropic-version"] == version
    assert {name: sent.json[name] for name in ("temperature", "top_p", "top_k") if name in sent.json} == kept
    assert answer.headers.get("x-cortex-warning") == (None if kept else "dropped=temperature,top_k")


@pytest.mark.parametrize("stream", [False, True])
@proves("anthropic", "image", "reasoning", "tool round trip", "usage")
async def test_a_conversation_with_an_image_and_a_tool(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    held = await talk(gateway, stream=stream, temperature=0.2, reasoning_effort="low")
    assert held.asked.choices[0].message.content == "Let me look."
    assert (held.asked.choices[0].message.model_extra or {})["reasoning_content"] == "Hm."
    assert held.said.usage is not None
    assert held.said.usage.prompt_tokens == 123
    assert held.said.usage.prompt_tokens_details is not None
    assert held.said.usage.prompt_tokens_details.cached_tokens == 100
    first, second = asked(upstream)
    assert first.path == second.path == "/v1/messages"
    assert first.headers["x-api-key"] == "sk-ant-1"
    assert "authorization" not in first.headers
    assert first.headers["anthropic-version"] == "2023-06-01"
    assert first.json["system"] == [{"type": "text", "text": "Be brief."}]
    assert first.json["thinking"] == {"type": "adaptive", "display": "summarized"}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    assert first.json["messages"][0]["content"][1] == image
    assert second.json["thinking"] == {"type": "disabled"}, "its signed thoughts are gone"
    assert second.json["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "toolu_01B", "name": "get_weather", "input": {"city": "Oslo"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01B", "content": RESULT}]},
    ]


@proves("anthropic", "JSON schema")
async def test_an_answer_to_a_schema(gateway: Gateway, upstream: Upstream) -> None:
    assert (await structured(gateway)).model_dump() == JSON
    form = asked(upstream)[0].json["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["required"] == ["city", "celsius"]


async def test_what_it_cannot_express_is_told(gateway: Gateway) -> None:
    _, headers, _ = await gateway.chat({"temperature": 0, "seed": 7})
    assert headers["x-cortex-warning"] == "dropped=temperature,seed"
    status, _, body = await gateway.chat({"n": 2})
    assert (status, body["error"]["param"]) == (400, "n")
    async with gateway.client.post("/v1/embeddings", json={"model": "claude", "input": "a"}) as response:
        assert response.status == 400


async def test_a_refusal_is_a_content_filter() -> None:
    async with Upstream(wire.stream(wire.text("I"), stop="refusal")) as upstream:
        config = {"providers": {"chat": claude(upstream.url)}}
        async with Gateway(config) as gateway, client_of(gateway) as client:
            members: Any = {"model": "chat", "messages": opening(image=False), "stream": True}
            chunks = [chunk async for chunk in await client.chat.completions.create(**members)]
    assert chunks[-1].choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_elsewhere_and_comes_back(stream: bool) -> None:
    overloaded = wire.error("overloaded_error", "Overloaded", 529)

    def of_openai(request: Request) -> Reply:
        if not request.json.get("stream"):
            return openai_wire.answer("".join(TEXT))
        return openai_wire.stream(TEXT, usage=openai_wire.usage())

    script: Script = [reply, overloaded]
    async with Upstream(script) as first, Upstream(of_openai) as second:
        config = {
            "providers": {"claude": claude(first.url), "other": provider(second.url)},
            "models": {"chat": {"cascade": ["claude", "other"]}},
        }
        async with Gateway(config) as gateway:
            await talk(gateway, stream=stream)
        call, result = second.requests[0].json["messages"][-2:]
        assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "toolu_01B"


async def test_a_conversation_that_began_elsewhere_goes_on_here(gateway: Gateway, upstream: Upstream) -> None:
    foreign = "call:ü/1"
    calls = [{"id": foreign, "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}]
    calls[0] |= {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    messages = [
        *opening(image=True),
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": foreign, "content": RESULT},
    ]
    status, _, body = await gateway.chat({"messages": messages})
    assert (status, body["choices"][0]["message"]["content"]) == (200, "".join(TEXT))
    call, result = asked(upstream)[0].json["messages"][-2:]
    assert [block["type"] for block in call["content"]] == ["tool_use"]
    assert call["content"][0]["id"] == result["content"][0]["tool_use_id"]
    assert foreign != call["content"][0]["id"]
