"""Passes an upstream's frames on byte for byte, with a tap for usage and errors.

Most frames of a stream bring a piece of text and nothing else. Frames that are plain in this sense are recognised by
decoding them to a form that has no room for anything else: that reads every byte, but builds next to nothing. Every
other frame goes through the codec's own decoder, which alone says what it means: the two ways to relay cannot differ in
that.

Of the upstream's bytes these are changed, and nothing else: comments are left out until the commit; the usage chunk is
left out if the client did not ask for it; the first frame with a finish reason and all that follows are held until the
terminal marker; an error frame becomes a fault; nothing follows the marker.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cortex.chat import Broken, Delta, End, Event, Finish
from cortex.errors import Fault, FaultKind
from cortex.providers.codec import FrameDecoder
from cortex.relay.tally import Tally, text_bytes
from cortex.sse import SseDecoder, SseEvent

MAX_HELD_BYTES = 1024 * 1024  # before the commit
MAX_ENDING_BYTES = 8 * 1024 * 1024  # after the first finish reason; other choices may still go on

_DATA = b"data: "
_END = b"\n\n"
_ENDING_FRAMES = 4  # a finish reason, usage, the marker, and one more
_AROUND_DATA_BYTES = len(_DATA) + len(_END)


class _PlainDelta(msgspec.Struct, gc=False):
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    delta: _PlainDelta | None = None
    finish_reason: None = None


class _PlainFrame(msgspec.Struct, gc=False):
    choices: Annotated[list[_PlainChoice], msgspec.Meta(min_length=1)]
    usage: None = None
    error: None = None
    x_groq: None = None
    object: Literal["chat.completion.chunk"] | None = None


_decode_plain = msgspec.json.Decoder(_PlainFrame).decode_lines


class _Frame(msgspec.Struct, gc=False):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_decode_frame = msgspec.json.Decoder(_Frame).decode


class Forward:
    """Implements cortex.relay.Relay for an upstream that speaks the client's dialect."""

    def __init__(self, decoder: FrameDecoder, *, include_usage: bool) -> None:
        self.committed = False
        self.whole = False
        self.fault: Fault | None = None
        self.tally = Tally()
        self._sse = SseDecoder()
        self._decoder = decoder
        self._include_usage = include_usage
        self._ending = False  # a finish reason has been seen
        self._passes = False  # plain frames go to the client as they come: committed, and not ending
        self._held: list[bytes] = []  # frames that wait for the commit, or from the finish reason on for the marker
        self._held_bytes = 0
        self._around_text_bytes = 0  # what a frame has besides its text

    def feed(self, data: bytes) -> bytes:
        if self.whole or self.fault is not None:
            return b""
        if self._passes and self._sse.between_frames and (frames := _plain_frames(data)):
            self._count(frames, len(data))
            return data
        ready: list[bytes] = []
        try:
            self._feed(data, ready)
        except Fault as fault:
            self._fail(fault)
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def end(self) -> bytes:
        """The marker may lack its blank line: the decoder says whether what is left over is that."""
        if self.whole or self.fault is not None:
            return b""
        ready: list[bytes] = []
        rest = self._sse.rest()
        try:
            for event in (*self._decoder.feed(rest), *self._decoder.end()):
                self.tally.note(event)
                self._note(event, rest, ready)
            ready.append(rest.rstrip(b"\r\n") + b"\n\n")  # no Broken: it is whole
        except Fault as fault:
            self._fail(fault)
        return b"".join(ready)

    def _feed(self, data: bytes, ready: list[bytes]) -> None:
        """Runs of plain frames pass as they are; what is between two runs goes frame by frame."""
        start, size, not_plain = 0, len(data), -1
        while start < size:
            end = data.find(_END, start) + len(_END)
            if end < len(_END):
                end = size
            elif start != not_plain and self._passes and self._sse.between_frames:
                frames, not_plain = _plain_run(data, start)
                if frames:
                    self._count(frames, not_plain - start)
                    ready.append(data[start:not_plain])
                    start = not_plain
                    continue
            for frame in self._sse.feed(data[start:end]):
                if self._take(frame, ready):
                    return
            start = end

    def _count(self, frames: int, size_bytes: int) -> None:
        self.tally.frames += frames
        around_bytes = frames * (self._around_text_bytes + _AROUND_DATA_BYTES)
        self.tally.output_bytes += max(frames, size_bytes - around_bytes)

    def _take(self, frame: SseEvent, ready: list[bytes]) -> bool:
        """A frame that may mean more than text: append to `ready` what the client may see now. True: it is the last.

        Raises the fault that it tells; what was appended before stands.
        """
        if frame.data is None:
            if self.committed:
                self._pass(frame, ready)
            return False
        for event in self._decoder.take(frame):
            self.tally.note(event)
            self._note(event, frame.data, ready)
        if self.whole:
            ready.append(frame.raw)
        elif self._include_usage or not _is_usage(frame.data):
            self._pass(frame, ready)
        return self.whole

    def _note(self, event: Event, data: bytes, ready: list[bytes]) -> None:
        match event:
            case Delta(is_content=True) if not self.committed:
                self._around_text_bytes = len(data) - text_bytes(event)
                self.committed = True
                if not self._ending:
                    self._passes = True
                    self._release(ready)
            case Finish():
                self._ending = True
                self._passes = False
            case End():
                self._release(ready)
                self.committed = self.whole = True
            case Broken():
                raise event.fault

    def _pass(self, frame: SseEvent, ready: list[bytes]) -> None:
        if self._passes:
            ready.append(frame.raw)
            return
        self._held.append(frame.raw)
        self._held_bytes += len(frame.raw)
        if self._held_bytes > (MAX_ENDING_BYTES if self._ending else MAX_HELD_BYTES):
            where = "after a finish reason" if self._ending else "before any content"
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent {self._held_bytes} bytes {where}")

    def _release(self, ready: list[bytes]) -> None:
        ready += self._held
        self._held.clear()
        self._held_bytes = 0

    def _fail(self, fault: Fault) -> None:
        self.fault = fault
        self._held.clear()


def _plain_frames(data: bytes) -> int:
    """How many frames these bytes are, if each of them is whole, valid JSON and brings text only; else 0."""
    if not data.startswith(_DATA) or not data.endswith(_END):
        return 0
    lines = data[len(_DATA) : -len(_END)]
    if b"\n" in lines:  # what is not the end of one frame and the start of the next leaves a line that is no JSON
        lines = b"\n".join(lines.split(_END + _DATA))
    try:
        frames = len(_decode_plain(lines))
        if not lines.isascii():
            lines.decode()  # of what is not kept only the syntax has been read
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return frames


def _plain_run(data: bytes, start: int) -> tuple[int, int]:
    """How many of the frames from `start` on are plain, up to the first that is not, and where they end."""
    end = data.rfind(_END, start) + len(_END)
    for _ in range(_ENDING_FRAMES):  # a stream's last frames are the likeliest to be something else
        last = max(start, data.rfind(_END, start, end - len(_END)) + len(_END))
        if _plain_frames(data[last:end]):
            break
        if last == start:
            return 0, start
        end = last
    if frames := _plain_frames(data[start:end]):
        return frames, end
    return _plain_beginning(data[start:end].split(_END)[:-1], start)


def _plain_beginning(pieces: list[bytes], start: int) -> tuple[int, int]:
    """As `_plain_run`, of frames without their ends, found by halving."""
    plain, frames, end, left = 0, 0, start, len(pieces)
    while plain < left:
        middle = (plain + left + 1) // 2
        run = _END.join(pieces[plain:middle]) + _END
        if found := _plain_frames(run):
            plain, frames, end = middle, frames + found, end + len(run)
        else:
            left = middle - 1
    return frames, end


def _is_usage(data: bytes) -> bool:
    """Whether this is the chunk that brings usage and no choices."""
    if b"usage" not in data and b"\\" not in data:
        return False
    try:
        frame = _decode_frame(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return not frame.choices and bytes(frame.usage) != b"null"
