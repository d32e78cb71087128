"""OpenAI's own client through Cortex to an upstream that speaks Ollama's own API."""

from __future__ import annotations

import json

import pytest

from tests.support import upstream_ollama as wire
from tests.support import upstream_replies as replies
from tests.support.capabilities import proves
from tests.support.conversation import CALL, JSON, PNG, RESULT, TEXT, client_of, structured, talk
from tests.support.gateway import Gateway
from tests.support.served import a_gateway, an_upstream
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

VECTORS = [[1.0, -0.5], [0.25, 0.0]]


def reply(request: Request) -> Reply:
    """What Ollama answers to each kind of request: thoughts apart, calls whole, `stop` behind them too."""
    body = request.json
    if request.path == "/api/embed":
        inputs = body["input"]
        return wire.embeddings(VECTORS[: len(inputs)] if isinstance(inputs, list) else VECTORS[:1])
    if body.get("format"):
        return wire.speaking([json.dumps(JSON)])(request)
    if body["messages"][-1]["role"] == "tool":
        return wire.speaking(TEXT)(request)
    name, arguments = CALL
    calls = [{"id": "call_x1y2z3a4", "function": {"index": 0, "name": name, "arguments": arguments}}]
    if body["stream"]:
        return replies.ndjson(wire.line({"thinking": "Hm."}), wire.line({"tool_calls": calls}), wire.last_line())
    return replies.json(wire.last_line({"thinking": "Hm.", "tool_calls": calls}))


upstream = an_upstream(reply)
gateway = a_gateway(lambda url: {"providers": {"chat": {"type": "ollama", "base_url": url, "models": [wire.MODEL]}}})


@pytest.mark.parametrize("stream", [False, True])
@proves("ollama", "image", "tools", "tool round trip", "tool stream", "usage")
async def test_a_conversation_with_an_image_and_a_tool(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    held = await talk(gateway, stream=stream, temperature=1, max_tokens=100, reasoning_effort="low")
    assert (held.asked.choices[0].message.model_extra or {})["reasoning_content"] == "Hm."
    assert held.said.usage is not None
    assert (held.said.usage.prompt_tokens, held.said.usage.completion_tokens) == (26, 12)
    first, second = upstream.requests
    assert first.path == second.path == "/api/chat"
    assert "authorization" not in first.headers
    assert (first.json["stream"], first.json["truncate"], first.json["think"]) == (stream, False, True)
    assert first.json["options"].items() >= {"temperature": 1.0, "num_predict": 100}.items()
    system, user = first.json["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert user["images"] == [PNG]
    call, result = second.json["messages"][-2:]
    assert call["tool_calls"] == [{"id": "call_x1y2z3a4", "function": {"name": CALL[0], "arguments": CALL[1]}}]
    assert result == {"role": "tool", "tool_name": CALL[0], "tool_call_id": "call_x1y2z3a4", "content": RESULT}


@proves("ollama", "JSON schema")
async def test_an_answer_to_a_schema(gateway: Gateway, upstream: Upstream) -> None:
    assert (await structured(gateway)).model_dump() == JSON
    assert upstream.requests[0].json["format"]["required"] == ["city", "celsius"]


@pytest.mark.parametrize("inputs", ["a", ["a", "b"]])
@proves("ollama", "embeddings")
async def test_embeddings(gateway: Gateway, upstream: Upstream, inputs: str | list[str]) -> None:
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(model="chat", input=inputs, dimensions=2)
    assert [each.embedding for each in answer.data] == VECTORS[: len(answer.data)]
    assert len(answer.data) == len(inputs)
    assert answer.usage.prompt_tokens == 5
    sent = upstream.requests[0].json
    assert sent.items() >= {"model": wire.MODEL, "input": inputs, "truncate": False, "dimensions": 2}.items()


async def test_a_prompt_that_is_too_long_is_refused_and_not_cut() -> None:
    async with Upstream(wire.error("the input length exceeds the context length", 400)) as upstream:
        settings = {"type": "ollama", "base_url": upstream.url, "models": [wire.MODEL]}
        async with Gateway({"providers": {"chat": settings}}) as gateway:
            status, _, body = await gateway.chat()
            assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
            async with gateway.client.post("/v1/embeddings", json={"model": "chat", "input": "a"}) as response:
                assert response.status == 400
                assert (await response.json())["error"]["code"] == "context_length_exceeded"


async def test_an_image_at_a_url_is_not_fetched(gateway: Gateway, upstream: Upstream) -> None:
    part = {"type": "image_url", "image_url": {"url": f"{upstream.url}/a.png"}}
    status, _, body = await gateway.chat({"messages": [{"role": "user", "content": [part]}]})
    assert (status, body["error"]["param"]) == (400, "messages")
    assert upstream.requests == []
