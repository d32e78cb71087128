"""OpenAI's dialect: requests in, answers and errors out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from cortex.chat import Delta, End, Event, Finish, Start, ToolCallDelta, Usage
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import ClientError, Fault
from tests.support.chunks import DONE, chat_request, provenance

DIALECT = OpenAIDialect()
START = Start("chatcmpl-7", "gpt", 1764000000, {"system_fingerprint": "fp_1", "model": "not this"})
HEAD = {
    "id": "chatcmpl-7",
    "object": "chat.completion.chunk",
    "created": 1764000000,
    "model": "gpt",
    "system_fingerprint": "fp_1",
}


def parse(**members: Any) -> Any:
    return DIALECT.parse(json.dumps({"messages": [{"role": "user"}], **members}).encode())


def chunks(*events: Event, include_usage: bool = False) -> list[dict[str, Any]]:
    """The chunks of one stream without `[DONE]`, each checked against the SDK's type."""
    request = chat_request(include_usage=include_usage)
    out = DIALECT.stream_renderer(request, provenance()).render(events)
    frames = out.removesuffix(DONE).split(b"\n\n")
    assert frames.pop() == b""
    assert all(frame.startswith(b"data: {") and b"\n" not in frame for frame in frames)
    decoded = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    for value in decoded:
        ChatCompletionChunk.model_validate(value, strict=True)
    return decoded


def deltas(*events: Event) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(*events)]


def answer(*events: Event) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(DIALECT.render_answer(chat_request(), [*events, End()], provenance()))
    ChatCompletion.model_validate(out, strict=True)
    return out


def test_parse_reads_what_cortex_needs() -> None:
    request = parse(model="auto", stream=True, stream_options={"include_usage": True, "x": 1}, temperature=0.5)
    assert (request.model, request.stream, request.include_usage, request.provider) == ("auto", True, True, None)
    assert list(request.members) == ["messages", "model", "stream", "stream_options", "temperature"]


@pytest.mark.parametrize("nothing", [{}, {"model": None, "stream": None, "stream_options": None}])
def test_null_is_absent(nothing: dict[str, None]) -> None:
    request = parse(**nothing)
    assert (request.model, request.stream, request.include_usage) == (None, False, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 7),
        ("model", ["auto"]),
        ("stream", 1),
        ("stream", "true"),
        ("stream_options", True),
        ("stream_options", {"include_usage": 1}),
    ],
)
def test_parse_refuses_the_wrong_type(name: str, value: object) -> None:
    with pytest.raises(Fault) as caught:
        parse(**{name: value})
    assert caught.value.param == name
    assert caught.value.status == 400


def test_a_chunk_has_the_answers_head() -> None:
    told = chunks(START, Delta(content="a"), Delta(content='b"\n'), Delta(content="c", choice=1))
    assert all({name: value for name, value in chunk.items() if name != "choices"} == HEAD for chunk in told)
    assert [chunk["choices"] for chunk in told] == [
        [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}],
        [{"index": 0, "delta": {"content": 'b"\n'}, "finish_reason": None}],
        [{"index": 1, "delta": {"role": "assistant", "content": "c"}, "finish_reason": None}],
    ]


def test_a_head_that_no_upstream_tells_is_made_up() -> None:
    (chunk,) = chunks(Start("", "", 0), Delta(content="a"))
    assert chunk["id"] == "chatcmpl-req_0123456789abcdef01234567"
    assert chunk["model"] == "groq/openai/gpt-oss-20b"
    assert chunk["created"] == 1764000001
    assert chunks(Delta(content="a"))[0]["id"] == chunk["id"]


def test_reasoning_refusal_and_logprobs() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]}
    told = chunks(START, Delta(reasoning="hm"), Delta(refusal="no"), Delta(content="a", logprobs=logprobs))
    assert [chunk["choices"][0]["delta"] for chunk in told] == [
        {"role": "assistant", "content": "", "reasoning_content": "hm"},
        {"refusal": "no"},
        {"content": "a"},
    ]
    assert told[2]["choices"][0]["logprobs"] == logprobs


def test_an_empty_delta_says_nothing_once_the_role_is_told() -> None:
    assert deltas(START, Delta(), Delta(), Delta(content="a")) == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
    ]


def test_a_tool_call_tells_id_and_name_once() -> None:
    assert deltas(
        START,
        Delta(tool_calls=(ToolCallDelta(0, "", "call_a", "f"),)),
        Delta(tool_calls=(ToolCallDelta(0, '{"a":', "call_a", "f"),)),
        Delta(tool_calls=(ToolCallDelta(0, "1}"), ToolCallDelta(1, "{}", None, None))),
        Delta(tool_calls=(ToolCallDelta(1, "", None, "late"),)),
        Delta(tool_calls=(ToolCallDelta(0, "", "call_c", "g"),), choice=1),
    ) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": "1}"}},
                {
                    "index": 1,
                    "id": "call_req_0123456789abcdef01234567_0_1",
                    "type": "function",
                    "function": {"name": "", "arguments": "{}"},
                },
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"name": "late", "arguments": ""}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "call_c", "type": "function", "function": {"name": "g", "arguments": ""}}
            ],
        },
    ]


def test_a_choice_finishes_once_with_an_empty_delta() -> None:
    told = chunks(START, Delta(content="a"), Finish("stop"), Finish("stop"), Finish("length", 1))
    assert [chunk["choices"][0] for chunk in told[1:]] == [
        {"index": 0, "delta": {}, "finish_reason": "stop"},
        {"index": 1, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 1, "delta": {}, "finish_reason": "length"},
    ]


def test_usage_has_a_chunk_of_its_own_at_the_end_if_asked_for() -> None:
    events = [START, Delta(content="a"), Usage(9, 4, 3, 2, 1), Finish("stop"), End()]
    *others, last = chunks(*events, include_usage=True)
    assert all(chunk["choices"] and "usage" not in chunk for chunk in others)
    assert last == {
        **HEAD,
        "choices": [],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }
    assert all(chunk["choices"] for chunk in chunks(*events))


def test_done_comes_last_and_only_at_the_end() -> None:
    renderer = DIALECT.stream_renderer(chat_request(), provenance())
    assert DONE not in renderer.render([START, Delta(content="a"), Finish("stop")])
    assert renderer.render([Usage(1, 1), End()]) == DONE


def test_a_json_answer() -> None:
    told = answer(START, Delta(content="Hé"), Delta(content="llo", reasoning="hm"), Finish("stop"), Usage(9, 4))
    assert told == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Héllo", "refusal": None, "reasoning_content": "hm"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_a_json_answer_of_tool_calls_has_null_content() -> None:
    pieces = (ToolCallDelta(1, "{}", "call_b", "g"), ToolCallDelta(0, '{"a":', "call_a", "f"))
    told = answer(START, Delta(tool_calls=pieces), Delta(tool_calls=(ToolCallDelta(0, "1}"),)), Finish("tool_calls"))
    message = told["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_a_json_answer_of_several_choices() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    told = answer(
        START,
        Delta(content="b", choice=1, logprobs={"content": [token]}),
        Delta(refusal="no"),
        Delta(content="c", choice=1, logprobs={"content": [token], "refusal": None}),
        Finish("length", 1),
        Finish("stop"),
    )
    first, second = told["choices"]
    assert (first["message"]["content"], first["message"]["refusal"]) == (None, "no")
    assert (second["message"]["content"], second["finish_reason"]) == ("bc", "length")
    assert second["logprobs"] == {"content": [token, token], "refusal": None}


def test_an_empty_json_answer_has_empty_content() -> None:
    assert answer(START, Finish("stop"))["choices"][0]["message"]["content"] == ""


def test_errors() -> None:
    error = ClientError(429, "busy", "rate_limit_error", "rate_limit_exceeded", retry_after_s=30.0, wait_s=95.5)
    told = {
        "message": "busy",
        "type": "rate_limit_error",
        "code": "rate_limit_exceeded",
        "param": None,
        "request_id": "req_1",
        "retry_after_s": 95.5,
    }
    assert json.loads(DIALECT.render_error(error, "req_1")) == {"error": told}
    attempts: tuple[dict[str, object], ...] = ({"target": "groq/x", "kind": "timeout"},)
    cut = ClientError(502, "cut", "server_error", "broken", "messages", attempts=attempts)
    frame = DIALECT.render_stream_error(cut, "req_1")
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"}\n\n")
    assert json.loads(frame.removeprefix(b"data: ")) == {
        "error": {
            "message": "cut",
            "type": "server_error",
            "code": "broken",
            "param": "messages",
            "request_id": "req_1",
            "attempts": [{"target": "groq/x", "kind": "timeout"}],
        }
    }


def test_what_the_upstream_wants_to_see_again_goes_with_the_first_piece_of_its_call() -> None:
    extra = {"google": {"thought_signature": "RXFRQg=="}}
    opening = ToolCallDelta(0, "{", "a", "f", extra)
    events = (
        START,
        Delta(tool_calls=(opening, ToolCallDelta(1, "{}", "b", "g"))),
        Delta(tool_calls=(ToolCallDelta(0, "}"),)),
    )
    first, second, third = [call for delta in deltas(*events) for call in delta["tool_calls"]]
    assert first["extra_content"] == extra
    assert "extra_content" not in second
    assert third == {"index": 0, "function": {"arguments": "}"}}
    calls = answer(*events, Finish("tool_calls"))["choices"][0]["message"]["tool_calls"]
    assert [call.get("extra_content") for call in calls] == [extra, None]
