"""JSON answers, and streams made of them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.chat import Usage
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.providers.codec import Codec
from cortex.relay import Tally, whole_answer, whole_as_stream
from tests.support.chunks import CALL, DONE, RENDERED, chat_request, decode, provenance

GOLDEN = Path(__file__).parents[2] / "golden" / "dialects" / "upstream"
ANSWERS = [GOLDEN / "oai_chat.json", GOLDEN / "oai_chat_tools.json"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_the_same_dialect_gets_the_upstreams_bytes(path: Path) -> None:
    body = path.read_bytes()
    out, tally = whole_answer(codec_for("openai"), CALL, body, OpenAIDialect(), chat_request(), provenance())
    assert out is body
    assert tally.model == json.loads(body)["model"]
    assert tally.usage is not None
    assert tally.usage.total_tokens == json.loads(body)["usage"]["total_tokens"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_rendered_anew_it_means_the_same(path: Path) -> None:
    body = path.read_bytes()
    out, _ = whole_answer(codec_for("mistral"), RENDERED, body, OpenAIDialect(), chat_request(), provenance())
    codec = codec_for("openai")
    assert codec.decode_chat(CALL, out) == codec.decode_chat(CALL, body)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_as_a_stream_it_means_the_same(path: Path) -> None:
    body = path.read_bytes()
    request = chat_request(include_usage=True)
    out, tally = whole_as_stream(codec_for("openai"), CALL, body, OpenAIDialect(), request, provenance())
    assert out.endswith(DONE)
    assert decode(out) == codec_for("openai").decode_chat(CALL, body)
    assert tally.finish_reason is not None


def test_usage_that_no_upstream_tells_is_estimated_and_flagged() -> None:
    body = b'{"choices":[{"message":{"content":"abcde"},"finish_reason":"stop"}]}'
    out, tally = whole_answer(codec_for("openai"), CALL, body, ApiChatDialect(), chat_request(), provenance())
    assert tally.usage == Usage(7, 2, estimated=True)
    assert json.loads(out)["usage"]["estimated"] is True


@pytest.mark.parametrize("body", [b"null", b"<html>", b'{"choices":[]}', b'{"error":{"message":"x"}}'])
@pytest.mark.parametrize("answer", [whole_answer, whole_as_stream])
def test_what_is_no_answer_is_a_fault_even_if_it_would_be_forwarded(body: bytes, answer: object) -> None:
    render = whole_answer if answer is whole_answer else whole_as_stream
    with pytest.raises(Fault) as caught:
        render(codec_for("openai"), CALL, body, OpenAIDialect(), chat_request(), provenance())
    assert caught.value.kind in (FaultKind.INVALID_RESPONSE, FaultKind.SERVER_ERROR)


def test_api_chat_answers_flat() -> None:
    body = (GOLDEN / "oai_chat.json").read_bytes()
    out, _ = whole_answer(codec_for("openai"), CALL, body, ApiChatDialect(), chat_request(), provenance())
    answer = msgspec.json.decode(out)
    assert answer["content"] == "Hi!"
    assert answer["finish_reason"] == "stop"
    assert answer["model"] == "groq/openai/gpt-oss-20b"
    assert answer["usage"]["total_tokens"] == 12
    assert "choices" not in answer


OPENAI_SHAPED = sorted(
    path
    for vendor in ("openai", "groq", "openai_compatible")
    for path in (GOLDEN.parents[1] / "providers" / vendor).glob("*.answer.json")
)

COUNTS = st.none() | st.integers(0, 9)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | st.sampled_from(["", "hé", 5]),
        "refusal": st.none() | st.just("no"),
        "tool_calls": st.none()
        | st.just([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
        "function_call": st.none(),
    },
)
CHOICES = st.fixed_dictionaries(
    {"message": MESSAGES | st.none()},
    optional={
        "index": st.integers(0, 2),
        "finish_reason": st.none() | st.sampled_from(["stop", "length", "tool_calls", "abort", "odd", ""]),
    },
)
USAGE = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "input_tokens": COUNTS,
        "num_cached_tokens": COUNTS,
        "prompt_tokens_details": st.none() | st.fixed_dictionaries({}, optional={"cached_tokens": COUNTS}),
        "completion_tokens_details": st.none() | st.fixed_dictionaries({}, optional={"reasoning_tokens": COUNTS}),
    },
)
WHOLE = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, max_size=2)},
    optional={
        "model": st.none() | st.sampled_from(["", "m"]),
        "usage": USAGE,
        "error": st.none() | st.just({"message": "no"}),
        "object": st.sampled_from(["chat.completion", "error", ""]),
        "x_groq": st.none() | st.just({"id": "x"}) | st.just({"error": "no"}),
    },
)


def tallied(codec: Codec, body: bytes) -> Tally | FaultKind:
    """What is counted of an answer that is passed on, by way of all of its events."""
    try:
        events = codec.decode_chat(CALL, body)
    except Fault as fault:
        return fault.kind
    tally = Tally()
    for event in events:
        tally.note(event)
    return tally


def assert_counted_alike(body: bytes) -> None:
    codec = codec_for("openai")
    expected = tallied(codec, body)
    if isinstance(expected, FaultKind):
        with pytest.raises(Fault) as caught:
            whole_answer(codec, CALL, body, OpenAIDialect(), chat_request(), provenance())
        assert caught.value.kind is expected
        return
    _, told = whole_answer(codec, CALL, body, OpenAIDialect(), chat_request(), provenance())
    assert (told.model, told.finish_reason, told.usage) == (expected.model, expected.finish_reason, expected.usage)
    if told.usage is None:
        assert told.output_bytes == expected.output_bytes


@pytest.mark.parametrize("path", OPENAI_SHAPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_answer_that_is_passed_on_is_counted_as_its_events_are(path: Path) -> None:
    assert_counted_alike(path.read_bytes())


@given(WHOLE)
def test_any_answer_that_is_passed_on_is_counted_as_its_events_are(answer: dict[str, object]) -> None:
    assert_counted_alike(json.dumps(answer).encode())
