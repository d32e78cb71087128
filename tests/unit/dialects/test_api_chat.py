"""The /api/chat dialect: requests in, answers and errors out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cortex.chat import ChatRequest, Delta, End, Finish, Start, ToolCallDelta, Usage
from cortex.dialects.api_chat import ApiChatDialect
from cortex.errors import ClientError, Fault
from tests.support.chunks import chat_request, provenance

DIALECT = ApiChatDialect()
START = Start("chatcmpl-7", "gpt", 1764000000)
USAGE = Usage(9, 4)
CALLS = [
    {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
    {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
]


def parse(**members: Any) -> ChatRequest:
    return DIALECT.parse(json.dumps({"messages": [{"role": "user"}], **members}).encode())


def frames(out: bytes) -> list[tuple[str | None, Any]]:
    told = []
    for frame in out.removesuffix(b"\n\n").split(b"\n\n"):
        lines = frame.decode().split("\n")
        event = lines.pop(0).removeprefix("event: ") if lines[0].startswith("event: ") else None
        (data,) = lines
        told.append((event, json.loads(data.removeprefix("data: "))))
    return told


def test_it_streams_unless_told_otherwise_and_says_so_upstream() -> None:
    for members, stream in (({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)):
        request = parse(**members)
        assert request.stream is stream
        assert request.body["stream"] is stream
        assert request.include_usage


def test_a_provider_is_pinned_and_not_passed_on() -> None:
    request = parse(provider="groq", model="openai/gpt-oss-20b", temperature=0.5, max_tokens=9)
    assert (request.provider, request.model) == ("groq", "openai/gpt-oss-20b")
    assert list(request.members) == ["messages", "model", "temperature", "max_tokens", "stream"]
    assert parse(provider=None).provider is None
    assert "provider" not in parse(provider=None).members


@pytest.mark.parametrize(
    ("name", "value"),
    [("provider", 7), ("provider", {"order": []}), ("stream", "no"), ("model", 1), ("n", 2), ("n", "1")],
)
def test_parse_refuses(name: str, value: object) -> None:
    with pytest.raises(Fault) as caught:
        parse(**{name: value})
    assert caught.value.param == name
    assert caught.value.status == 400


def test_one_choice_may_be_asked_for() -> None:
    assert parse(n=1).body["n"] == 1


def test_a_stream() -> None:
    renderer = DIALECT.stream_renderer(chat_request(), provenance())
    assert renderer.render([START, Delta()]) == b""
    assert renderer.render([Delta(content='H"é')]) == 'data: {"content":"H\\"é"}\n\n'.encode()
    out = renderer.render([Delta(reasoning="hm"), Delta(refusal="no"), Delta(content="a", reasoning="b")])
    assert frames(out) == [
        (None, {"reasoning": "hm"}),
        (None, {"refusal": "no"}),
        (None, {"content": "a", "reasoning": "b"}),
    ]
    assert frames(renderer.render([Delta(content="a", logprobs={"content": []})])) == [
        (None, {"content": "a", "logprobs": {"content": []}})
    ]
    assert renderer.render([Delta(content="other", choice=1), Finish("length", 1)]) == b""
    assert renderer.render([Finish("stop"), USAGE]) == b""
    assert frames(renderer.render([End()])) == [
        (
            "done",
            {
                "done": True,
                "finish_reason": "stop",
                "model": "groq/openai/gpt-oss-20b",
                "usage": USAGE.as_json(),
                "request_id": "req_0123456789abcdef01234567",
                "route": "auto>coder",
                "attempts": [{"target": "groq/openai/gpt-oss-20b", "key": "groq#1", "status": 200, "kind": "ok"}],
            },
        )
    ]


def test_tool_calls_are_told_whole_and_once() -> None:
    renderer = DIALECT.stream_renderer(chat_request(), provenance())
    pieces = [ToolCallDelta(0, "", "call_a", "f"), ToolCallDelta(0, '{"a":'), ToolCallDelta(1, "{}", "call_b", "g")]
    for piece in pieces:
        assert renderer.render([Delta(tool_calls=(piece,))]) == b""
    assert renderer.render([Delta(content="so", tool_calls=(ToolCallDelta(0, "1}"),))]) == b'data: {"content":"so"}\n\n'
    (calls, done) = frames(renderer.render([Finish("tool_calls"), USAGE, End()]))
    assert calls == (None, {"tool_calls": CALLS})
    assert done[0] == "done"
    assert done[1]["finish_reason"] == "tool_calls"


def test_a_json_answer() -> None:
    pieces = (ToolCallDelta(0, '{"a":1}', "call_a", "f"), ToolCallDelta(1, "{}", "call_b", "g"))
    events = [START, Delta("a", "hm", "", pieces), Delta("other", choice=1), Finish("tool_calls"), USAGE, End()]
    assert json.loads(DIALECT.render_answer(chat_request(), events, provenance())) == {
        "content": "a",
        "reasoning": "hm",
        "tool_calls": CALLS,
        "finish_reason": "tool_calls",
        "model": "groq/openai/gpt-oss-20b",
        "usage": USAGE.as_json(),
        "request_id": "req_0123456789abcdef01234567",
    }
    plain = [START, Delta(refusal="no", logprobs={"content": []}), Finish("stop"), End()]
    assert json.loads(DIALECT.render_answer(chat_request(), plain, provenance())) == {
        "content": "",
        "refusal": "no",
        "logprobs": {"content": []},
        "finish_reason": "stop",
        "model": "groq/openai/gpt-oss-20b",
        "usage": None,
        "request_id": "req_0123456789abcdef01234567",
    }


def test_errors() -> None:
    error = ClientError(502, "broken off", "server_error", "upstream_broken")
    (told,) = frames(DIALECT.render_stream_error(error, "req_1"))
    assert told[0] == "error"
    assert told[1] == json.loads(DIALECT.render_error(error, "req_1"))
    assert told[1]["error"]["request_id"] == "req_1"
    assert "retry_after_s" not in told[1]["error"]
