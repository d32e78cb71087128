"""Newline-delimited JSON, decoded as it arrives: bytes in, whole lines out, for any chunking the same.

Knows framing only: whether a line is JSON is for the codec to find out.
"""

from __future__ import annotations

from cortex.errors import Fault, FaultKind

MAX_LINE_BYTES = 8 * 1024 * 1024


class NdjsonDecoder:
    """Cuts a body into lines at LF. Holds at most one incomplete line of `max_line_bytes`."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete, without white space around them; blank lines are left out.

        Raises Fault(INVALID_RESPONSE) if a line is larger than the bound.
        """
        *lines, rest = data.split(b"\n")
        if lines and self._pending:
            self._check_size(len(self._pending) + len(lines[0]))
            lines[0] = bytes(self._pending) + lines[0]
            self._pending.clear()
        self._pending += rest
        self._check_size(max(len(self._pending), max(map(len, lines), default=0)))
        return [line for raw in lines if (line := raw.strip())]

    def rest(self) -> bytes:
        """The last line if the body ended without LF; b"" if only white space is left."""
        return bytes(self._pending).strip()

    def _check_size(self, size: int) -> None:
        if size > self._max_line_bytes:
            self._pending.clear()
            raise Fault(
                FaultKind.INVALID_RESPONSE, f"the upstream sent a line of more than {self._max_line_bytes} bytes"
            )
