"""OpenAI's Responses API behind chat completions: who goes there, and what its goldens cannot show."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cortex.chat import Delta, End, Event, Finish, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import CODECS, codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.openai_wire import read_usage
from cortex.providers.vendors import VENDORS
from tests.unit.providers.build import GOLDEN, chat_request

CODEC = codec_for("openai")
CALL = Encoded("/responses")
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def encoded(model: str, type_: str = "openai", **members: Any) -> Encoded:
    body = {"model": "alias", "messages": [{"role": "user", "content": "Hi"}], **members}
    return codec_for(type_).encode_chat(chat_request(msgspec.json.encode(body)), Model(model))


def goes_there(model: str, **members: Any) -> bool:
    return encoded(model, **members).path == "/responses"


def decoded(*frames: dict[str, Any]) -> list[Event]:
    body = b"".join(b"data: " + msgspec.json.encode(frame) + b"\n\n" for frame in frames)
    decoder = CODEC.chat_decoder(CALL)
    return decoder.feed(body) + decoder.end()


# model → whether it goes there: plain, with tools, with tools and an effort, with tools and told not to think
MODELS: dict[str, tuple[bool, bool, bool, bool]] = {
    "gpt-4.1": (False, False, False, False),
    "gpt-5.1": (False, False, False, False),
    "gpt-5-mini": (False, False, False, False),
    "o3": (False, False, False, False),
    "chat-latest": (False, False, False, False),
    "gpt-5.4": (False, False, True, False),
    "gpt-5.4-mini-2026-03-17": (False, False, True, False),
    "gpt-5.5": (False, False, True, False),
    "gpt-5.6": (False, True, True, False),
    "gpt-5.6-terra": (False, True, True, False),
    "gpt-6-luna": (False, True, True, False),
    "gpt-6.1-terra": (False, True, True, False),
    "gpt-6-astra": (False, True, True, True),
    "gpt-6-astra-law": (False, True, True, True),
    "gpt-6.1-sol": (False, True, True, True),
    "gpt-60": (False, False, False, False),
    "gpt-5.4-pro": (True, True, True, True),
    "gpt-5.2-pro-2025-12-11": (True, True, True, True),
    "o1-pro": (True, True, True, True),
    "gpt-5.1-codex-max": (True, True, True, True),
    "gpt-5.3-codex": (True, True, True, True),
    "codex-mini-latest": (True, True, True, True),
    "o4-mini-deep-research-2025-06-26": (True, True, True, True),
    "computer-use-preview": (True, True, True, True),
}


@pytest.mark.parametrize("model", MODELS)
def test_who_goes_there(model: str) -> None:
    got = (
        goes_there(model, reasoning_effort="low"),
        goes_there(model, tools=TOOLS),
        goes_there(model, tools=TOOLS, reasoning_effort="low"),
        goes_there(model, tools=TOOLS, reasoning_effort="none"),
    )
    assert got == MODELS[model]


def test_no_tools_and_no_effort_are_as_if_left_out() -> None:
    assert not goes_there("gpt-6-luna", tools=[])
    assert not goes_there("gpt-6-luna", tools=None)
    assert goes_there("gpt-6-luna", tools=TOOLS, reasoning_effort=None)
    assert not goes_there("gpt-5.4", tools=TOOLS, reasoning_effort=None)
    with pytest.raises(Fault) as caught:
        goes_there("gpt-6-luna", tools=TOOLS, reasoning_effort=5)
    assert (caught.value.kind, caught.value.param) == (FaultKind.BAD_REQUEST, "reasoning_effort")


@pytest.mark.parametrize("type_", sorted(VENDORS.keys() - {"openai"}))
def test_no_other_vendor_is_asked_there(type_: str) -> None:
    assert encoded("gpt-5.4-pro", type_).path == "/chat/completions"
    assert type_ in CODECS


def test_its_answers_are_rendered_anew_and_the_others_pass_on() -> None:
    assert encoded("gpt-6-luna", tools=TOOLS).forwards is None
    assert encoded("gpt-6-luna").forwards == "openai"


def test_the_same_body_is_read_by_the_call_that_it_answers() -> None:
    body = (GOLDEN / "openai_responses" / "reasoning.answer.json").read_bytes()
    assert CODEC.decode_chat(CALL, body)[-1] == End()
    with pytest.raises(Fault):
        CODEC.decode_chat(Encoded("/chat/completions"), body)


ENDED = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}


def test_the_answer_ends_with_its_last_event_whatever_follows() -> None:
    body = (GOLDEN / "openai_responses" / "reasoning.stream").read_bytes()
    decoder = CODEC.chat_decoder(CALL)
    assert decoder.feed(body + b"data: [DONE]\n\n")[-1] == End()
    assert decoder.feed(body) == decoder.end() == []


@pytest.mark.parametrize("late", [True, False])
def test_arguments_that_come_at_once(late: bool) -> None:
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    done = item | {"arguments": '{"a":1}'}
    added = {"type": "response.output_item.added", "output_index": 3, "item": item if late else done}
    events = decoded(added, {"type": "response.output_item.done", "output_index": 3, "item": done}, ENDED)
    pieces = [piece for event in events if isinstance(event, Delta) for piece in event.tool_calls]
    assert "".join(piece.arguments for piece in pieces) == '{"a":1}'
    assert (pieces[0].index, pieces[0].id, pieces[0].name) == (0, "c", "f")
    assert events[-2:] == [Finish("tool_calls"), End()]


def test_a_call_without_arguments_has_none_to_parse() -> None:
    added = {"type": "response.output_item.added", "item": {"type": "function_call", "call_id": "c", "name": "f"}}
    events = decoded(added, ENDED)
    calls = [event.tool_calls for event in events if isinstance(event, Delta)]
    assert calls == [(ToolCallDelta(0, "", "c", "f"),), (ToolCallDelta(0, "{}"),)]


def test_what_tools_at_the_vendor_say_is_not_the_answer() -> None:
    code = {"type": "response.code_interpreter_call_code.delta", "output_index": 0, "delta": "print(1)"}
    output = [
        {"type": "code_interpreter_call", "code": "print(1)"},
        {"type": "message", "content": [{"type": "output_text", "text": "1", "annotations": []}]},
    ]
    ended = {"type": "response.completed", "response": {"id": "r", "output": output}}
    assert [event for event in decoded(code, ended) if isinstance(event, Delta)] == [Delta("1")]


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, None),
        ({"input_tokens": "many"}, None),
        ({"input_tokens": 3, "output_tokens": 2}, Usage(3, 2)),
        ({"input_tokens": 3, "output_tokens": 2, "input_tokens_details": None}, Usage(3, 2)),
        (
            {
                "input_tokens": 30,
                "output_tokens": 12,
                "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
                "output_tokens_details": {"reasoning_tokens": 8},
            },
            Usage(30, 12, 20, 5, 8),
        ),
    ],
)
def test_usage(told: Any, usage: Usage | None) -> None:
    assert read_usage(told) == usage
