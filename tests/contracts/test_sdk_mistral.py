"""Mistral's own client as the judge: it reads the goldens as Cortex does, and would send what Cortex sends."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from mistralai.client import Mistral, errors
from mistralai.client.models import ChatCompletionRequest, EmbeddingRequest, TextChunk, ThinkChunk

from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.openai_wire import finish_reason
from tests.support import upstream_replies as replies
from tests.support.told import Told, told
from tests.support.upstream import Script, Upstream
from tests.unit.providers.build import GOLDEN, embeddings_request

FOLDER = GOLDEN / "mistral"
CODEC = codec_for("mistral")
ASK: Any = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hi"}]}
ERRORS = [case for case in msgspec.json.decode((FOLDER / "errors.json").read_bytes()) if isinstance(case["body"], dict)]


def bodies(name: str) -> list[dict[str, Any]]:
    return [case for case in msgspec.json.decode((FOLDER / name).read_bytes()) if "body" in case]


def client_of(upstream: Upstream) -> Mistral:
    return Mistral(api_key="mi-x", server_url=upstream.url)


def take(whole: Told, said: Any) -> None:
    """A message, or a delta: Mistral sends calls whole."""
    content = said.content or ""
    if isinstance(content, str):
        whole.text += content
    else:
        for chunk in content:
            if isinstance(chunk, TextChunk):
                whole.text += chunk.text
            elif isinstance(chunk, ThinkChunk):
                whole.reasoning += "".join(each.text for each in chunk.thinking if isinstance(each, TextChunk))
    for call in said.tool_calls or ():
        given = call.function.arguments
        whole.calls.append((call.id, call.function.name, json.loads(given) if isinstance(given, str) else given))


def end(whole: Told, word: str | None, usage: Any) -> None:
    if word:
        whole.finish = finish_reason(word, called=bool(whole.calls))
    if usage is not None:
        whole.tokens = (usage.prompt_tokens, usage.completion_tokens)


@pytest.mark.parametrize("pieces", [None, 7])
@pytest.mark.parametrize("name", ["tools", "text"])
async def test_a_stream_is_read_alike(name: str, pieces: int | None) -> None:
    body = (FOLDER / f"{name}.stream").read_bytes()
    reply = replies.body(body, content_type="text/event-stream")
    whole = Told()
    async with Upstream(reply.in_pieces(pieces) if pieces else reply) as upstream, client_of(upstream) as client:
        async with await client.chat.stream_async(**ASK) as events:
            async for event in events:
                for choice in event.data.choices:
                    take(whole, choice.delta)
                    end(whole, choice.finish_reason, event.data.usage)
        assert upstream.requests[0].path == "/v1/chat/completions"
    assert whole == told(CODEC.chat_decoder(Encoded("/")).feed(body))


@pytest.mark.parametrize("name", ["thinking", "arguments_as_an_object"])
async def test_a_whole_answer_is_read_alike(name: str) -> None:
    body = (FOLDER / f"{name}.answer.json").read_bytes()
    async with (
        Upstream(replies.body(body, content_type="application/json")) as upstream,
        client_of(upstream) as client,
    ):
        answer = await client.chat.complete_async(**ASK)
    whole = Told()
    take(whole, answer.choices[0].message)
    end(whole, answer.choices[0].finish_reason, answer.usage)
    assert whole == told(CODEC.decode_chat(Encoded("/"), body))


async def test_errors_are_errors_for_both() -> None:
    script: Script = [replies.json(case["body"], status=case["status"]) for case in ERRORS]
    async with Upstream(script) as upstream, client_of(upstream) as client:
        for case in ERRORS:
            with pytest.raises(errors.MistralError) as caught:
                await client.chat.complete_async(**ASK)
            assert caught.value.status_code == case["status"]
            assert json.loads(caught.value.body) == case["body"]


EMBEDDINGS = {
    "id": "embd-1",
    "object": "list",
    "model": "mistral-embed",
    "data": [{"object": "embedding", "embedding": [1.0, -0.5], "index": 0}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2, "completion_tokens": 0},
}
MODELS = {
    "object": "list",
    "data": [
        {
            "id": "mistral-small-latest",
            "object": "model",
            "created": 1,
            "owned_by": "mistralai",
            "capabilities": {"completion_chat": True, "function_calling": True},
            "max_context_length": 262_144,
            "aliases": [],
            "type": "base",
        }
    ],
}


async def test_embeddings_and_models_are_where_the_client_asks() -> None:
    script: Script = [replies.json(EMBEDDINGS), replies.json(MODELS)]
    async with Upstream(script) as upstream, client_of(upstream) as client:
        answer = await client.embeddings.create_async(model="mistral-embed", inputs=["a"], output_dimension=2)
        call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a"],"dimensions":2}'), Model("mistral-embed"))
        asked = upstream.requests[0]
        assert asked.path == f"/v1{call.path}"
        assert asked.json.items() >= msgspec.json.decode(call.body).items()
        assert answer.data[0].embedding == [1.0, -0.5]
        assert CODEC.decode_embeddings(call, msgspec.json.encode(EMBEDDINGS)).vectors == [[1.0, -0.5]]
        await client.models.list_async()
        assert upstream.requests[1].path == f"/v1{CODEC.probe().path}"


@pytest.mark.parametrize("case", bodies("requests.json"), ids=lambda case: case["case"])
def test_requests_are_of_the_clients_form(case: dict[str, Any]) -> None:
    body = {"model": "m"} | case["body"]
    assert body.keys() <= ChatCompletionRequest.model_fields.keys()
    ChatCompletionRequest.model_validate(body)


@pytest.mark.parametrize("case", bodies("embeddings.json"), ids=lambda case: case["case"])
def test_embeddings_requests_are_of_the_clients_form(case: dict[str, Any]) -> None:
    known = {field.alias or name for name, field in EmbeddingRequest.model_fields.items()}
    assert case["body"].keys() <= known
    EmbeddingRequest.model_validate(case["body"])
