"""The byte passthrough: what it changes, and above all what it does not."""

from __future__ import annotations

import pytest

from cortex.chat import Usage
from cortex.errors import FaultKind
from cortex.providers import codec_for
from cortex.relay.forward import MAX_HELD_BYTES, Forward
from tests.support.chunks import (
    DONE,
    chunk,
    chunk_object,
    finish,
    frame,
    relay,
    run,
    text,
    tool,
    usage_chunk,
)

ROLE = chunk({"role": "assistant", "content": ""})


def forward(*, include_usage: bool = False) -> Forward:
    made = relay(codec_for("openai"), include_usage=include_usage)
    assert isinstance(made, Forward)
    return made


def test_bytes_of_every_frame_pass_untouched() -> None:
    odd = (
        b'data:{ "choices" : [ {"delta":{"content":"a\\u2028"}, "index":0}],"id":"x","vendor":{"kept":[1, 2]} }\r\n\r\n'
    )
    stream = ROLE + odd + text("ü🙂") + finish() + DONE
    subject = forward()
    assert run(subject, [stream]) == stream
    assert (subject.committed, subject.whole, subject.fault) == (True, True, None)


def test_nothing_is_returned_before_the_first_content() -> None:
    subject = forward()
    assert subject.feed(ROLE) == b""
    assert subject.feed(chunk({"content": None, "reasoning": ""})) == b""
    assert not subject.committed
    assert subject.feed(text("a")) == ROLE + chunk({"content": None, "reasoning": ""}) + text("a")
    assert subject.committed
    assert subject.feed(text("b")) == text("b")


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning": "a"},
        {"reasoning_content": "a"},
        {"refusal": "a"},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    ],
)
def test_each_kind_of_content_commits(delta: object) -> None:
    subject = forward()
    assert subject.feed(chunk(delta)) == chunk(delta)
    assert subject.committed


def test_a_partial_frame_waits_for_its_end() -> None:
    subject = forward()
    subject.feed(text("a"))
    assert subject.feed(text("b")[:-1]) == b""
    assert subject.feed(b"\n" + text("c")) == text("b") + text("c")


def test_the_finish_frame_and_what_follows_wait_for_the_marker() -> None:
    subject = forward(include_usage=True)
    subject.feed(text("a"))
    assert subject.feed(finish()) == b""
    assert subject.feed(chunk({"content": "b"}, choice=1)) == b""
    assert subject.feed(usage_chunk()) == b""
    assert subject.feed(b": comment\n\n") == b""
    rest = finish() + chunk({"content": "b"}, choice=1) + usage_chunk() + b": comment\n\n" + DONE
    assert subject.feed(DONE) == rest
    assert subject.whole


def test_a_choice_that_finishes_before_another_says_anything_holds_all() -> None:
    early = chunk({}, finish_reason="content_filter", choice=1)
    subject = forward()
    assert subject.feed(ROLE + early + text("a")) == b""
    assert subject.committed
    assert subject.feed(text("b") + finish()) == b""
    assert subject.feed(DONE) == ROLE + early + text("a") + text("b") + finish() + DONE
    assert subject.tally.finish_reason == "content_filter"


def test_content_and_finish_in_one_frame_is_held_but_known() -> None:
    only = chunk({"role": "assistant", "content": "all"}, finish_reason="stop")
    subject = forward()
    assert subject.feed(only) == b""
    assert subject.committed
    assert subject.feed(DONE) == only + DONE


def test_usage_that_was_not_asked_for_is_taken_out_but_counted() -> None:
    subject = forward()
    assert run(subject, [text("a") + finish() + usage_chunk() + DONE]) == text("a") + finish() + DONE
    assert subject.tally.usage == Usage(9, 4)


def test_usage_that_was_asked_for_passes() -> None:
    stream = text("a") + finish() + usage_chunk() + DONE
    assert run(forward(include_usage=True), [stream]) == stream


def test_a_chunk_without_choices_or_usage_passes() -> None:
    filtered = frame({**chunk_object({}), "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    stream = filtered + text("a") + finish() + DONE
    assert run(forward(), [stream]) == stream


def test_usage_on_a_content_chunk_passes_untouched() -> None:
    stream = text("a") + chunk({"content": "b"}, usage={"prompt_tokens": 1, "completion_tokens": 2}) + finish() + DONE
    subject = forward()
    assert run(subject, [stream]) == stream
    assert subject.tally.usage == Usage(1, 2)


def test_comments_are_dropped_before_the_commit_and_pass_after_it() -> None:
    subject = forward()
    assert subject.feed(b": wait\n\n" + text("a") + b": go on\n\n") == text("a") + b": go on\n\n"


def test_an_answer_without_content_commits_at_the_marker() -> None:
    stream = ROLE + finish("content_filter") + DONE
    subject = forward()
    assert subject.feed(stream[:-1]) == b""
    assert not subject.committed
    assert subject.feed(b"\n") == stream
    assert subject.committed
    assert subject.whole
    assert subject.tally.finish_reason == "content_filter"


def test_nothing_passes_after_the_marker() -> None:
    subject = forward()
    stream = text("a") + finish() + DONE
    assert run(subject, [stream + text("late"), text("later"), b"garbage"]) == stream
    assert subject.fault is None


def test_an_error_as_the_first_event_is_a_fault_and_shows_nothing() -> None:
    subject = forward()
    limited = frame({"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}})
    assert run(subject, [ROLE + limited + DONE]) == b""
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.RATE_LIMITED
    assert not subject.committed


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (frame({"error": {"message": "upstream died", "type": "server_error"}}), FaultKind.SERVER_ERROR),
        (b'data: {"\\u0065rror": {"message": "upstream died", "type": "server_error"}}\n\n', FaultKind.SERVER_ERROR),
        (b'event: error\ndata: {"choices": [{}], "type": "server_error"}\n\n', FaultKind.SERVER_ERROR),
        (chunk({"content": "x"}, x_groq={"error": "generation stopped"}), None),
        (finish("abort"), FaultKind.BROKEN),
        (finish("error"), FaultKind.BROKEN),
        (b'data: {"choices":[{"index":0,"delta":{"content":"cut\n\n', FaultKind.INVALID_RESPONSE),
        (b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n', FaultKind.INVALID_RESPONSE),
        (b'data: {"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}\n\n', FaultKind.INVALID_RESPONSE),
        (b'data: {"choices":[{"index":0,"delta":{}}],"x":' + b"[" * 100_000 + b"\n\n", FaultKind.INVALID_RESPONSE),
        (frame({"object": "chat.completion.chunk"}), FaultKind.INVALID_RESPONSE),
        (frame({"choices": None}), FaultKind.INVALID_RESPONSE),
        (frame("text"), FaultKind.INVALID_RESPONSE),
    ],
)
def test_a_fault_after_the_commit_lets_what_came_before_stand(cause: bytes, kind: FaultKind | None) -> None:
    subject = forward()
    assert run(subject, [text("a") + text("b") + cause + finish() + DONE]) == text("a") + text("b")
    assert subject.fault is not None
    assert kind in (None, subject.fault.kind)
    assert subject.committed
    assert not subject.whole


def test_an_end_without_the_marker_never_looks_complete() -> None:
    subject = forward(include_usage=True)
    assert run(subject, [text("a") + finish() + usage_chunk()]) == text("a")
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.BROKEN


def test_an_empty_body_is_a_fault() -> None:
    subject = forward()
    assert run(subject, []) == b""
    assert subject.fault is not None


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
def test_a_marker_without_its_blank_line_counts_where_the_body_ends(line_end: bytes) -> None:
    subject = forward()
    assert run(subject, [text("a") + finish() + DONE.strip() + line_end]) == text("a") + finish() + DONE
    assert (subject.whole, subject.fault) == (True, None)


@pytest.mark.parametrize("rest", [b"data: [DONE", b"[DONE]", b": [DONE]", b"data: x [DONE]", b"event: data: [DONE]"])
def test_what_only_looks_like_the_marker_does_not(rest: bytes) -> None:
    subject = forward()
    assert run(subject, [text("a") + finish() + rest]) == text("a")
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.BROKEN


def test_a_stream_that_says_nothing_at_all_is_a_fault() -> None:
    subject = forward()
    assert run(subject, [ROLE + DONE]) == b""
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.INVALID_RESPONSE


@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_a_tool_call_that_ends_inside_its_arguments_is_a_fault(reason: str) -> None:
    pieces = tool("", id="call_a", name="f") + tool('{"city":')
    subject = forward()
    assert run(subject, [pieces + finish(reason) + DONE]) == pieces
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.BROKEN


def test_tool_calls_pass_piece_by_piece() -> None:
    stream = (
        tool("", id="call_a", name="f") + tool('{"a":') + tool("1}") + tool("{}", 1, id="call_b", name="g")
    ) + finish("tool_calls")
    subject = forward()
    assert subject.feed(stream + DONE) == stream + DONE
    assert subject.tally.finish_reason == "tool_calls"


def test_too_much_before_any_content_is_a_fault() -> None:
    subject = forward()
    for _ in range(MAX_HELD_BYTES // len(ROLE) + 1):
        assert subject.feed(ROLE) == b""
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.INVALID_RESPONSE


def test_a_frame_without_end_is_bounded() -> None:
    subject = forward()
    subject.feed(text("a"))
    for _ in range(9):
        subject.feed(b"x" * 1024 * 1024)
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.INVALID_RESPONSE


def test_the_tally_counts_about_the_text_that_passed() -> None:
    words = ["Once", " upon", " a", " time", ", quite"] * 20
    subject = forward()
    run(subject, [text(word) for word in words] + [finish(), DONE])
    assert subject.tally.model == "m"
    assert subject.tally.finish_reason == "stop"
    assert subject.tally.frames == len(words)
    assert subject.tally.output_bytes == len("".join(words))
    assert subject.tally.usage is None
    assert subject.tally.estimate(5) == Usage(5, -(-len("".join(words)) // 4), estimated=True)


def test_words_inside_the_text_are_not_taken_for_members() -> None:
    said = 'say {"error": {"message": "x"}, "finish_reason": "stop", "usage": {}, "tool_calls": [1]} and [DONE]'
    stream = text("a") + text(said) + text("error") + finish() + DONE
    subject = forward()
    assert subject.feed(text("a") + text(said)) == text("a") + text(said)
    assert run(subject, [text("error") + finish() + DONE]) == text("error") + finish() + DONE
    assert run(forward(), [stream]) == stream
