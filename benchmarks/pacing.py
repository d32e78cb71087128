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

from benchmarks.exchange import decode, post
from benchmarks.numbered import NUMBER

_NAME = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1764000000, "model": "bench"}
_USAGE = {"prompt_tokens": 24, "completion_tokens": 50, "total_tokens": 74}
_WORD = "@WORD@"
_DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def request(events: int, *, stream: bool = True) -> bytes:
    """For an answer of so many events, head and body, with a place for a number."""
    asked = {
        "model": "chat",
        "messages": [{"role": "user", "content": f"Request {NUMBER}: count, slowly."}],
        "max_tokens": events,
        "stream": stream,
    }
    return post(json.dumps(asked).encode())


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


def completion(stamps_ns: Sequence[int]) -> bytes:
    """The same events as one JSON object."""
    words = "".join(f" {place:08d}:{sent_ns:019d}" for place, sent_ns in enumerate(stamps_ns))
    choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
    told = {**_NAME, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return json.dumps(told).encode()


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
    """Of all that was read of an answer, and when, in nanoseconds: the events, and whatever is wrong with them."""
    notes = _Notes()
    reader = StreamReader()
    try:
        for came_ns, data in reads:
            notes.take(reader.feed(data), came_ns)
    except ValueError as error:
        notes.seen.faults[str(error)] += 1
        return notes.seen
    return notes.close(events, whole=reader.ended and not reader.rest)


def faults(body: bytes, events: int) -> Counter[str]:
    """What is wrong with the body of a stream, by kind; empty if nothing is."""
    notes = _Notes()
    *frames, rest = body.split(b"\n\n")
    notes.take(frames, 0)
    return notes.close(events, whole=not rest).faults


def completion_faults(body: bytes, events: int) -> Counter[str]:
    """What is wrong with an answer that is no stream; empty if nothing is."""
    try:
        (choice,) = decode(body).choices
        places = [int(word.partition(":")[0]) for word in choice.message.content.split()]
    except (msgspec.DecodeError, ValueError):
        return Counter({"not a completion": 1})
    right = choice.finish_reason == "stop" and places == list(range(events))
    return Counter() if right else Counter({"another text": 1})


class _Notes:
    """Takes the frames of one stream as they come."""

    def __init__(self) -> None:
        self.seen = Transcript()
        self._finished = False
        self._done = False

    def take(self, frames: Sequence[bytes], came_ns: int) -> None:
        """What came in one read."""
        before = len(self.seen.arrivals)
        for frame in frames:
            if frame.startswith(b":"):
                continue
            if self._done:
                self.seen.faults["frames after [DONE]"] += 1
            elif frame == b"data: [DONE]":
                self._done = True
            else:
                self._event(frame, came_ns)
        self.seen.bundled += max(0, len(self.seen.arrivals) - before - 1)

    def _event(self, frame: bytes, came_ns: int) -> None:
        try:
            (choice,) = decode(frame.removeprefix(b"data: ")).choices
            words = choice.delta.content.split()
            if words:
                (word,) = words
                place, _, sent_ns = word.partition(":")
                self.seen.arrivals.append(Arrival(int(place), int(sent_ns), came_ns))
        except (msgspec.DecodeError, ValueError):
            self.seen.faults["not one event in a frame"] += 1
            return
        self._finished = self._finished or choice.finish_reason == "stop"

    def close(self, events: int, *, whole: bool) -> Transcript:
        """Nothing more comes. `whole`: the framing says so, too."""
        if not (self._done and self._finished and whole):
            self.seen.faults["no whole end"] += 1
        places = [arrival.place for arrival in self.seen.arrivals]
        once, sent = set(places), set(range(events))
        counts = {
            "events lost": len(sent - once),
            "events that nobody sent": len(once - sent),
            "events twice": len(places) - len(once),
            "events out of order": sum(later < earlier for earlier, later in pairwise(places)),
        }
        self.seen.faults.update({kind: count for kind, count in counts.items() if count})
        return self.seen
