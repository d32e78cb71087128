from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from cortex.chat import Delta, End, Event, Finish, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.cohere_messages import Renamed
from cortex.providers.cohere_models import Family, family_of
from cortex.providers.cohere_stream import read_usage
from tests.unit.providers.build import GOLDEN, chat_request, embeddings_request

CODEC = codec_for("cohere")
CALL = Encoded("/v2/chat")
MODEL = Model("command-a-plus-05-2026")


def asking_for(*names: str) -> Encoded:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": tools}
    return CODEC.encode_chat(chat_request(msgspec.json.encode(body)), MODEL)


def decoded(body: bytes, call: Encoded = CALL) -> list[Event]:
    decoder = CODEC.chat_decoder(call)
    return decoder.feed(body) + decoder.end()


def test_auth_and_a_probe_that_is_not_counted() -> None:
    assert CODEC.auth("co-1") == {"authorization": "Bearer co-1"}
    assert CODEC.auth(None) == {}
    probe = CODEC.probe()
    assert (probe.method, probe.path, probe.body) == ("POST", "/v1/check-api-key", b"")


def test_the_answer_ends_with_its_last_event_whatever_follows() -> None:
    body = (GOLDEN / "cohere" / "text.stream").read_bytes()
    assert decoded(body + b"data: [DONE]\n\n") == decoded(body + b"data: <html>\n\n") == decoded(body)
    assert decoded(body)[-1] == End()


def test_functions_get_their_names_back() -> None:
    call = asking_for("mcp.read-file", "plain")
    assert call.memo == {"mcp_read_file": "mcp.read-file"}
    stream = (GOLDEN / "cohere" / "tools.stream").read_bytes().replace(b'"get_weather"', b'"mcp_read_file"')
    whole = (GOLDEN / "cohere" / "tools.answer.json").read_bytes().replace(b'"get_weather"', b'"mcp_read_file"')
    for events in (decoded(stream, call), CODEC.decode_chat(call, whole)):
        calls = [piece for event in events if isinstance(event, Delta) for piece in event.tool_calls]
        assert calls[0].name == "mcp.read-file"
    assert asking_for("plain").memo == {}


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        (["a", "b_2", "_c"], ["a", "b_2", "_c"]),
        (["a-b", "a.b", "a_b"], ["a_b_2", "a_b_3", "a_b"]),
        (["2nd", ""], ["_2nd", "_"]),
        (["ü", "é", "_"], ["__2", "__3", "_"]),
        (["a-b", "a-b"], ["a_b", "a_b"]),
    ],
)
def test_no_two_functions_are_sent_under_one_name(names: list[str], sent: list[str]) -> None:
    renamed = Renamed(names)
    assert [renamed(name) for name in names] == sent


def test_an_answer_keeps_its_ids_however_often_it_is_decoded() -> None:
    body = b'{"id":"c","finish_reason":"TOOL_CALL","message":{"tool_calls":[{"function":{"name":"f"}}]}}'
    first, second = CODEC.decode_chat(CALL, body), CODEC.decode_chat(CALL, body)
    assert first == second
    assert isinstance(first[1], Delta)
    assert (first[1].tool_calls[0].id or "").startswith("call_")


def test_calls_that_come_in_turns_keep_apart() -> None:
    def event(kind: str, index: int, **function: str) -> bytes:
        made: dict[str, Any] = {"function": function}
        if kind == "tool-call-start":
            made["id"] = f"c{index}"
        data = {"type": kind, "index": index, "delta": {"message": {"tool_calls": made}}}
        return b"data: " + msgspec.json.encode(data) + b"\n\n"

    body = (
        b'data: {"type":"message-start","id":"m"}\n\n'
        + event("tool-call-start", 0, name="f")
        + event("tool-call-start", 1, name="g")
        + event("tool-call-delta", 0, arguments='{"a"')
        + event("tool-call-delta", 1, arguments="{}")
        + event("tool-call-delta", 0, arguments=":1}")
        + b'data: {"type":"message-end","delta":{"finish_reason":"TOOL_CALL"}}\n\n'
    )
    pieces = [piece for event in decoded(body) if isinstance(event, Delta) for piece in event.tool_calls]
    assert [(piece.index, piece.arguments) for piece in pieces if piece.arguments] == [
        (0, '{"a"'),
        (1, "{}"),
        (0, ":1}"),
    ]
    assert decoded(body)[-2:] == [Finish("tool_calls"), End()]


def test_a_call_without_arguments_that_was_cut_gets_none() -> None:
    start = b'data: {"type":"message-start","id":"m"}\n\n'
    call = b'data: {"type":"tool-call-start","delta":{"message":{"tool_calls":{"id":"1","function":{"name":"f"}}}}}\n\n'

    def end(reason: bytes) -> bytes:
        return b'data: {"type":"message-end","delta":{"finish_reason":"' + reason + b'"}}\n\n'

    begun = Delta(tool_calls=(ToolCallDelta(0, "", "1", "f"),))
    assert decoded(start + call + end(b"MAX_TOKENS"))[1:] == [begun, Finish("length"), End()]
    filled = Delta(tool_calls=(ToolCallDelta(0, "{}"),))
    assert decoded(start + call + end(b"TOOL_CALL"))[1:] == [begun, filled, Finish("tool_calls"), End()]


def test_a_start_that_comes_late_forgets_no_call() -> None:
    call = b'data: {"type":"tool-call-start","delta":{"message":{"tool_calls":{"id":"1","function":{"name":"f"}}}}}\n\n'
    start = b'data: {"type":"message-start","id":"m"}\n\n'
    end = b'data: {"type":"message-end","delta":{"finish_reason":"COMPLETE"}}\n\n'
    assert decoded(call + start + end)[-2:] == [Finish("tool_calls"), End()]


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, None),
        ({}, None),
        ("none", None),
        ({"tokens": {}}, None),
        ({"tokens": {"input_tokens": "many"}}, None),
        ({"tokens": {"input_tokens": 7.0, "output_tokens": 3.0}, "billed_units": {"input_tokens": 1}}, Usage(7, 3)),
        ({"billed_units": {"input_tokens": 2}}, Usage(2, 0)),
        ({"tokens": {"output_tokens": 3}, "cached_tokens": 2.0}, Usage(0, 3, 2)),
    ],
)
def test_usage(told: Any, usage: Usage | None) -> None:
    assert read_usage(told) == usage


def test_embeddings() -> None:
    call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), Model("embed-v4.0"))
    body = b'{"id":"5","embeddings":{"float":[[0.1,0.2],[0.3,0.4]]},"meta":{"billed_units":{"input_tokens":2}}}'
    embeddings = CODEC.decode_embeddings(call, body)
    assert embeddings.vectors == [[0.1, 0.2], [0.3, 0.4]]
    assert (embeddings.model, embeddings.usage) == ("embed-v4.0", Usage(2, 0))


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"<html>",
        b'{"message":"no"}',
        b'{"embeddings":[[1]]}',
        b'{"embeddings":{"float":[[1.0]]}}',
        b'{"embeddings":{"float":[[1.0],[1.0],[1.0]]}}',
    ],
)
def test_what_is_no_embeddings_answer_is_a_fault(body: bytes) -> None:
    call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), Model("embed-v4.0"))
    with pytest.raises(Fault) as caught:
        CODEC.decode_embeddings(call, body)
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


FAMILIES: Mapping[str, Family] = {
    "command-a-plus-05-2026": Family(),
    "command-a-reasoning-08-2025": Family(),
    "command-z-2030": Family(),
    "command-a-03-2025": Family(thinking=False),
    "command-a-vision-07-2025": Family(thinking=False),
    "command-r7b-12-2024": Family(thinking=False),
    "command-r": Family(thinking=False, tool_choice=False),
    "command-r-08-2024": Family(thinking=False, tool_choice=False),
    "command-r-plus-08-2024": Family(thinking=False, tool_choice=False),
    "c4ai-aya-expanse-32b": Family(thinking=False, tool_choice=False),
}


@pytest.mark.parametrize("model", FAMILIES)
def test_families(model: str) -> None:
    assert family_of(model) == FAMILIES[model]
