"""Takes the content coding off a body: bounded in memory, pure, and wary of its input.

Cortex asks every upstream for `identity`, but some compress all the same. A decoder gives at most `MAX_OUTPUT_BYTES` a
call, however much its input would swell to; how large a whole body may grow is for the reader to say.
"""

from __future__ import annotations

import zlib

from cortex.errors import Fault, FaultKind

MAX_OUTPUT_BYTES = 1024 * 1024

_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_RAW_DEFLATE_WBITS = -15
_DEFLATE_METHOD = 8  # in the low half of a zlib header's first byte


class Inflater:
    """Decodes one body in `gzip` or `deflate` coding: `feed`, then `take` until it gives nothing, at last `finish`."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflate: zlib._Decompress | None = None
        self._input = b""

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes:
        """The next decoded bytes, b"" if that needs more input. Raises Fault(INVALID_RESPONSE) on bad data."""
        if self._inflate is None:
            if not self._input:
                return b""
            self._inflate = zlib.decompressobj(_GZIP_WBITS if self._coding == "gzip" else _deflate_wbits(self._input))
        try:
            output = self._inflate.decompress(self._input, MAX_OUTPUT_BYTES)
        except zlib.error:
            raise self._invalid("the data is corrupt") from None
        self._input = self._inflate.unconsumed_tail
        if self._inflate.unused_data:
            raise self._invalid("data follows its end")
        return output

    def finish(self) -> None:
        """The body has ended. Raises Fault(BROKEN) if some of it is missing; an empty one is whole in any coding."""
        if self._inflate is not None and not self._inflate.eof:
            raise Fault(FaultKind.BROKEN, f"the upstream's {self._coding} body was cut")

    def _invalid(self, why: str) -> Fault:
        return Fault(FaultKind.INVALID_RESPONSE, f"the upstream's {self._coding} body cannot be decoded: {why}")


def inflater(content_encoding: str) -> Inflater | None:
    """For the value of a Content-Encoding header; None where there is nothing to decode.

    Raises Fault(INVALID_RESPONSE) for any other coding, several at once included.
    """
    coding = content_encoding.strip().lower().removeprefix("x-")
    if coding in ("", "identity"):
        return None
    if coding not in ("gzip", "deflate"):
        raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream used the content coding {coding[:40]!r} unasked")
    return Inflater(coding)


def _deflate_wbits(data: bytes) -> int:
    """`deflate` means the zlib format; some servers send the bare stream."""
    return _ZLIB_WBITS if data[0] & 0x0F == _DEFLATE_METHOD else _RAW_DEFLATE_WBITS
