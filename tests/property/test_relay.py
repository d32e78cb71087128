"""Both ways to relay give a client the same events; a cut answer never looks whole; chunking changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.chat import Delta, End, Event, Finish, Start, Usage
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.dialect import Dialect
from cortex.dialects.openai import OpenAIDialect
from cortex.providers import codec_for
from cortex.providers.openai_stream import OpenAIStreamDecoder
from cortex.providers.vendors import VENDORS
from cortex.relay import Relay
from cortex.relay.forward import Forward
from cortex.relay.rerender import Rerender
from tests.support.chunks import DONE, USAGE, chat_request, chunk_object, decode, frame, provenance, relay, run
from tests.unit.providers.build import comparable

GOLDEN = Path(__file__).parents[1] / "golden"
# All transcripts of upstreams that speak OpenAI's protocol, whoever's they are.
TRANSCRIPTS = {
    f"{path.parent.name}/{path.name}": path.read_bytes()
    for folder in ("dialects/upstream/*.txt", *(f"providers/{row}/*.stream" for row in VENDORS))
    for path in sorted(GOLDEN.glob(folder))
}
WHOLE = [name for name, stream in TRANSCRIPTS.items() if isinstance(decode(stream)[-1], End)]
BROKEN = [name for name in TRANSCRIPTS if name not in WHOLE]
SIZES = pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])


def forward(*, include_usage: bool = True) -> Relay:
    made = relay(codec_for("openai"), include_usage=include_usage)
    assert isinstance(made, Forward)
    return made


def rerender(dialect: Dialect | None = None) -> Relay:
    renderer = (dialect or OpenAIDialect()).stream_renderer(chat_request(include_usage=True), provenance())
    return Rerender(OpenAIStreamDecoder(), renderer, prompt_tokens=7)


RELAYS = {"forward": forward, "openai": rerender, "api_chat": lambda: rerender(ApiChatDialect())}


# Streams

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"error":{', '"finish_reason":"stop"', "[DONE]", "data: [DONE]\n\n", "\r\n\r\n", "\u2028", "\\", "<b>&"]
)


@st.composite
def deltas(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["content"] * 6 + ["reasoning", "reasoning_content", "refusal", "role", "logprobs"]))
    if kind == "role":
        return {"role": "assistant", "content": draw(st.sampled_from([None, "", "a"]))}
    return {"content" if kind == "logprobs" else kind: draw(TEXT)}


@st.composite
def tool_calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The deltas of one to three tool calls, their arguments in pieces."""
    told = []
    for index in range(draw(st.integers(1, 3))):
        arguments = json.dumps({"text": draw(TEXT)})
        cut = draw(st.integers(0, len(arguments)))
        head = {"index": index, "id": f"call_{index}", "type": "function"}
        told += [
            {"tool_calls": [{**head, "function": {"name": f"f{index}", "arguments": ""}}]},
            {"tool_calls": [{"index": index, "function": {"arguments": arguments[:cut]}}]},
            {"tool_calls": [{"index": index, "function": {"arguments": arguments[cut:]}}]},
        ]
    return told


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A whole answer with one or two choices, as odd as the wire allows."""
    choices = draw(st.sampled_from([1, 1, 2]))
    second_is_empty = choices == 2 and draw(st.booleans())  # and then finished before the first begins
    spoken = 1 if second_is_empty else choices
    told: list[dict[str, Any]] = [
        chunk_object(delta, choice=draw(st.integers(0, spoken - 1))) for delta in draw(st.lists(deltas(), max_size=6))
    ]
    reason = draw(st.sampled_from(["stop", "length", "content_filter"]))
    if draw(st.booleans()):
        told += [chunk_object(delta) for delta in draw(tool_calls())]
        reason = "tool_calls"
    extra = draw(st.sampled_from([{}, {"usage": None}, {"x_groq": {"id": "req_1"}}, {"error": None}]))
    told = [{**chunk, **extra} for chunk in told]
    last = draw(st.sampled_from([{}, {"content": "last"}]))
    told += [chunk_object(last, finish_reason=reason)]
    if choices == 2:
        told.insert(0 if second_is_empty else len(told), chunk_object({}, finish_reason="stop", choice=1))
    if draw(st.booleans()):
        told.append({**chunk_object({}), "choices": [], "usage": USAGE})
    dumps: dict[str, Any] = {
        "ensure_ascii": draw(st.booleans()),
        "separators": draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])),
    }
    frames = [frame(chunk, **dumps) for chunk in told]
    comments = draw(st.lists(st.integers(0, len(frames)), max_size=2))
    for place in comments:
        frames.insert(place, b": keep-alive\n\n")
    line_end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))
    start = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return start + b"".join([*frames, DONE]).replace(b"\n", line_end)


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 100_000), max_size=12)


def by_choice(events: Sequence[Event]) -> dict[int | None, list[Event]]:
    """The order within one choice, and of what belongs to none."""
    sorted_out: dict[int | None, list[Event]] = {}
    for event in events:
        sorted_out.setdefault(event.choice if isinstance(event, Delta | Finish) else None, []).append(event)
    return sorted_out


def without(events: Iterable[Event], *kinds: type) -> list[Event]:
    return [event for event in events if not isinstance(event, kinds)]


# Same events


def check_same_events(stream: bytes, chunks: list[bytes]) -> None:
    expected = decode(stream)
    assert isinstance(expected[-1], End), "the stream is whole"

    asked = forward()
    assert decode(run(asked, chunks)) == expected
    assert asked.whole

    unasked = forward(include_usage=False)
    assert without(decode(run(unasked, chunks)), Usage) == without(expected, Usage)

    anew = rerender()
    rendered = decode(run(anew, chunks))
    assert by_choice(without(rendered, Usage)) == by_choice(without(expected, Usage))
    if anew.tally.usage is not None and not anew.tally.usage.estimated:
        assert rendered[-2] == anew.tally.usage
    for relayed in (asked, unasked):
        assert relayed.tally.usage == next((event for event in expected if isinstance(event, Usage)), None)
        assert (relayed.tally.model, relayed.tally.finish_reason) == (anew.tally.model, anew.tally.finish_reason)


@given(streams(), CUTS)
def test_forwarded_and_rendered_anew_are_the_same_events(stream: bytes, cuts: list[int]) -> None:
    check_same_events(stream, pieces(stream, cuts))


def split(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


@pytest.mark.parametrize("name", WHOLE)
@SIZES
def test_the_same_of_every_recorded_stream(name: str, size: int) -> None:
    check_same_events(TRANSCRIPTS[name], split(TRANSCRIPTS[name], size))


@pytest.mark.parametrize("name", BROKEN)
@SIZES
@pytest.mark.parametrize("include_usage", [True, False])
def test_the_same_of_every_recorded_stream_that_broke(name: str, size: int, include_usage: bool) -> None:
    """As far as it came, and then the same fault."""
    passed, anew = forward(include_usage=include_usage), rerender()
    told = [decode(run(relayed, split(TRANSCRIPTS[name], size))) for relayed in (passed, anew)]
    assert comparable(told[0]) == comparable(told[1])
    assert passed.fault is not None
    assert anew.fault is not None
    assert (passed.fault.kind, passed.committed) == (anew.fault.kind, anew.committed)


def test_there_are_transcripts_of_each_kind() -> None:
    """A pattern that finds nothing would test nothing."""
    folders = {name.partition("/")[0] for name in TRANSCRIPTS}
    assert folders >= {"upstream", "openai", "groq", "mistral"}
    assert {"upstream/groq_stream.txt", "openai/tools.stream", "groq/tools.stream"} <= set(WHOLE)
    assert {"upstream/oai_err_stream.txt", "openai/no_marker.stream", "groq/stopped_early.stream"} <= set(BROKEN)


@given(streams(), CUTS, st.sampled_from(sorted(RELAYS)))
def test_chunking_changes_no_line(stream: bytes, cuts: list[int], name: str) -> None:
    assert lines(run(RELAYS[name](), pieces(stream, cuts))) == lines(run(RELAYS[name](), [stream]))


def lines(out: bytes) -> list[bytes]:
    """All but blank ones: the LF of a CRLF that was split goes with the next frame, or with none."""
    return [line for line in out.replace(b"\r", b"\n").split(b"\n") if line]


# No false end


def check_no_false_end(stream: bytes, name: str) -> None:
    """Feed byte by byte: what a client has at each byte is what it has if the stream is cut there."""
    relayed = RELAYS[name]()
    out = b""
    for place in range(len(stream)):
        if not (more := relayed.feed(stream[place : place + 1])):
            continue
        if relayed.whole:
            assert decode(stream[: place + 1])[-1] == End()
            break
        out += more
        assert not looks_whole(out)
    relayed.end()
    assert relayed.whole is (relayed.fault is None)


def looks_whole(out: bytes) -> bool:
    return b"event: done" in out or any(isinstance(event, Finish | End) for event in decode(out))


@pytest.mark.parametrize("name", sorted(RELAYS))
@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_no_cut_of_a_recorded_stream_looks_whole(transcript: str, name: str) -> None:
    check_no_false_end(TRANSCRIPTS[transcript], name)


@given(streams(), st.data())
def test_no_cut_of_any_stream_looks_whole(stream: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    for name, make in RELAYS.items():
        relayed = make()
        out = run(relayed, [stream[:cut]])
        assert (relayed.fault is None) == relayed.whole
        if not relayed.whole:
            assert not looks_whole(out), name


# Anything at all


@given(streams(), CUTS, st.binary(max_size=12), st.integers(0, 100_000))
def test_no_bytes_raise(stream: bytes, cuts: list[int], garbage: bytes, place: int) -> None:
    place %= len(stream) + 1
    spoiled = stream[:place] + garbage + stream[place:]
    for make in RELAYS.values():
        relayed = make()
        out = run(relayed, pieces(spoiled, cuts))
        assert (relayed.fault is None) == relayed.whole
        assert relayed.committed or out == b""


def test_the_streams_above_have_a_start() -> None:
    assert all(isinstance(decode(TRANSCRIPTS[name])[0], Start) for name in WHOLE)
