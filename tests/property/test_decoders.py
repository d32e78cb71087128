"""Decoders give the same for any chunking, and nothing but a Fault escapes from them, whatever the bytes."""

from __future__ import annotations

import itertools
import re

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.chat import Broken, End, Event
from cortex.errors import MAX_COOLDOWN_S, Fault, FaultKind
from cortex.ndjson import NdjsonDecoder
from cortex.providers.codec import Encoded, Model
from cortex.providers.limits import retry_after_s
from cortex.sse import SseDecoder
from tests.unit.providers.build import (
    GOLDEN,
    WIRES,
    chat_request,
    comparable,
    golden_call,
    golden_codec,
    golden_model,
    outcome,
)

EMBEDDINGS_CALL = Encoded("/", memo=1)
TYPES = st.sampled_from(WIRES)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.one_of(
    st.sampled_from([b"", b"data", b"data:", b"data: a", b"data:  b", b"event: x", b": c", b"id: 1", b"datax: y"]),
    st.binary(max_size=8).map(lambda data: b"data: " + re.sub(rb"[\r\n]", b"", data)),
)
BODIES = st.lists(st.tuples(LINES, LINE_ENDS), max_size=30).map(
    lambda lines: b"".join(b"".join(line) for line in lines)
)


def chunked(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)


def standard_frames(body: bytes) -> list[tuple[bytes | None, bytes | None]]:
    """The standard's algorithm over the whole body, line by line; frames without any line are none."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    frames: list[tuple[bytes | None, bytes | None]] = []
    event: bytes | None = None
    data: list[bytes] = []
    lines = 0
    for line in re.findall(rb"([^\r\n]*)(?:\r\n|\n|\r)", body):
        if line:
            lines += 1
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value[1:] if value[:1] == b" " else value)
            elif name == b"event":
                event = value[1:] if value[:1] == b" " else value
        elif lines:
            frames.append((event, b"\n".join(data) if data else None))
            event, data, lines = None, [], 0
    return frames


@given(st.sampled_from([b"", b"\xef\xbb\xbf"]), BODIES, CUTS)
@settings(max_examples=300, deadline=None)
def test_sse_follows_the_standard_for_any_chunking(bom: bytes, body: bytes, cuts: list[int]) -> None:
    decoder = SseDecoder()
    events = [event for chunk in chunked(bom + body, cuts) for event in decoder.feed(chunk)]
    assert [(event.event, event.data) for event in events] == standard_frames(body)
    raw = b"".join(event.raw for event in events) + decoder.rest()
    assert body.startswith(raw)
    assert not body[len(raw) :].strip(b"\r\n"), "only blank lines at the very end are in no frame"


@given(st.binary(max_size=200), CUTS)
@settings(deadline=None)
def test_ndjson_is_the_same_for_any_chunking(body: bytes, cuts: list[int]) -> None:
    decoder = NdjsonDecoder()
    lines = [line for chunk in chunked(body, cuts) for line in decoder.feed(chunk)]
    if rest := decoder.rest():
        lines.append(rest)
    assert lines == [stripped for line in body.split(b"\n") if (stripped := line.strip())]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
# Members that decoders read, with values of any type: the worst that still looks like an answer.
_MEMBERS = (
    "id model created choices usage error object x_groq message done done_reason created_at embeddings data "
    "detail code type param index delta finish_reason content tool_calls function arguments name embedding "
    "content_block partial_json stop_reason input "
    "reasoning status candidates parts text functionCall args finishReason promptFeedback blockReason usageMetadata "
    "promptTokenCount logprobsResult chosenCandidates values details retryDelay violations "
    "tool_plan citations sources document thinking tokens billed_units output item response summary annotations "
    "citation citationMetadata citationSources uri startIndex endIndex groundingMetadata groundingChunks web "
    "groundingSupports segment groundingChunkIndices"
)
MEMBERS = st.sampled_from(_MEMBERS.split())
ANSWERS = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(MEMBERS, inner, max_size=6), max_leaves=20
)
GOLDEN_FRAMES = st.sampled_from(
    [
        line.removeprefix(b"data: ")
        for path in sorted(GOLDEN.glob("*/*"))
        if path.suffix == ".stream" or path.name.endswith(".answer.json")
        for line in path.read_bytes().splitlines()
        if line
    ]
)


def one_byte_changed(frame: bytes, place: int, byte: int) -> bytes:
    place %= len(frame)
    return frame[:place] + bytes([byte]) + frame[place + 1 :]


FRAMES = st.one_of(
    st.binary(max_size=30),
    ANSWERS.map(msgspec.json.encode),
    GOLDEN_FRAMES,
    st.builds(one_byte_changed, GOLDEN_FRAMES, st.integers(0, 10_000), st.integers(0, 255)),
    st.just(b"[DONE]"),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    prefix = draw(st.sampled_from([b"data: ", b"", b"event: error\ndata: "]))
    end = draw(st.sampled_from([b"\n\n", b"\n", b"\r\n\r\n"]))
    return b"".join(prefix + frame + end for frame in draw(st.lists(FRAMES, max_size=6)))


def decode(type_: str, chunks: list[bytes]) -> list[Event]:
    decoder = golden_codec(type_).chat_decoder(golden_call(type_))
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.end()


@given(TYPES, streams(), CUTS)
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_events_that_end_once_and_do_not_depend_on_the_chunking(
    type_: str, body: bytes, cuts: list[int]
) -> None:
    whole = decode(type_, [body])
    assert comparable(decode(type_, chunked(body, cuts))) == comparable(whole)
    assert [isinstance(event, Broken | End) for event in whole] == [False] * (len(whole) - 1) + [True]


@given(TYPES, FRAMES)
@settings(deadline=None)
def test_only_a_fault_escapes_from_whole_answers(type_: str, body: bytes) -> None:
    codec = golden_codec(type_)
    events = outcome(lambda: codec.decode_chat(golden_call(type_), body))
    assert isinstance(events, Fault) or isinstance(events[-1], End)
    embeddings = outcome(lambda: codec.decode_embeddings(EMBEDDINGS_CALL, body))
    assert isinstance(embeddings, Fault) or len(embeddings.vectors) == 1


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "retry-after-ms",
            "date",
            "x-ratelimit-reset-requests",
            "x-ratelimit-reset-tokens",
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-tokens-reset",
        ]
    ),
    st.one_of(
        st.text(max_size=12),
        st.from_regex(r"-?[0-9]{1,20}(\.[0-9]+)?(ms|s|m|h|e9)?", fullmatch=True),
        st.datetimes().map(lambda date: date.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        st.datetimes().map(lambda date: f"{date.isoformat()}Z"),
        st.sampled_from(["Sun, 22 Nov 2026 15:00:00 GMT", "Sun, 99 Nov 0000 99:00:00 +9999", "nan", "-inf"]),
    ),
)


@given(TYPES, st.integers(100, 999), HEADERS, FRAMES)
@settings(deadline=None)
def test_every_error_answer_has_a_fault(type_: str, status: int, headers: dict[str, str], body: bytes) -> None:
    fault = golden_codec(type_).classify(status, headers, body)
    assert isinstance(fault.kind, FaultKind)
    assert 0 < len(fault.message) <= 500
    assert fault.retry_after_s is None or 0 <= fault.retry_after_s <= MAX_COOLDOWN_S


@given(HEADERS, st.text(max_size=30))
@settings(deadline=None)
def test_a_named_wait_is_one_that_can_be_waited(headers: dict[str, str], message: str) -> None:
    wait_s = retry_after_s(429, headers, message)
    assert wait_s is None or 0 <= wait_s <= MAX_COOLDOWN_S


SCALARS = st.sampled_from([None, True, 0, 1, -1, 2.5, "", "x", "tool", "assistant", "user", "required", "json_schema"])
_REQUEST_MEMBERS = (
    "messages tools tool_choice n stop seed temperature max_tokens response_format reasoning_effort logprobs "
    "options think keep_alive frobnicate role content tool_calls tool_call_id name refusal type function "
    "arguments extra_content image_url input_audio file url detail file_id parameters strict verbosity reasoning "
    "web_search_options user_location approximate top_p max_completion_tokens thinking"
)
REQUEST_MEMBERS = st.sampled_from(_REQUEST_MEMBERS.split())
REQUESTS = st.dictionaries(
    REQUEST_MEMBERS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(REQUEST_MEMBERS, inner, max_size=4),
        max_leaves=10,
    ),
    max_size=6,
)


@given(TYPES, REQUESTS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_request_is_encoded_or_refused(type_: str, body: dict[str, object], stream: bool) -> None:
    request, model = chat_request(msgspec.json.encode(body | {"stream": stream})), golden_model(type_)
    call = outcome(lambda: golden_codec(type_).encode_chat(request, Model(model, 4096)))
    if isinstance(call, Fault):
        assert call.kind in (FaultKind.UNSUPPORTED, FaultKind.BAD_REQUEST)
        assert call.param in body
    else:
        sent = msgspec.json.decode(call.body)
        assert sent.get("model") == model or f"/{model}:" in call.path
        assert call.path == golden_call(type_).path or golden_call(type_).path == "/"
        assert {name.partition(".")[0] for name in call.dropped} <= body.keys()
