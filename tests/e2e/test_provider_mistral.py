"""OpenAI's own client through Cortex to an upstream that speaks as Mistral does."""

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

MODEL = "mistral-small-latest"
USAGE = wire.usage(92, 26) | {"num_cached_tokens": 64}
FOREIGN = "call_of_another_provider"
THOUGHT = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]


def reply(request: Request) -> Reply:
    """What Mistral answers: thoughts as chunks of content, calls whole and without a type, strict about ids."""
    if request.path.endswith("/embeddings"):
        return wire.embeddings([[1.0, -0.5]])
    body = request.json
    ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    if not all(len(each) == 9 and each.isalnum() for each in ids):
        return replies.json(
            {"object": "error", "message": "bad id", "type": "invalid_function_call", "code": 3280}, 400
        )
    if "stream_options" in body:
        return replies.json({"detail": [{"loc": ["body", "stream_options"], "type": "extra_forbidden"}]}, 422)
    if body.get("response_format"):
        return wire.answer(json.dumps(JSON), model=MODEL, usage=USAGE)
    name, arguments = CALL
    if any(message["role"] == "tool" for message in body["messages"]):
        return say(body, [{"content": piece} for piece in TEXT], "stop")
    call = {"index": 0, "id": "D681PevKs", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return say(body, [{"content": THOUGHT}, {"content": "", "tool_calls": [call]}], "tool_calls")


def say(body: dict[str, Any], deltas: list[dict[str, Any]], finish: str) -> Reply:
    if not body.get("stream"):
        message: dict[str, Any] = {name: value for delta in deltas for name, value in delta.items()}
        message["content"] = "".join(TEXT) if finish == "stop" else THOUGHT
        return replies.json(wire.completion(None, model=MODEL, usage=USAGE, finish=finish, message=message))
    chunks = [json.loads(wire.delta_chunk({"role": "assistant", "content": ""}, model=MODEL))]
    chunks += [json.loads(wire.delta_chunk(delta, model=MODEL)) for delta in deltas]
    last = json.loads(wire.delta_chunk({"content": ""}, finish=finish, model=MODEL))
    return replies.sse(*chunks, last | {"usage": USAGE}, wire.DONE)


upstream = an_upstream(reply)
gateway = a_gateway(
    lambda url: {
        "providers": {"chat": {"type": "mistral", "base_url": f"{url}/v1", "keys": ["mi-1"], "models": [MODEL]}}
    }
)


@pytest.mark.parametrize("stream", [False, True])
@proves("mistral", "image", "tools", "tool round trip", "tool stream", "usage")
async def test_a_conversation_with_an_image_and_a_tool(gateway: Gateway, upstream: Upstream, stream: bool) -> None:
    held = await talk(gateway, stream=stream, seed=7, max_completion_tokens=100)
    assert (held.asked.choices[0].message.model_extra or {})["reasoning_content"] == "Hm."
    assert held.said.usage is not None
    assert held.said.usage.prompt_tokens_details is not None
    assert held.said.usage.prompt_tokens_details.cached_tokens == 64
    first, second = upstream.requests
    assert first.path == second.path == "/v1/chat/completions"
    assert first.headers["authorization"] == "Bearer mi-1"
    assert (first.json["random_seed"], first.json["max_tokens"]) == (7, 100)
    system, user = first.json["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    result = {"role": "tool", "tool_call_id": "D681PevKs", "name": "get_weather", "content": RESULT}
    assert second.json["messages"][-1] == result


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_began_elsewhere_goes_on_here(
    gateway: Gateway, upstream: Upstream, stream: bool
) -> None:
    calls = [{"id": FOREIGN, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": calls},
        {"role": "tool", "tool_call_id": FOREIGN, "content": RESULT},
        {"role": "user", "content": "And?", "name": "Ann"},
    ]
    if stream:
        status, _, text = await gateway.stream({"messages": messages})
        assert text.endswith("data: [DONE]\n\n")
    else:
        status, headers, body = await gateway.chat({"messages": messages})
        assert body["choices"][0]["message"]["content"] == "".join(TEXT)
        assert headers["x-cortex-warning"] == "dropped=messages.name"
    assert status == 200
    sent = upstream.requests[0].json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] != FOREIGN


@proves("mistral", "JSON schema")
async def test_an_answer_to_a_schema(gateway: Gateway, upstream: Upstream) -> None:
    assert (await structured(gateway)).model_dump() == JSON
    assert upstream.requests[0].json["response_format"]["json_schema"]["schema"]["required"] == ["city", "celsius"]


@proves("mistral", "embeddings")
async def test_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    async with client_of(gateway) as client:
        answer = await client.embeddings.create(model="chat", input="a", dimensions=2)
    assert answer.data[0].embedding == [1.0, -0.5]
    assert upstream.requests[0].json["output_dimension"] == 2
