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
_EVENT = b"event: "
_DATA = b"data: "


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
        if self._at_start:
            data = self._skip_bom(data)
        if self._lf_only and b"\r" in data:
            self._lf_only = False
        events: list[SseEvent] = []
        if self._pending:
            data = self._complete(data, events)
        used = self._cut(data, events)
        if used < len(data):
            self._pending += data[used:] if used else data
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

    def _complete(self, data: bytes, events: list[SseEvent]) -> bytes:
        """Append the frame that was incomplete, if these bytes end it. Gives those that follow it."""
        pending = self._pending
        # A blank line may have begun with the last byte that was seen; before that there is none.
        seen = len(pending) - 1
        pending += data
        end = self._frame_end(pending, max(_content(pending, 0), seen))
        if end < 0:
            return b""
        self._check_size(end)
        events.append(_frame(bytes(pending[:end])))
        rest = bytes(pending[end:])
        pending.clear()
        return rest

    def _cut(self, source: bytes, events: list[SseEvent]) -> int:
        """Append the frames in `source`; gives how many of its bytes they take."""
        start = 0
        size = len(source)
        while start < size:
            frame = _plain_frame(source, start)
            if frame is None:
                end = self._frame_end(source, _content(source, start))
                if end < 0:
                    break
                frame = _frame(source[start:end])
            taken = len(frame.raw)
            if taken > self._max_event_bytes:
                self._check_size(taken)
            events.append(frame)
            start += taken
        return start

    def _frame_end(self, source: bytes | bytearray, search: int) -> int:
        """Where the frame ends whose blank line begins at `search` or behind it; -1: it is not whole."""
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


def _content(source: bytes | bytearray, start: int) -> int:
    """Where the frame at `start` has its first line: behind the blank lines in front of it."""
    blank = _LINE_ENDS.match(source, start)
    return blank.end() if blank else start


def _plain_frame(source: bytes, start: int) -> SseEvent | None:
    """The whole frame at `start`, if it is one line of data, perhaps below its event's name. Nearly every one is.

    Its line ends are found byte by byte: a search for a single one takes the least time.
    """
    name: bytes | None = None
    line = start
    if source.startswith(_EVENT, start):
        line = source.find(b"\n", start) + 1
        name = source[start + len(_EVENT) : line - 1]
    end = source.find(b"\n", line)
    if end < 0 or line < start or not source.startswith(_DATA, line):
        return None
    if source.startswith(b"\n", end + 1):
        data = source[line + len(_DATA) : end]
        end += 2
    elif source.startswith(b"\r\n", end + 1) and source.endswith(b"\r", line, end):
        data = source[line + len(_DATA) : end - 1]
        end += 3
        if name is not None:
            if not name.endswith(b"\r"):
                return None
            name = name[:-1]
    else:
        return None
    if b"\r" in data or (name is not None and b"\r" in name):
        return None
    return SseEvent(name, data, source[start:end])


def _frame(raw: bytes) -> SseEvent:
    """A whole frame of any lines."""
    event: bytes | None = None
    data: list[bytes] = []
    for line in raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")  # a comment has an empty name
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    return SseEvent(event, b"\n".join(data) if data else None, raw)
