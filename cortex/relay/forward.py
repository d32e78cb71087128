"""Passes an upstream's frames on byte for byte, with a tap for usage and errors.

Most frames of a stream bring a piece of text and nothing else. Such a frame is recognised by a scan of its bytes and
checked as JSON, but nothing is built of it. Every other frame goes through the codec's own decoder, which alone says
what it means: the two ways to relay cannot differ in that.

Of the upstream's bytes these are changed, and nothing else: comments are left out until the commit; the usage chunk is
left out if the client did not ask for it; the first frame with a finish reason and all that follows are held until the
terminal marker; an error frame becomes a fault; nothing follows the marker.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from cortex.chat import Broken, Delta, End, Event, Finish
from cortex.errors import Fault, FaultKind
from cortex.providers.codec import StreamDecoder
from cortex.relay.tally import Tally, text_bytes
from cortex.sse import SseDecoder, SseEvent

MAX_HELD_BYTES = 1024 * 1024  # before the commit
MAX_ENDING_BYTES = 8 * 1024 * 1024  # after the first finish reason; other choices may still go on

# A value that begins with n is null. Keys in escapes (`\u0065rror`) go the long way, as do all control characters.
_TELLING = re.compile(rb'"(?:error|finish_reason|usage|tool_calls|function_call)"\s*:\s*[^\sn]')
_ESCAPED_ASCII = rb"\u00"
_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\{')
_DATA = b"data: "
_AROUND_DATA_BYTES = len(_DATA) + 2  # and the blank line
_RUN = re.compile(rb"(?:data: \{[^\r\n]*\}\n\n)+")
_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_check_lines = msgspec.json.Decoder(msgspec.Raw).decode_lines


class _Frame(msgspec.Struct, gc=False):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_decode_frame = msgspec.json.Decoder(_Frame).decode


class Forward:
    """Implements cortex.relay.Relay for an upstream that speaks the client's dialect."""

    def __init__(self, decoder: StreamDecoder, *, include_usage: bool) -> None:
        self.committed = False
        self.whole = False
        self.fault: Fault | None = None
        self.tally = Tally()
        self._sse = SseDecoder()
        self._decoder = decoder
        self._include_usage = include_usage
        self._ending = False  # a finish reason has been seen
        self._held: list[bytes] = []  # frames that wait for the commit, or from the finish reason on for the marker
        self._held_bytes = 0
        self._around_text_bytes = 0  # what a frame has besides its text

    def feed(self, data: bytes) -> bytes:
        if self.whole or self.fault is not None:
            return b""
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
        start, size = 0, len(data)
        while start < size and not self.whole:
            if self.committed and not self._ending and self._sse.between_frames:
                end = _plain_run(data, start)
                if end > start:
                    self._pass_run(data[start:end], ready)
                    start = end
                    continue
            end = data.find(b"\n\n", start) + 2
            end = end if end > 1 else size
            self._relay(self._sse.feed(data[start:end]), ready)
            start = end

    def _pass_run(self, run: bytes, ready: list[bytes]) -> None:
        frames = run.count(b"\n\n")
        self.tally.frames += frames
        self.tally.output_bytes += max(frames, len(run) - frames * (self._around_text_bytes + _AROUND_DATA_BYTES))
        ready.append(run)

    def _relay(self, frames: Sequence[SseEvent], ready: list[bytes]) -> None:
        """Append to `ready` what the client may see now. Raises Fault; what was appended before it stands."""
        for frame in frames:
            if self.committed and _is_plain(frame):
                self._pass(frame, ready)
                self.tally.frames += 1
                self.tally.output_bytes += max(1, len(frame.data or b"") - self._around_text_bytes)
            else:
                self._take(frame, ready)
                if self.whole:
                    return

    def _take(self, frame: SseEvent, ready: list[bytes]) -> None:
        """A frame that may mean more than text. Raises the fault that it tells."""
        if frame.data is None:
            if self.committed:
                self._pass(frame, ready)
            return
        for event in self._decoder.feed(frame.raw):
            self.tally.note(event)
            self._note(event, frame.data, ready)
        if self.whole:
            ready.append(frame.raw)
        elif self._include_usage or not _is_usage(frame.data):
            self._pass(frame, ready)

    def _note(self, event: Event, data: bytes, ready: list[bytes]) -> None:
        match event:
            case Delta(is_content=True) if not self.committed:
                self._around_text_bytes = len(data) - text_bytes(event)
                self.committed = True
                if not self._ending:
                    self._release(ready)
            case Finish():
                self._ending = True
            case End():
                self._release(ready)
                self.committed = self.whole = True
            case Broken():
                raise event.fault

    def _pass(self, frame: SseEvent, ready: list[bytes]) -> None:
        if self.committed and not self._ending:
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


def _plain_run(data: bytes, start: int) -> int:
    """The end of the frames from `start` on that surely bring text only, in valid JSON; `start` if there are none.

    As `_is_plain`, with a few calls for all of them.
    """
    run = _RUN.match(data, start)
    if run is None:
        return start
    end = run.end()
    if (telling := _TELLING.search(data, start, end)) is not None:
        end = _frame_start(data, start, telling.start())
    if (escaped := data.find(_ESCAPED_ASCII, start, end)) >= 0:
        end = _frame_start(data, start, escaped)
    if end == start:
        return start
    lines = data[start + len(_DATA) : end - 1].replace(b"\n\n" + _DATA, b"\n")
    try:
        frames = _check_lines(lines)
        if not lines.isascii():
            lines.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return start
    count = data.count(b"\n\n", start, end)
    return end if len(frames) == len(_CHOICES.findall(lines)) == count else start


def _frame_start(data: bytes, start: int, place: int) -> int:
    """Where the frame begins that has the byte at `place`; `start` is where the first one does."""
    found = data.rfind(b"\n\n", start, place)
    return start if found < 0 else found + 2


def _is_plain(frame: SseEvent) -> bool:
    """Whether this frame surely brings text only, in valid JSON. When in doubt, the decoder says what it is."""
    data = frame.data
    if data is None or frame.event is not None or _ESCAPED_ASCII in data:
        return False
    if _TELLING.search(data) is not None or _CHOICES.search(data) is None:
        return False
    try:
        _check_syntax(data)
        if not data.isascii():
            data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _is_usage(data: bytes) -> bool:
    """Whether this is the chunk that brings usage and no choices."""
    try:
        frame = _decode_frame(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return not frame.choices and bytes(frame.usage) != b"null"
