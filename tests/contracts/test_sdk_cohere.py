"""Cohere's official SDK as the judge of what we take its wire to be.

It reads the transcripts that our decoder is tested with and must find the same in them; it takes our requests for its
own types; and where both are asked for the same, both send the same.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterable
from typing import Any

import cohere
import httpx
import pytest
from cohere.base_client import BaseCohere
from cohere.core.api_error import ApiError
from cohere.v2.client import V2Client
from cohere.v2.types.v2chat_response import V2ChatResponse
from pydantic import BaseModel, TypeAdapter

from cortex.chat import Broken, Delta, Event, Finish, Usage
from cortex.errors import Fault
from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from tests.support import upstream_replies as replies
from tests.support.upstream import Upstream
from tests.unit.providers.build import GOLDEN, chat_request, embeddings_request, outcome

CODEC = codec_for("cohere")
CALL = Encoded("/v2/chat")
FOLDER = GOLDEN / "cohere"
KEY = "co-test"
HI: Any = [{"role": "user", "content": "Hi"}]
# What is no answer at all the SDK passes over, or refuses in ways of its own.
OURS_ALONE = {
    "not_json.stream",
    "error_first.stream",
    "html.answer.json",
    "null.answer.json",
    "error_body.answer.json",
    "no_message.answer.json",
    "no_finish.answer.json",
}
REASONS = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def files(ending: str) -> list[str]:
    return sorted(path.name for path in FOLDER.glob(f"*{ending}") if path.name not in OURS_ALONE)


async def with_sdk(upstream: Upstream, work: Callable[[cohere.ClientV2], Any]) -> Any:
    """What the synchronous client makes of the upstream, in a thread of its own."""

    def run() -> Any:
        with httpx.Client() as http:
            return work(cohere.ClientV2(api_key=KEY, base_url=upstream.url, httpx_client=http))

    return await asyncio.to_thread(run)


def of_events(events: Iterable[Any]) -> dict[str, Any]:
    """What the SDK finds in a stream, in the terms of ours."""
    told: dict[str, Any] = {"content": "", "reasoning": "", "calls": {}, "finish": None, "usage": None}
    for event in events:
        message = getattr(event.delta, "message", None) if getattr(event, "delta", None) else None
        match event.type:
            case "content-delta":
                told["content"] += message.content.text or ""
                told["reasoning"] += message.content.thinking or ""
            case "tool-plan-delta":
                told["content"] += message.tool_plan
            case "tool-call-start":
                call = message.tool_calls
                told["calls"][event.index] = [call.id, call.function.name, call.function.arguments]
            case "tool-call-delta":
                told["calls"][event.index][2] += message.tool_calls.function.arguments
            case "message-end":
                told["finish"], told["usage"] = event.delta.finish_reason, event.delta.usage
    return told | {"calls": list(told["calls"].values())}


def of_answer(answer: V2ChatResponse) -> dict[str, Any]:
    content = answer.message.content or []
    texts = [getattr(each, "text", "") for each in content]
    return {
        "content": (answer.message.tool_plan or "") + "".join(texts),
        "reasoning": "".join(getattr(each, "thinking", "") for each in content),
        "calls": [
            [call.id, call.function.name, call.function.arguments]
            for call in answer.message.tool_calls or []
            if call.function
        ],
        "finish": answer.finish_reason,
        "usage": answer.usage,
    }


def check(events: list[Event], told: dict[str, Any]) -> None:
    deltas = [event for event in events if isinstance(event, Delta)]
    assert "".join(delta.content for delta in deltas) == told["content"]
    assert "".join(delta.reasoning for delta in deltas) == told["reasoning"]
    calls: dict[int, list[str]] = {}
    for piece in (piece for delta in deltas for piece in delta.tool_calls):
        call = calls.setdefault(piece.index, [piece.id or "", piece.name or "", ""])
        call[2] += piece.arguments
    whole = told["finish"] != "MAX_TOKENS"
    for ours, theirs in zip(calls.values(), told["calls"], strict=True):
        # Where it says nothing, ours has an id and arguments all the same.
        assert ours == [theirs[0] or ours[0], theirs[1], theirs[2] or ("{}" if whole else "")]
    assert [event.reason for event in events if isinstance(event, Finish)] == [REASONS[told["finish"]]]
    totals = [event.total_tokens for event in events if isinstance(event, Usage)]
    counts = told["usage"] and (told["usage"].tokens or told["usage"].billed_units)
    assert totals == ([counts.input_tokens + counts.output_tokens] if counts else [])


@pytest.mark.parametrize("done", [b"", b"data: [DONE]\n\n"], ids=["", "and done"])
@pytest.mark.parametrize("name", files(".stream"))
async def test_streams(name: str, done: bytes) -> None:
    body = (FOLDER / name).read_bytes() + done
    decoder = CODEC.chat_decoder(CALL)
    events = decoder.feed(body) + decoder.end()
    reply = replies.stream(body, content_type="text/event-stream").in_pieces(7)
    async with Upstream(reply) as upstream:
        told = await with_sdk(upstream, lambda client: of_events(client.v2.chat_stream(model="m", messages=HI)))
    if not isinstance(events[-1], Broken):
        check(events, told)
    elif told["finish"] in REASONS:
        assert name in ("cut_call.stream", "marker_first.stream"), "the SDK takes this for an answer"


@pytest.mark.parametrize("name", files(".answer.json"))
async def test_whole_answers(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    events = outcome(lambda: CODEC.decode_chat(CALL, body))
    async with Upstream(replies.body(body, content_type="application/json")) as upstream:
        told = await with_sdk(upstream, lambda client: of_answer(client.v2.chat(model="m", messages=HI)))
    if isinstance(events, Fault):
        assert told["finish"] not in REASONS, "the SDK takes this for an answer"
    else:
        check(events, told)


def golden(name: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in json.loads((FOLDER / name).read_bytes())]


@pytest.mark.parametrize("case", [each for each in golden("errors.json") if isinstance(each.values[0]["body"], dict)])
async def test_errors(case: dict[str, Any]) -> None:
    def ask(client: cohere.ClientV2) -> ApiError:
        with pytest.raises(ApiError) as caught:
            client.v2.chat(model="m", messages=HI, request_options={"max_retries": 0})
        return caught.value

    async with Upstream(replies.json(case["body"], case["status"])) as upstream:
        error = await with_sdk(upstream, ask)
    body: Any = error.body
    fault = CODEC.classify(case["status"], {}, json.dumps(case["body"]).encode())
    assert (error.status_code, _message(body)) == (case["status"], fault.message)


def _message(body: Any) -> str:
    return str(body["message"] if isinstance(body, dict) else body.message)


@pytest.mark.parametrize("case", [each for each in golden("requests.json") if "body" in each.values[0]])
def test_requests_are_of_its_types(case: dict[str, Any]) -> None:
    body = dict(case["body"])
    forms = inspect.get_annotations(V2Client.chat_stream, eval_str=True)
    del body["stream"]  # two methods there
    assert body.keys() <= forms.keys()
    for name, value in body.items():
        assert not list(_unknown(TypeAdapter(forms[name]).validate_python(value))), name


def _unknown(value: Any) -> Iterable[str]:
    """Members that a model of the SDK does not know; it keeps them all the same."""
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            yield from _unknown(each)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
CALLED = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city":"Oslo"}'}}]


async def test_both_send_the_same() -> None:
    shown = [{"type": "text", "text": "Hi"}, IMAGE]
    both: Any = {"frequency_penalty": 0.5, "presence_penalty": 0.25, "seed": 7, "temperature": 0.5, "max_tokens": 50}
    both |= {"logprobs": True, "tools": [FUNCTION]}
    theirs_alone: Any = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": shown},
            {"role": "assistant", "tool_plan": "I will look.", "tool_calls": CALLED},
            {"role": "tool", "tool_call_id": "a", "content": "4 C"},
        ],
        "p": 0.5,
        "k": 40,
        "stop_sequences": ["END"],
        "tool_choice": "REQUIRED",
        "thinking": cohere.Thinking(type="enabled", token_budget=1024),
    }

    def ask(client: cohere.ClientV2) -> None:
        list(client.v2.chat_stream(model="command-a-plus-05-2026", **both, **theirs_alone))

    async with Upstream(replies.sse((FOLDER / "text.stream").read_bytes())) as upstream:
        await with_sdk(upstream, ask)
    (theirs,) = upstream.requests
    ours_alone = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": shown},
            {"role": "assistant", "content": "I will look.", "tool_calls": CALLED},
            {"role": "tool", "tool_call_id": "a", "content": "4 C"},
        ],
        "top_p": 0.5,
        "top_k": 40,
        "stop": "END",
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "reasoning_effort": "low",
        "stream": True,
    }
    ours = CODEC.encode_chat(chat_request(json.dumps(both | ours_alone).encode()), Model("command-a-plus-05-2026"))
    assert (theirs.method, theirs.path) == (ours.method, ours.path)
    assert theirs.headers["authorization"] == CODEC.auth(KEY)["authorization"]
    assert theirs.json == json.loads(ours.body)
    assert ours.dropped == ()


async def test_both_embed_the_same() -> None:
    body = b'{"id":"5","embeddings":{"float":[[0.1,0.2],[0.3,0.4]]},"texts":["a","b"],"meta":{"billed_units":'
    body += b'{"input_tokens":2}},"response_type":"embeddings_by_type"}'

    def ask(client: cohere.ClientV2) -> Any:
        return client.v2.embed(
            model="embed-v4.0",
            texts=["a", "b"],
            input_type="search_query",
            embedding_types=["float"],
            output_dimension=256,
            truncate="NONE",
        )

    async with Upstream(replies.body(body, content_type="application/json")) as upstream:
        told = await with_sdk(upstream, ask)
    (theirs,) = upstream.requests
    members = {"input": ["a", "b"], "input_type": "search_query", "dimensions": 256, "encoding_format": "base64"}
    ours = CODEC.encode_embeddings(embeddings_request(json.dumps(members).encode()), Model("embed-v4.0"))
    assert (theirs.method, theirs.path, theirs.json) == (ours.method, ours.path, json.loads(ours.body))
    embeddings = CODEC.decode_embeddings(ours, body)
    assert embeddings.vectors == told.embeddings.float_
    assert embeddings.usage == Usage(int(told.meta.billed_units.input_tokens), 0)


async def test_the_probe_is_its_own() -> None:
    async with Upstream(replies.json({"valid": True})) as upstream:
        assert (await with_sdk(upstream, BaseCohere.check_api_key)).valid
    (theirs,) = upstream.requests
    assert (theirs.method, theirs.path) == (CODEC.probe().method, CODEC.probe().path)
