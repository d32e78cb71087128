"""Ollama's own client as the judge: it reads the goldens as Cortex does, and would send what Cortex sends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import ollama
import pytest
from ollama._types import ChatRequest, EmbedRequest

from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from tests.support import upstream_ollama as wire
from tests.support import upstream_replies as replies
from tests.support.told import Told, told
from tests.support.upstream import Script, Upstream
from tests.unit.providers.build import GOLDEN, embeddings_request

FOLDER = GOLDEN / "ollama"
CODEC = codec_for("ollama")
ASK: Any = {"model": "qwen3", "messages": [{"role": "user", "content": "Hi"}]}
SERVERS = {"truncate"}  # taken by the server's chat, not by the client's
ERRORS = [case for case in msgspec.json.decode((FOLDER / "errors.json").read_bytes()) if isinstance(case["body"], dict)]


def bodies(name: str) -> list[dict[str, Any]]:
    return [case for case in msgspec.json.decode((FOLDER / name).read_bytes()) if "body" in case]


def client_of(upstream: Upstream) -> ollama.AsyncClient:
    return ollama.AsyncClient(host=upstream.url)


def read_by_the_client(parts: Iterable[ollama.ChatResponse]) -> Told:
    whole = Told()
    for part in parts:
        whole.text += part.message.content or ""
        whole.reasoning += part.message.thinking or ""
        whole.calls += [("", call.function.name, call.function.arguments) for call in part.message.tool_calls or ()]
        if part.done:
            whole.finish = "tool_calls" if whole.calls else part.done_reason
            if part.prompt_eval_count is not None or part.eval_count is not None:
                whole.tokens = (part.prompt_eval_count or 0, part.eval_count or 0)
    return whole


def without_ids(whole: Told) -> Told:
    """The client does not tell the ids of calls."""
    whole.calls = [("", name, arguments) for _, name, arguments in whole.calls]
    return whole


@pytest.mark.parametrize("pieces", [None, 7])
@pytest.mark.parametrize("name", ["tools", "length"])
async def test_a_stream_is_read_alike(name: str, pieces: int | None) -> None:
    body = (FOLDER / f"{name}.stream").read_bytes()
    reply = replies.body(body, content_type="application/x-ndjson")
    async with Upstream(reply.in_pieces(pieces) if pieces else reply) as upstream, client_of(upstream) as client:
        parts = [part async for part in await client.chat(**ASK, stream=True)]
        assert upstream.requests[0].path == "/api/chat"
    assert read_by_the_client(parts) == without_ids(told(CODEC.chat_decoder(Encoded("/")).feed(body)))


@pytest.mark.parametrize("name", ["text", "tools"])
async def test_a_whole_answer_is_read_alike(name: str) -> None:
    body = (FOLDER / f"{name}.answer.json").read_bytes()
    async with Upstream(replies.body(body, content_type="application/json")) as upstream, client_of(upstream) as client:
        answer = await client.chat(**ASK)
    assert read_by_the_client([answer]) == without_ids(told(CODEC.decode_chat(Encoded("/"), body)))


async def test_an_error_in_a_stream_is_one_for_both() -> None:
    body = (FOLDER / "error_midway.stream").read_bytes()
    async with Upstream(replies.body(body, content_type="application/x-ndjson")) as upstream:
        async with client_of(upstream) as client:
            with pytest.raises(ollama.ResponseError):
                async for _ in await client.chat(**ASK, stream=True):
                    pass


async def test_errors_are_errors_for_both() -> None:
    script: Script = [replies.json(case["body"], status=case["status"]) for case in ERRORS]
    async with Upstream(script) as upstream, client_of(upstream) as client:
        for case in ERRORS:
            with pytest.raises(ollama.ResponseError) as caught:
                await client.chat(**ASK)
            assert (caught.value.status_code, caught.value.error) == (case["status"], case["body"]["error"])


async def test_embeddings_are_read_alike() -> None:
    vectors = [[1.0, -0.5], [0.25, 0.0]]
    async with Upstream(wire.embeddings(vectors)) as upstream, client_of(upstream) as client:
        answer = await client.embed(model="nomic", input=["a", "b"], truncate=False)
        call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), Model("nomic"))
        assert upstream.requests[0].path == call.path
        assert upstream.requests[0].json == msgspec.json.decode(call.body)
    read = CODEC.decode_embeddings(call, msgspec.json.encode(answer.model_dump(exclude_none=True)))
    assert [list(vector) for vector in answer.embeddings] == read.vectors == vectors
    assert read.usage is not None
    assert read.usage.prompt_tokens == answer.prompt_eval_count == 5


@pytest.mark.parametrize("case", bodies("requests.json"), ids=lambda case: case["case"])
def test_requests_are_of_the_clients_form(case: dict[str, Any]) -> None:
    body = case["body"]
    assert body.keys() <= ChatRequest.model_fields.keys() | SERVERS
    ChatRequest.model_validate(body)


@pytest.mark.parametrize("case", bodies("embeddings.json"), ids=lambda case: case["case"])
def test_embeddings_requests_are_of_the_clients_form(case: dict[str, Any]) -> None:
    assert case["body"].keys() <= EmbedRequest.model_fields.keys()
    EmbedRequest.model_validate(case["body"])
