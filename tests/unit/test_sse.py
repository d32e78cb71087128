from __future__ import annotations

import pytest

from cortex.errors import Fault, FaultKind
from cortex.sse import SseDecoder, SseEvent


def decode(body: bytes) -> list[SseEvent]:
    return SseDecoder().feed(body)


@pytest.mark.parametrize(
    ("body", "event", "data"),
    [
        (b"data: a\n\n", None, b"a"),
        (b"data:a\n\n", None, b"a"),
        (b"data:  a\n\n", None, b" a"),
        (b"data\n\n", None, b""),
        (b"data: a\r\n\r\n", None, b"a"),
        (b"data: a\r\r", None, b"a"),
        (b"data: a\n\r\n", None, b"a"),
        (b"data: a\r\n\n", None, b"a"),
        (b"data: a\ndata: b\r\ndata:c\r\r", None, b"a\nb\nc"),
        (b"event: ping\ndata: a\n\n", b"ping", b"a"),
        (b"data: a\nevent:x\nid: 7\nretry: 5\nwhatever: y\n\n", b"x", b"a"),
        (b"event: ping\n\n", b"ping", None),
        (b": comment\n\n", None, None),
        (b": comment\ndata: a\n\n", None, b"a"),
        (b"data: a\n: comment\n\n", None, b"a"),
        ("data: a\u2028b\x0b\x0c\x85c\n\n".encode(), None, "a\u2028b\x0b\x0c\x85c".encode()),
        (b"\n\n\ndata: a\n\n", None, b"a"),
        (b"datax: a\n\n", None, None),
    ],
)
def test_frame(body: bytes, event: bytes | None, data: bytes | None) -> None:
    assert decode(body) == [SseEvent(event, data, body)]


def test_byte_order_mark_belongs_to_no_frame() -> None:
    assert decode(b"\xef\xbb\xbfdata: a\n\n") == [SseEvent(None, b"a", b"data: a\n\n")]
    assert decode(b"data: a\n\n\xef\xbb\xbfdata: b\n\n")[1].data is None, "only at the very start"


def test_no_frame_waits_for_the_byte_behind_its_end() -> None:
    decoder = SseDecoder()
    first = decoder.feed(b"data: a\r\n\r")
    second = decoder.feed(b"\ndata: b\r\n\r\n")
    assert [event.data for event in first + second] == [b"a", b"b"]
    assert b"".join(event.raw for event in first + second) == b"data: a\r\n\r\ndata: b\r\n\r\n"


def test_rest_is_what_no_blank_line_ended() -> None:
    decoder = SseDecoder()
    decoder.feed(b"data: a\n\ndata: [DO")
    assert decoder.rest() == b"data: [DO"
    assert decoder.feed(b"NE]\n") == []
    assert decoder.rest() == b"data: [DONE]\n"
    assert [event.data for event in decoder.feed(b"\n\r\n")] == [b"[DONE]"]
    assert decoder.rest() == b""


@pytest.mark.parametrize("chunk", [1, 7, 64, 4096])
def test_a_frame_beyond_the_bound_is_a_fault(chunk: int) -> None:
    body = b"data: fits\n\n" + b"data: " + b"x" * 100 + b"\n\n"
    decoder = SseDecoder(max_event_bytes=64)
    with pytest.raises(Fault) as caught:
        for start in range(0, len(body), chunk):
            decoder.feed(body[start : start + chunk])
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


def test_the_bound_is_one_of_frames_not_of_streams() -> None:
    frame = b"data: " + b"x" * 56 + b"\n\n"
    decoder = SseDecoder(max_event_bytes=len(frame))
    assert len(decoder.feed(frame * 100)) == 100


def test_blank_lines_are_bounded_too() -> None:
    decoder = SseDecoder(max_event_bytes=64)
    with pytest.raises(Fault):
        decoder.feed(b"\n" * 65)
