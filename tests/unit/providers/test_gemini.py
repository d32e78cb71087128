from __future__ import annotations

import math

import msgspec
import pytest

from cortex.chat import Broken, Delta, End, Event, Finish, Start, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.gemini_models import EFFORTS, Family, family_of
from cortex.providers.gemini_stream import read_usage
from tests.unit.providers.build import GOLDEN, chat_request, comparable, embeddings_request

CODEC = codec_for("gemini")
CALL = Encoded("/")
MODEL = Model("gemini-3.5-flash")
SIGNED = {"google": {"thought_signature": "RXFRQg=="}}


def frame(finish: str | None = None, *parts: object, **members: object) -> bytes:
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": finish, "index": 0}
    return b"data: " + msgspec.json.encode({"candidates": [candidate], "responseId": "r", **members}) + b"\n\n"


def decoded(*frames: bytes) -> list[Event]:
    decoder = CODEC.chat_decoder(CALL)
    return [event for each in frames for event in decoder.feed(each)] + decoder.end()


def test_the_key_goes_in_a_header_and_never_in_a_url() -> None:
    assert CODEC.auth("AIza-1") == {"x-goog-api-key": "AIza-1"}
    assert CODEC.auth(None) == {}
    probe = CODEC.probe()
    assert (probe.method, probe.path, probe.body) == ("GET", "/v1beta/models?pageSize=1", b"")


def test_usage_that_comes_behind_the_finish_counts() -> None:
    late = b'data: {"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}}\n\n'
    early = {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1}}
    assert decoded(frame("STOP", {"text": "a"}, **early), late)[-3:] == [Finish("stop"), Usage(7, 2), End()]


def test_a_call_behind_the_finish_makes_it_a_call() -> None:
    events = decoded(frame("STOP", {"text": "a"}), frame(None, {"functionCall": {"name": "f"}}))
    assert events[-2:] == [Finish("tool_calls"), End()]


def test_an_answer_without_usage_is_whole() -> None:
    assert decoded(frame("STOP", {"text": "a"})) == [Start("r", "", 0), Delta("a"), Finish("stop"), End()]


def test_the_last_frame_may_lack_its_blank_line() -> None:
    assert decoded(frame("STOP", {"text": "a"}).rstrip(b"\n"))[-1] == End()
    cut = decoded(frame("STOP", {"text": "a"}).rstrip(b"}\n"))
    assert isinstance(cut[-1], Broken)


def test_nothing_comes_after_the_end() -> None:
    decoder = CODEC.chat_decoder(CALL)
    decoder.feed(frame("STOP", {"text": "a"}))
    assert decoder.end()[-1] == End()
    assert decoder.feed(frame(None, {"text": "b"})) == decoder.end() == []


def test_numbers_in_arguments_stay_what_they_are() -> None:
    call = b'{"functionCall":{"name":"f","args": {"a": 1.50,\n "b": [10000000000000000000001]}}}'
    body = b'{"candidates":[{"content":{"parts":[' + call + b']},"finishReason":"STOP"}]}'
    _, delta, *_ = CODEC.decode_chat(CALL, body)
    assert isinstance(delta, Delta)
    assert delta.tool_calls[0].arguments == '{"a":1.50,"b":[10000000000000000000001]}'


def test_an_answer_keeps_its_ids_however_often_it_is_decoded() -> None:
    body = (GOLDEN / "gemini" / "calls_without_ids.stream").read_bytes()
    assert comparable(decoded(body)) == comparable(decoded(body))
    calls = [call for event in decoded(body) if isinstance(event, Delta) for call in event.tool_calls]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize(
    "word",
    ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "OTHER"],
)
def test_a_finish_that_names_a_fault_is_one_whatever_came_with_it(word: str) -> None:
    _, broken = decoded(frame(word, {"functionCall": {"name": "f"}}, {"text": "a"}))
    assert isinstance(broken, Broken)
    assert broken.fault.kind is FaultKind.INVALID_RESPONSE
    assert word in broken.fault.message


def test_a_signature_makes_the_round_trip() -> None:
    signed = ToolCallDelta(0, "{}", "fc1", "f", SIGNED)
    call = {"functionCall": {"name": "f", "id": "fc1"}, "thoughtSignature": "RXFRQg=="}
    assert decoded(frame("STOP", call))[1] == Delta(tool_calls=(signed,))
    history = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "fc1", "function": {"name": "f", "arguments": "{}"}, "extra_content": signed.extra_content}
            ],
        },
        {"role": "tool", "tool_call_id": "fc1", "content": "ok"},
    ]
    sent = CODEC.encode_chat(chat_request(msgspec.json.encode({"messages": history})), MODEL)
    turn = msgspec.json.decode(sent.body)["contents"][1]
    assert turn["parts"] == [{**call, "functionCall": {**call["functionCall"], "args": {}}}]  # type: ignore[dict-item]


@pytest.mark.parametrize("type_", ["openai", "groq", "mistral", "ollama"])
def test_a_signature_goes_to_nobody_else(type_: str) -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": SIGNED}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    sent = codec_for(type_).encode_chat(chat_request(msgspec.json.encode({"messages": messages})), Model("m"))
    assert b"RXFRQg==" not in sent.body
    assert b'"f"' in sent.body


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-pro", (False, False, 128)),
        ("gemini-2.5-flash-lite", (False, False, 0)),
        ("gemini-3-flash-preview", (False, True, "MINIMAL")),
        ("gemini-3.1-pro-preview", (False, True, "LOW")),
        ("gemini-3.1-flash-lite", (False, True, "LOW")),
        ("gemini-3.5-flash", (False, True, "MINIMAL")),
        ("gemini-3.5-flash-lite", (True, True, "LOW")),
        ("gemini-3.6-flash", (True, True, "MINIMAL")),
        ("gemini-3.7-flash", (True, True, "LOW")),
        ("models/gemini-3.8-flash", (True, True, "LOW")),
        ("gemini-flash-latest", (True, True, "LOW")),
        ("gemini-flash-lite-latest", (True, True, "LOW")),
        ("gemini-pro-latest", (False, True, "LOW")),
        ("gemini-4-argon", (True, True, "LOW")),
        ("gemini-10-xenon", (True, True, "LOW")),
        ("gemini-exp-1206", (False, False, None)),
        ("gemma-4-31b-it", (False, False, None)),
        ("my-model", (False, False, None)),
    ],
)
def test_families(model: str, expected: tuple[bool, bool, object]) -> None:
    family = family_of(model)
    least = next(iter((family.thinking("none") or {"": None}).values()))
    assert (family.fixed_sampling, family.signed_calls, least) == expected


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.5-flash", "gemini-3.8-flash"])
def test_each_effort_is_one_wish_never_two(model: str) -> None:
    for effort in EFFORTS:
        assert len(family_of(model).thinking(effort) or {}) == 1
    assert Family().thinking("high") is None


@pytest.mark.parametrize("value", [b"null", b"5", b'{"promptTokenCount":"many"}'])
def test_usage_of_another_form_is_none(value: bytes) -> None:
    assert read_usage(msgspec.Raw(value)) is None


def test_embeddings_have_length_one() -> None:
    request = embeddings_request(b'{"input":["a","b","c"],"dimensions":2}')
    call = CODEC.encode_embeddings(request, Model("gemini-embedding-001"))
    body = b'{"embeddings":[{"values":[3,4]},{"values":[0,1]},{"values":[0,0]}],"usageMetadata":{"promptTokenCount":6}}'
    answer = CODEC.decode_embeddings(call, body)
    assert (answer.model, answer.usage) == ("gemini-embedding-001", Usage(6, 0))
    assert answer.vectors == [[0.6, 0.8], [0.0, 1.0], [0.0, 0.0]]
    assert math.hypot(*map(float, answer.vectors[0])) == pytest.approx(1)


def test_embeddings_may_lack_usage() -> None:
    call = CODEC.encode_embeddings(embeddings_request(b'{"input":"a"}'), Model("tunedModels/a b"))
    answer = CODEC.decode_embeddings(call, b'{"embeddings":[{"values":[1]}]}')
    assert (answer.model, answer.usage) == ("tunedModels/a b", None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"embeddings":[{"values":[1]}]}', FaultKind.INVALID_RESPONSE),
        (b"{}", FaultKind.INVALID_RESPONSE),
        (b"oops", FaultKind.INVALID_RESPONSE),
        (b'{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}', FaultKind.OVERLOADED),
    ],
)
def test_what_is_no_embeddings_answer(body: bytes, kind: FaultKind) -> None:
    call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), MODEL)
    with pytest.raises(Fault) as caught:
        CODEC.decode_embeddings(call, body)
    assert caught.value.kind is kind
