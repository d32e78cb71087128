"""Anthropic's own client as the judge: it reads the goldens as Cortex does, and would send what Cortex sends."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec
import pytest
from anthropic.types import Message, message_create_params
from pydantic import TypeAdapter

from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from tests.support import upstream_replies as replies
from tests.support.forms import exhaust
from tests.support.told import Told, told
from tests.support.upstream import Script, Upstream
from tests.unit.providers.build import GOLDEN, chat_request

FOLDER = GOLDEN / "anthropic"
CODEC = codec_for("anthropic")
ASK: Any = {"model": "claude-haiku-5-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
REQUESTS = [case for case in msgspec.json.decode((FOLDER / "requests.json").read_bytes()) if "body" in case]
ERRORS = [case for case in msgspec.json.decode((FOLDER / "errors.json").read_bytes()) if isinstance(case["body"], dict)]
BASE = message_create_params.MessageCreateParamsBase
FORM = TypeAdapter[Any](message_create_params.MessageCreateParams)
SAMPLING = {"temperature", "top_p", "top_k"}  # the newest client does not know them any more


def client_of(upstream: Upstream) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="sk-ant-x", base_url=upstream.url, max_retries=0)


def read_by_the_client(message: Message) -> Told:
    usage = message.usage
    whole = Told(finish=FINISH[message.stop_reason or ""])
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    whole.tokens = (usage.input_tokens + cached, usage.output_tokens)
    for block in message.content:
        if block.type == "text":
            whole.text += block.text
            for citation in block.citations or ():
                url = getattr(citation, "url", None) or getattr(citation, "source", "")
                if url.startswith("https://"):
                    whole.cited.append((block.text, url, getattr(citation, "title", None) or ""))
        elif block.type == "thinking":
            whole.reasoning += block.thinking
        elif block.type == "tool_use":
            whole.calls.append((block.id, block.name, block.input))
    return whole


@pytest.mark.parametrize("pieces", [None, 7])
@pytest.mark.parametrize(
    "name", ["thinking_and_tools", "text", "parallel_calls", "refusal", "window_full", "paused", "citations"]
)
async def test_a_stream_is_read_alike(name: str, pieces: int | None) -> None:
    body = (FOLDER / f"{name}.stream").read_bytes()
    reply = replies.body(body, content_type="text/event-stream")
    async with Upstream(reply.in_pieces(pieces) if pieces else reply) as upstream, client_of(upstream) as client:
        async with client.messages.stream(**ASK) as stream:
            message = await stream.get_final_message()
        assert upstream.requests[0].path == "/v1/messages"
    assert read_by_the_client(message) == told(CODEC.chat_decoder(Encoded("/")).feed(body))


@pytest.mark.parametrize("name", ["text", "everything", "refusal", "citations"])
async def test_a_whole_answer_is_read_alike(name: str) -> None:
    body = (FOLDER / f"{name}.answer.json").read_bytes()
    async with (
        Upstream(replies.body(body, content_type="application/json")) as upstream,
        client_of(upstream) as client,
    ):
        message = await client.messages.create(**ASK)
    assert read_by_the_client(message) == told(CODEC.decode_chat(Encoded("/"), body))


@pytest.mark.parametrize("name", ["error_midway", "error_first"])
async def test_an_error_in_a_stream_is_one_for_both(name: str) -> None:
    body = (FOLDER / f"{name}.stream").read_bytes()
    async with (
        Upstream(replies.body(body, content_type="text/event-stream")) as upstream,
        client_of(upstream) as client,
    ):
        with pytest.raises(anthropic.APIStatusError):
            async for _ in await client.messages.create(**ASK, stream=True):
                pass


async def test_errors_are_errors_for_both() -> None:
    script: Script = [replies.json(case["body"], status=case["status"]) for case in ERRORS]
    async with Upstream(script) as upstream, client_of(upstream) as client:
        for case in ERRORS:
            with pytest.raises(anthropic.APIStatusError) as caught:
                await client.messages.create(**ASK)
            assert caught.value.status_code == case["status"]
            assert caught.value.body == case["body"]


async def test_the_probe_is_the_clients_list_of_models() -> None:
    body = (FOLDER / "models.json").read_bytes()
    async with (
        Upstream(replies.body(body, content_type="application/json")) as upstream,
        client_of(upstream) as client,
    ):
        (model,) = [each async for each in client.models.list(limit=1)]
        assert upstream.requests[0].path == CODEC.probe().path
    assert model.id == "claude-haiku-5-5"


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case["case"])
def test_requests_are_of_the_clients_form(case: dict[str, Any]) -> None:
    body = case["body"]
    known = {*BASE.__annotations__, "stream"}
    assert body.keys() <= known | SAMPLING
    exhaust(FORM.validate_python({"stream": False} | {name: body[name] for name in body if name in known}))


def test_under_the_newest_version_no_request_has_what_the_client_lacks() -> None:
    codec = type(CODEC)("2026-10-21")  # type: ignore[call-arg]
    for case in REQUESTS:
        client = case["client"]
        body = (GOLDEN / client).read_bytes() if isinstance(client, str) else msgspec.json.encode(client)
        call = codec.encode_chat(chat_request(body), Model(case.get("model", "the-model")))
        assert call.headers == {"anthropic-version": "2026-10-21"}
        assert not SAMPLING & msgspec.json.decode(call.body).keys()
