"""OpenAI's own client through Cortex to an upstream that speaks as Groq does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import upstream_openai as wire
from tests.support import upstream_replies as replies
from tests.support.capabilities import proves
from tests.support.conversation import CALL, JSON, PNG, RESULT, TEXT, client_of, structured, talk
from tests.support.gateway import Gateway
from tests.support.served import a_gateway, an_upstream
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

MODEL = "openai/gpt-oss-20b"
USAGE = {"queue_time": 0.01, **wire.usage(70, 9), "total_time": 0.013}


def reply(request: Request) -> Reply:
    """What Groq answers to each kind of request: usage comes unasked, thoughts as `reasoning`."""
    if request.path.endswith("/embeddings"):
        return wire.embeddings([[1.0, -0.5]])
    body = request.json
    if body.get("response_format"):
        return wire.answer(json.dumps(JSON), model=MODEL, usage=USAGE)
    name, arguments = CALL
    if body["messages"][-1]["role"] == "tool":
        return say(body, [{"content": piece} for piece in TEXT], "stop")
    call = {
        "index": 0,
        "id": "fc_1",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }
    return say(body, [{"reasoning": "Hm."}, {"tool_calls": [call]}], "tool_calls")


def say(body: dict[str, Any], deltas: list[dict[str, Any]], finish: str) -> Reply:
    if not body.get("stream"):
        message: dict[str, Any] = {name: value for delta in deltas for name, value in delta.items()}
        text = "".join(delta.get("content", "") for delta in deltas) or None
        return replies.json(
            wire.completion(None, model=MODEL, usage=USAGE, finish=finish, message=message | {"content": text})
            | {"x_groq": {"id": "req_1"}}
        )
    chunks = [json.loads(wire.delta_chunk({"role": "assistant", "content": ""}, model=MODEL))]
    chunks += [json.loads(wire.delta_chunk(delta, model=MODEL)) for delta in deltas]
    last = json.loads(wire.delta_chunk({}, finish=finish, model=MODEL))
    asked = json.loads(wire.chunks([], model=MODEL, usage=USAGE)[-2])
    return replies.sse(*chunks, last | {"x_groq": {"id": "req_1", "usage": USAGE}}, asked, wire.DONE)


upstream = an_upstream(reply)
gateway = a_gateway(
    lambda url: {
        "providers": {"chat": {"type": "groq", "base_url": f"{url}/openai/v1", "keys": ["gsk_1"], "models": [MODEL]}}
    }
)


@pytest.mark.parametrize("stream", [False, True])
@proves("groq", "image", "tools", "tool round trip", "tool stream", "usage")
async def test_a_conversation_with_an_image_and_a_tool(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    held = await talk(gateway, stream=stream, frequency_penalty=0.5, reasoning_effort="xhigh")
    assert (held.asked.choices[0].message.model_extra or {})["reasoning"] == "Hm."
    assert held.said.usage is not None
    assert held.said.usage.total_tokens == 79, "not the sum of both usages"
    first, second = upstream.requests
    assert first.path == second.path == "/openai/v1/chat/completions"
    assert first.headers["authorization"] == "Bearer gsk_1"
    assert first.json["model"] == MODEL
    assert first.json["reasoning_effort"] == "high"
    assert "frequency_penalty" not in first.json
    system, user = first.json["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    call, result = second.json["messages"][-2:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "fc_1"
    assert result["content"] == RESULT


@proves("groq", "JSON schema")
async def test_an_answer_to_a_schema(gateway: Gateway, upstream: Upstream) -> None:
    assert (await structured(gateway)).model_dump() == JSON
    assert upstream.requests[0].json["response_format"]["json_schema"]["schema"]["required"] == ["city", "celsius"]


async def test_what_it_cannot_express_is_told(gateway: Gateway) -> None:
    _, headers, _ = await gateway.chat({"logit_bias": {"1": 1}, "frobnicate": 1})
    assert headers["x-cortex-warning"] == "dropped=logit_bias,frobnicate"
    status, _, body = await gateway.chat({"logprobs": True})
    assert (status, body["error"]["param"]) == (400, "logprobs")


@proves("groq", "embeddings")
async def test_embeddings(gateway: Gateway) -> None:
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(model="chat", input="a")
    assert answer.data[0].embedding == [1.0, -0.5]
