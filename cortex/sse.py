"""Server-sent events, decoded as they arrive: bytes in, whole frames out, for any chunking the same.

A frame keeps the exact bytes it came in, so that a relay can pass it on untouched. This module knows framing only:
what stands in a frame's data is the codecs' business.

The rules, which are those of the HTML standard with bytes instead of text:
- A line ends at LF, CRLF or CR, also mixed. Nothing else ends a line: U+2028, VT and NEL belong to the data.
- A frame ends at a blank line. A frame that the body's end leaves without one is not dispatched: it stays in `rest()`.
- Blank lines in front of a frame belong to its raw bytes. So does the LF of a CRLF that was split after its CR: a
  frame never waits for the byte behind its end.
- Several `data` lines are joined by LF; one space after a field's colon is not part of the value; a line that starts
  with a colon is a comment; a byte-order mark at the very start is skipped and belongs to no frame.
"""

from __future__ import annotations

import re

import msgspec

from cortex.errors import Fault, FaultKind

MAX_EVENT_BYTES = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_ENDS = re.compile(rb"[\r\n]+")


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One frame. `data` is None if it has no data line: a comment, or an event name alone; nothing to decode then."""

    event: bytes | None
    data: bytes | None
    raw: bytes  # as it came, with its blank line


class SseDecoder:
    """Cuts a body into frames. Holds at most one incomplete frame of `max_event_bytes`."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._pending = bytearray()  # the incomplete frame
        self._at_start = True
        self._lf_only = True

    def feed(self, data: bytes) -> list[SseEvent]:
        """The frames that these bytes complete. Raises Fault(INVALID_RESPONSE) if a frame is larger than the bound."""
        if self.between_frames and (frame := _one_line(data, 0)) is not None and len(data) <= self._max_event_bytes:
            return [frame]
        if self._at_start:
            data = self._skip_bom(data)
        if self._lf_only and b"\r" in data:
            self._lf_only = False
        if not self._pending:
            events, used = self._cut(data, 0)
            if used < len(data):
                self._pending += data[used:] if used else data
        else:
            # A blank line may have begun with the last byte that was seen; before that there is none.
            seen = len(self._pending) - 1
            self._pending += data
            events, used = self._cut(self._pending, seen)
            if used:
                del self._pending[:used]
        self._check_size(len(self._pending))
        return events

    @property
    def between_frames(self) -> bool:
        """Whether the next byte begins a frame: nothing of one is held."""
        return not self._pending and not self._at_start

    def rest(self) -> bytes:
        """What came after the last whole frame; b"" if only line ends did."""
        rest = bytes(self._pending)
        return rest if rest.strip(b"\r\n") else b""

    def _skip_bom(self, data: bytes) -> bytes:
        data = bytes(self._pending) + data
        self._pending.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pending += data
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _cut(self, source: bytes | bytearray, search: int) -> tuple[list[SseEvent], int]:
        """The frames in `source` and how many of its bytes they take. No frame ends before `search`."""
        events: list[SseEvent] = []
        start = 0
        size = len(source)
        while start < size:
            content = start
            if source[start] in b"\r\n" and (blank := _LINE_ENDS.match(source, start)):
                content = blank.end()
            end = self._frame_end(source, max(content, search))
            if end < 0:
                break
            self._check_size(end - start)
            events.append(_parse(bytes(source[start:end]), content - start))
            start = end
        return events, start

    def _frame_end(self, source: bytes | bytearray, search: int) -> int:
        if self._lf_only:
            found = source.find(b"\n\n", search)
            return found + 2 if found >= 0 else -1
        match = _BLANK_LINE.search(source, search)
        return match.end() if match else -1

    def _check_size(self, size: int) -> None:
        if size > self._max_event_bytes:
            self._pending.clear()
            raise Fault(
                FaultKind.INVALID_RESPONSE, f"the upstream sent an event of more than {self._max_event_bytes} bytes"
            )


def _parse(raw: bytes, content: int) -> SseEvent:
    """`content` is where the frame's first line begins in `raw`."""
    return _one_line(raw, content) or _parse_lines(raw)


def _one_line(raw: bytes, content: int) -> SseEvent | None:
    """Nearly every frame of a stream is one line of data: that is taken without splitting. None: this is not one."""
    if not raw.startswith(b"data: ", content) or raw.find(b"\n", content) != len(raw) - 2 or b"\r" in raw:
        return None
    return SseEvent(None, raw[content + 6 : -2], raw) if raw.endswith(b"\n\n") else None


def _parse_lines(raw: bytes) -> SseEvent:
    event: bytes | None = None
    data: list[bytes] = []
    for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")  # a comment has an empty name
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    return SseEvent(event, b"\n".join(data) if data else None, raw)
