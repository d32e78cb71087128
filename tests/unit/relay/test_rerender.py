"""The rendering relay, with scripted events: what it holds, and what it makes of faults."""

from __future__ import annotations

from collections.abc import Sequence

from cortex.chat import Broken, Delta, End, Event, Finish, Start, Usage
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.relay.rerender import MAX_HELD_BYTES, Rerender
from tests.support.chunks import DONE, chat_request, finish, provenance, relay, run, text, usage_chunk

START = Start("id", "m", 1)


class Script:
    """A decoder that gives one list of events each time it is fed."""

    def __init__(self, *steps: Sequence[Event], end: Sequence[Event] = ()) -> None:
        self._steps = iter(steps)
        self._end = end

    def feed(self, data: bytes) -> list[Event]:
        return list(next(self._steps, ()))

    def end(self) -> list[Event]:
        return list(self._end)


def rerender(*steps: Sequence[Event], end: Sequence[Event] = ()) -> Rerender:
    request = chat_request(include_usage=True)
    renderer = OpenAIDialect().stream_renderer(request, provenance())
    return Rerender(Script(*steps, end=end), renderer, prompt_tokens=7)


def test_a_codec_of_another_dialect_is_rendered_anew() -> None:
    assert isinstance(relay(codec_for("mistral")), Rerender)
    assert isinstance(relay(codec_for("openai"), ApiChatDialect()), Rerender)


def test_nothing_is_returned_before_the_first_content() -> None:
    subject = rerender([START], [Delta()], [Delta(content="a")], [Delta(content="b")])
    assert [subject.feed(b"x"), subject.feed(b"x")] == [b"", b""]
    assert not subject.committed
    committed = subject.feed(b"x")
    assert b'"role":"assistant"' in committed
    assert b'"content":"a"' in committed
    assert subject.committed
    assert b'"content":"b"' in subject.feed(b"x")


def test_the_end_waits_for_the_marker_and_other_choices_go_on() -> None:
    subject = rerender(
        [START, Delta(content="a")], [Finish("stop")], [Delta(content="b", choice=1)], [Usage(1, 2)], [End()]
    )
    subject.feed(b"x")
    assert subject.feed(b"x") == b""
    assert b'"content":"b"' in subject.feed(b"x")
    assert subject.feed(b"x") == b""
    ending = subject.feed(b"x")
    assert b'"finish_reason":"stop"' in ending
    assert b'"total_tokens":3' in ending
    assert ending.endswith(DONE)
    assert subject.whole
    assert subject.feed(b"x") == b""


def test_what_came_with_a_fault_stands_after_the_commit() -> None:
    fault = Fault(FaultKind.BROKEN, "gone")
    subject = rerender([START, Delta(content="a"), Finish("stop"), Broken(fault)])
    out = subject.feed(b"x")
    assert b'"content":"a"' in out
    assert b'"stop"' not in out
    assert subject.fault is fault
    assert not subject.whole
    assert subject.feed(b"x") == b""


def test_a_fault_before_the_commit_shows_nothing() -> None:
    fault = Fault(FaultKind.OVERLOADED, "busy")
    subject = rerender([START, Broken(fault)])
    assert subject.feed(b"x") == b""
    assert not subject.committed
    assert subject.fault is fault


def test_an_answer_without_content_commits_at_the_marker() -> None:
    subject = rerender([START], [Finish("content_filter")], [End()])
    assert subject.feed(b"x") + subject.feed(b"x") == b""
    assert b'"finish_reason":"content_filter"' in subject.feed(b"x")
    assert subject.committed
    assert subject.whole


def test_an_end_without_the_marker_is_a_fault() -> None:
    cut = Fault(FaultKind.BROKEN, "cut")
    subject = rerender([START, Delta(content="a"), Finish("stop")], end=[Broken(cut)])
    assert b"stop" not in subject.feed(b"x") + subject.end()
    assert subject.fault is cut
    silent = rerender()
    assert silent.end() == b""
    assert silent.fault is not None
    assert silent.fault.kind is FaultKind.BROKEN


def test_a_decoder_that_completes_at_the_end_of_the_body_completes() -> None:
    subject = rerender([START, Delta(content="a")], end=[Finish("stop"), End()])
    subject.feed(b"x")
    assert subject.end().endswith(DONE)
    assert (subject.whole, subject.fault) == (True, None)


def test_usage_that_no_upstream_tells_is_estimated_and_flagged() -> None:
    subject = rerender([START, Delta(content="abcde"), Finish("stop"), End()])
    out = subject.feed(b"x")
    assert subject.tally.usage == Usage(7, 2, estimated=True)
    assert b'"estimated":true' in out


def test_too_much_before_any_content_is_a_fault() -> None:
    subject = rerender()
    for _ in range(MAX_HELD_BYTES // 1000 + 1):
        assert subject.feed(b"x" * 1000) == b""
    assert subject.fault is not None
    assert subject.fault.kind is FaultKind.INVALID_RESPONSE


def test_endless_finishes_are_a_fault() -> None:
    subject = rerender([START, Delta(content="a")], *[[Finish("stop", choice)] for choice in range(5000)])
    for _ in range(5001):
        subject.feed(b"x")
    assert subject.fault is not None


def test_the_tally_of_a_real_stream() -> None:
    subject = relay(codec_for("openai"), ApiChatDialect())
    run(subject, [text("Hé"), text("llo"), finish("length"), usage_chunk(), DONE])
    assert subject.tally.model == "m"
    assert subject.tally.finish_reason == "length"
    assert subject.tally.usage == Usage(9, 4)
    assert subject.tally.output_bytes == 6
    assert subject.tally.frames == 2
