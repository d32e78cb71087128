"""Groq's own client as the judge: it reads the goldens as Cortex does, and would send what Cortex sends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, get_type_hints

import groq
import msgspec
import pytest
from groq.types.chat import ChatCompletion, completion_create_params
from pydantic import TypeAdapter

from cortex.providers import codec_for
from cortex.providers.codec import Encoded
from tests.support import upstream_openai as wire
from tests.support import upstream_replies as replies
from tests.support.forms import exhaust
from tests.support.told import Told, told
from tests.support.upstream import Script, Upstream
from tests.unit.providers.build import GOLDEN

FOLDER = GOLDEN / "groq"
CODEC = codec_for("groq")
ASK: Any = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "Hi"}]}
FORM = TypeAdapter[Any](completion_create_params.CompletionCreateParams)
KNOWN = get_type_hints(completion_create_params.CompletionCreateParams).keys()
OPENAIS = {"stream_options"}  # taken by the server, not yet by the client
REQUESTS = [case for case in msgspec.json.decode((FOLDER / "requests.json").read_bytes()) if "body" in case]
ERRORS = [case for case in msgspec.json.decode((FOLDER / "errors.json").read_bytes()) if isinstance(case["body"], dict)]


def client_of(upstream: Upstream) -> groq.AsyncGroq:
    return groq.AsyncGroq(api_key="gsk_x", base_url=upstream.url, max_retries=0)


def read_from_stream(chunks: Iterable[Any]) -> Told:
    whole = Told()
    arguments: dict[int, str] = {}
    for chunk in chunks:
        usage = chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None)
        if usage is not None:
            whole.tokens = (usage.prompt_tokens, usage.completion_tokens)
        for choice in chunk.choices:
            whole.text += choice.delta.content or ""
            whole.reasoning += choice.delta.reasoning or ""
            whole.finish = choice.finish_reason or whole.finish
            for call in choice.delta.tool_calls or ():
                if call.index not in arguments:
                    whole.calls.append((call.id, call.function.name, None))
                arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
    whole.calls = [(id, name, json.loads(arguments[n])) for n, (id, name, _) in enumerate(whole.calls)]
    return whole


def read_whole(answer: ChatCompletion) -> Told:
    (choice,) = answer.choices
    said = choice.message
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in said.tool_calls or ()]
    assert answer.usage is not None
    tokens = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    return Told(said.content or "", said.reasoning or "", calls, choice.finish_reason, tokens)


@pytest.mark.parametrize("pieces", [None, 7])
@pytest.mark.parametrize("name", ["reasoning", "tools"])
async def test_a_stream_is_read_alike(name: str, pieces: int | None) -> None:
    body = (FOLDER / f"{name}.stream").read_bytes()
    reply = replies.body(body, content_type="text/event-stream")
    async with Upstream(reply.in_pieces(pieces) if pieces else reply) as upstream, client_of(upstream) as client:
        chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
        assert upstream.requests[0].path == "/openai/v1/chat/completions"
    assert read_from_stream(chunks) == told(CODEC.chat_decoder(Encoded("/")).feed(body))


async def test_a_whole_answer_is_read_alike() -> None:
    body = (FOLDER / "text.answer.json").read_bytes()
    async with (
        Upstream(replies.body(body, content_type="application/json")) as upstream,
        client_of(upstream) as client,
    ):
        answer = await client.chat.completions.create(**ASK)
    assert read_whole(answer) == told(CODEC.decode_chat(Encoded("/"), body))


async def test_an_early_stop_is_in_the_last_chunk_for_both() -> None:
    body = (FOLDER / "stopped_early.stream").read_bytes()
    async with (
        Upstream(replies.body(body, content_type="text/event-stream")) as upstream,
        client_of(upstream) as client,
    ):
        chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
    assert chunks[-1].x_groq is not None
    assert chunks[-1].x_groq.error == "over capacity"


async def test_errors_are_errors_for_both() -> None:
    script: Script = [replies.json(case["body"], status=case["status"]) for case in ERRORS]
    async with Upstream(script) as upstream, client_of(upstream) as client:
        for case in ERRORS:
            with pytest.raises(groq.APIStatusError) as caught:
                await client.chat.completions.create(**ASK)
            assert (caught.value.status_code, caught.value.body) == (case["status"], case["body"])


async def test_embeddings_and_models_are_where_the_client_asks() -> None:
    async with Upstream([wire.embeddings([[1.0, -0.5]]), wire.models("m")]) as upstream, client_of(upstream) as client:
        answer = await client.embeddings.create(model="m", input="a")
        assert answer.data[0].embedding == [1.0, -0.5]
        assert (await client.models.list()).data[0].id == "m"
        assert [request.path for request in upstream.requests] == ["/openai/v1/embeddings", "/openai/v1/models"]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case["case"])
def test_requests_are_of_the_clients_form(case: dict[str, Any]) -> None:
    body = case["body"]
    assert body.keys() <= KNOWN | OPENAIS
    exhaust(FORM.validate_python({name: body[name] for name in body if name in KNOWN}))
