"""Paced streams: what is asked for, what is sent, and what must come back, event by event.

Each event is one word that tells its place in the stream and when it was sent. Whatever happens to it on its way shows
in the transcript: lost, twice, out of order, joined with another. Pure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from benchmarks.exchange import CLIENT_KEY, decode

_NAME = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1764000000, "model": "bench"}
_USAGE = {"prompt_tokens": 24, "completion_tokens": 50, "total_tokens": 74}
_WORD = "@WORD@"
_DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def request(events: int) -> bytes:
    """For a stream of so many events, head and body."""
    body = json.dumps(
        {
            "model": "chat",
            "messages": [{"role": "user", "content": "Count, slowly."}],
            "max_tokens": events,
            "stream": True,
        }
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {CLIENT_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# What the upstream writes: every frame is an HTTP chunk of its own


def chunk(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def _frame(**members: object) -> bytes:
    return f"data: {json.dumps({**_NAME, **members})}\n\n".encode()


def _choice(delta: dict[str, str], reason: str | None = None) -> list[object]:
    return [{"index": 0, "delta": delta, "finish_reason": reason}]


_OPENING = _frame(choices=_choice({"role": "assistant", "content": ""}))
_EVENT = chunk(_frame(choices=_choice({"content": f" {_WORD:>28}"})))  # as long as a word with its blank
_BEFORE, _, _AFTER = _EVENT.partition(f" {_WORD:>28}".encode())
_FINISH = _frame(choices=_choice({}, "stop"))
_USAGE_CHUNK = _frame(choices=[], usage=_USAGE)


def opening() -> bytes:
    return chunk(_OPENING)


def event(place: int, sent_ns: int) -> bytes:
    return b"%b %08d:%019d%b" % (_BEFORE, place, sent_ns, _AFTER)


def ending(*, include_usage: bool) -> bytes:
    frames = [_FINISH, _USAGE_CHUNK, _DONE] if include_usage else [_FINISH, _DONE]
    return b"".join(map(chunk, frames)) + LAST_CHUNK


# What the client makes of it


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event. Times are the same clock's, in nanoseconds."""

    place: int
    sent_ns: int
    came_ns: int


@dataclass(slots=True)
class Transcript:
    """One stream as it came."""

    arrivals: list[Arrival] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    bundled: int = 0  # events that came in one read with the event before


class StreamReader:
    """Takes an answer apart, read by read. Raises ValueError where it is no chunked answer of status 200."""

    def __init__(self) -> None:
        self.ended = False
        self._raw = bytearray()
        self._body = bytearray()
        self._in_body = False

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that have become whole, without their blank lines."""
        self._raw += data
        if not self._in_body and not self._read_head():
            return []
        at = 0
        while not self.ended and (line_end := self._raw.find(b"\r\n", at)) >= 0:
            size = int(self._raw[at:line_end], 16)
            start = line_end + 2
            if len(self._raw) < start + size + 2:
                break
            self.ended = size == 0
            self._body += self._raw[start : start + size]
            at = start + size + 2
        del self._raw[:at]
        if self.ended and self._raw:
            raise ValueError("bytes after the answer")
        *frames, rest = self._body.split(b"\n\n")
        self._body = rest
        return [bytes(frame) for frame in frames]

    @property
    def rest(self) -> bytes:
        """What belongs to no whole frame."""
        return bytes(self._body)

    def _read_head(self) -> bool:
        end = self._raw.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._raw[:end]).lower()
        status = head[9:12].decode(errors="replace")
        if not head.startswith(b"http/1.1 ") or status != "200":
            raise ValueError(f"status {status}")
        if b"\r\ntransfer-encoding: chunked" not in head:
            raise ValueError("not chunked")
        del self._raw[: end + 4]
        self._in_body = True
        return True


def transcript(reads: Sequence[tuple[int, bytes]], events: int) -> Transcript:
    """Of all that was read and when, in nanoseconds: the events, and whatever is wrong with them."""
    seen = Transcript()
    reader = StreamReader()
    done = finished = False
    try:
        for came_ns, data in reads:
            before = len(seen.arrivals)
            for frame in reader.feed(data):
                if done:
                    seen.faults["frames after [DONE]"] += 1
                elif frame == b"data: [DONE]":
                    done = True
                else:
                    finished = _take(frame, came_ns, seen) or finished
            seen.bundled += max(0, len(seen.arrivals) - before - 1)
    except ValueError as error:
        seen.faults[str(error)] += 1
        return seen
    if not (done and reader.ended and finished) or reader.rest:
        seen.faults["no whole end"] += 1
    _judge(seen, events)
    return seen


def _take(frame: bytes, came_ns: int, seen: Transcript) -> bool:
    """Note what one frame tells; whether it tells that the answer is finished."""
    if frame.startswith(b":"):
        return False
    try:
        (choice,) = decode(frame.removeprefix(b"data: ")).choices
        words = choice.delta.content.split()
        if words:
            (word,) = words
            place, _, sent_ns = word.partition(":")
            seen.arrivals.append(Arrival(int(place), int(sent_ns), came_ns))
    except (msgspec.DecodeError, ValueError):
        seen.faults["not one event in a frame"] += 1
        return False
    return choice.finish_reason == "stop"


def _judge(seen: Transcript, events: int) -> None:
    places = [arrival.place for arrival in seen.arrivals]
    once = set(places)
    counts = {
        "events lost": len(set(range(events)) - once),
        "events that nobody sent": len(once - set(range(events))),
        "events twice": len(places) - len(once),
        "events out of order": sum(later < earlier for earlier, later in pairwise(places)),
    }
    seen.faults.update({kind: count for kind, count in counts.items() if count})
