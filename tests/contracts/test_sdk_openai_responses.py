"""OpenAI's official SDK as the judge of what we take the wire of its Responses API to be.

It reads the transcripts that our decoder is tested with and must find the same in them; it takes our requests for its
own types; and where both are asked for the same, both send the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from cortex.chat import Broken, Delta, Event, Finish, Usage
from cortex.errors import Fault
from cortex.providers.codec import Model
from tests.support import upstream_replies as replies
from tests.support.upstream import Upstream
from tests.unit.providers.build import GOLDEN, chat_request, golden_call, golden_codec, outcome

WIRE = "openai_responses"
CODEC, CALL, FOLDER = golden_codec(WIRE), golden_call(WIRE), GOLDEN / WIRE
KEY = "sk-test"
ENDINGS = ("response.completed", "response.incomplete")
# What is no answer at all the SDK refuses in ways of its own, or takes as it is.
OURS_ALONE = {
    "not_json.stream",
    "marker_without_a_response.stream",
    "html.answer.json",
    "null.answer.json",
    "no_output.answer.json",
    "odd_content.answer.json",
    "chat.answer.json",
    "error.answer.json",
}


def files(ending: str) -> list[str]:
    return sorted(path.name for path in FOLDER.glob(f"*{ending}") if path.name not in OURS_ALONE)


async def with_sdk(upstream: Upstream, work: Callable[[openai.OpenAI], Any]) -> Any:
    """What the synchronous client makes of the upstream, in a thread of its own."""

    def run() -> Any:
        with openai.OpenAI(base_url=f"{upstream.url}/v1", api_key=KEY, max_retries=0) as client:
            return work(client)

    return await asyncio.to_thread(run)


def check(events: list[Event], response: Response) -> None:
    deltas = [event for event in events if isinstance(event, Delta)]
    items = [item for item in response.output if item.type == "message"]
    parts = [part for item in items for part in item.content]
    assert "".join(delta.content for delta in deltas) == response.output_text
    assert "".join(delta.refusal for delta in deltas) == "".join(
        each.refusal for each in parts if each.type == "refusal"
    )
    thoughts = [each.text for item in response.output if item.type == "reasoning" for each in item.summary]
    assert "".join(delta.reasoning for delta in deltas) == "\n\n".join(thoughts)
    calls: dict[int, list[str]] = {}
    for piece in (piece for delta in deltas for piece in delta.tool_calls):
        call = calls.setdefault(piece.index, [piece.id or "", piece.name or "", ""])
        call[2] += piece.arguments
    theirs = [[each.call_id, each.name, each.arguments] for each in response.output if each.type == "function_call"]
    assert list(calls.values()) == theirs
    cited = [each for part in parts if part.type == "output_text" for each in part.annotations]
    urls = [each.url for each in cited if each.type == "url_citation"]
    assert [each["url_citation"]["url"] for delta in deltas for each in delta.annotations] == urls
    tokens = [each for part in parts if part.type == "output_text" for each in part.logprobs or []]
    ours = [token for delta in deltas if delta.logprobs for token in delta.logprobs["content"]]
    assert [token["logprob"] for token in ours] == [token.logprob for token in tokens]
    details = response.incomplete_details
    reason = {"content_filter": "content_filter", "max_output_tokens": "length"}.get((details and details.reason) or "")
    assert [event.reason for event in events if isinstance(event, Finish)] == [
        reason or ("tool_calls" if theirs else "stop")
    ]
    totals = [event.total_tokens for event in events if isinstance(event, Usage)]
    assert totals == ([response.usage.total_tokens] if response.usage else [])


@pytest.mark.parametrize("name", files(".stream"))
async def test_streams(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    decoder = CODEC.chat_decoder(CALL)
    events = decoder.feed(body) + decoder.end()

    def read(client: openai.OpenAI) -> list[Any] | openai.APIError:
        try:
            with client.responses.create(model="m", input="hi", stream=True) as stream:
                return list(stream)
        except openai.APIError as error:
            return error

    async with Upstream(replies.stream(body, content_type="text/event-stream").in_pieces(7)) as upstream:
        told = await with_sdk(upstream, read)
    if not isinstance(events[-1], Broken):
        assert told[-1].type in ENDINGS
        check(events, told[-1].response)
    elif isinstance(told, list):
        assert name == "cut_call.stream" or told[-1].type not in ENDINGS, "the SDK takes this for an answer"


@pytest.mark.parametrize("name", ["text_and_a_call.stream", "reasoning.stream", "parallel_calls.stream"])
async def test_streams_through_the_helper(name: str) -> None:
    """It puts the pieces together itself, and minds their order and indices."""
    body = (FOLDER / name).read_bytes()
    decoder = CODEC.chat_decoder(CALL)

    def read(client: openai.OpenAI) -> Any:
        with client.responses.stream(model="m", input="hi") as stream:
            return stream.get_final_response()

    async with Upstream(replies.stream(body, content_type="text/event-stream")) as upstream:
        check(decoder.feed(body) + decoder.end(), await with_sdk(upstream, read))


@pytest.mark.parametrize("name", files(".answer.json"))
async def test_whole_answers(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    events = outcome(lambda: CODEC.decode_chat(CALL, body))
    async with Upstream(replies.body(body, content_type="application/json")) as upstream:
        told = await with_sdk(upstream, lambda client: client.responses.create(model="m", input="hi"))
    if isinstance(events, Fault):
        assert told.status not in ("completed", "incomplete"), "the SDK takes this for an answer"
    else:
        check(events, told)


def requests() -> list[Any]:
    cases = json.loads((FOLDER / "requests.json").read_bytes())
    return [pytest.param(case["body"], id=case["case"]) for case in cases if "body" in case]


@pytest.mark.parametrize("body", requests())
def test_requests_are_of_its_types(body: dict[str, Any]) -> None:
    assert body.keys() <= ResponseCreateParamsNonStreaming.__annotations__.keys() | _inherited()
    TypeAdapter(ResponseCreateParamsNonStreaming).validate_python(body | {"stream": False})


def _inherited() -> set[str]:
    return {name for base in ResponseCreateParamsNonStreaming.__orig_bases__ for name in base.__annotations__}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
URL = "data:image/png;base64,iVBORw0KGgo="


async def test_both_send_the_same() -> None:
    both: Any = {"parallel_tool_calls": False, "metadata": {"a": "b"}, "user": "u", "stream": True}
    called = {"name": "f", "arguments": '{"city":"Oslo"}'}

    def ask(client: openai.OpenAI) -> None:
        members: Any = {
            "input": [
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Weather here?"},
                        {"type": "input_image", "image_url": URL, "detail": "low"},
                    ],
                },
                {"role": "assistant", "content": "Let me look."},
                {"type": "function_call", "call_id": "a", **called},
                {"type": "function_call_output", "call_id": "a", "output": "4 C"},
            ],
            "max_output_tokens": 50,
            "reasoning": {"effort": "low"},
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": False}],
            "tool_choice": {"type": "function", "name": "f"},
            "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}},
            "include": ["message.output_text.logprobs"],
            "top_logprobs": 2,
            "store": False,
        }
        client.responses.create(model="gpt-6-luna", **both, **members).close()

    body = (FOLDER / "reasoning.stream").read_bytes()
    async with Upstream(replies.stream(body, content_type="text/event-stream")) as upstream:
        await with_sdk(upstream, ask)
    (theirs,) = upstream.requests
    shown = {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}
    request = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Weather here?"}, shown]},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [{"id": "a", "type": "function", "function": called}],
            },
            {"role": "tool", "tool_call_id": "a", "content": "4 C"},
        ],
        "max_completion_tokens": 50,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
        "logprobs": True,
        "top_logprobs": 2,
    }
    ours = CODEC.encode_chat(chat_request(json.dumps(both | request).encode()), Model("gpt-6-luna"))
    assert (theirs.method, theirs.path) == (ours.method, "/v1" + ours.path)
    assert theirs.json == json.loads(ours.body)
    assert ours.dropped == ()
