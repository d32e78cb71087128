"""One answer, read from an upstream's bytes as they come. Pure: it knows no socket and waits for nothing.

llhttp does the parsing and is strict about it: it refuses folded headers, bare line feeds, two lengths, length and
chunks at once, odd numbers. What it lets through is refused here: other protocols and versions, other transfer codings
than `chunked`, heads without limit, statuses below 100, a switch of protocols, and more than one answer.
"""

from __future__ import annotations

from httptools import HttpParserCallbackError, HttpParserError, HttpResponseParser

MAX_LINE_BYTES = 16 * 1024  # each header, and the status line's reason
MAX_HEAD_BYTES = 64 * 1024  # all headers, and what may come between two bytes of a body
MAX_HEADERS = 200
_SPACE = b" \t"


class Answer:
    """Fed with bytes until `complete`, or until there is an `error`; gives its body by `take`.

    It has a parser of its own, so that nothing of one answer can reach the next on the same connection.
    """

    __slots__ = (
        "_bare_bytes",
        "_ends_with_connection",
        "_field_bytes",
        "_field_count",
        "_fields",
        "_head_only",
        "_headers",
        "_interim",
        "_parser",
        "_parts",
        "_raw_headers",
        "begun",
        "buffered_bytes",
        "complete",
        "error",
        "reusable",
        "status",
    )

    def __init__(self, method: str) -> None:
        self.status = 0  # until the head is whole
        self.begun = False  # a byte has come
        self.complete = False
        self.reusable = False  # its connection is good for another request
        self.error: str | None = None  # why no more will come; names no content
        self.buffered_bytes = 0  # of the body, not taken yet
        self._head_only = method == "HEAD"
        self._interim = False  # amid a 1xx
        self._ends_with_connection = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._raw_headers: dict[bytes, bytes] = {}  # names in lower case, repeated ones joined
        self._headers: dict[str, str] | None = None  # the same as text, once somebody asks
        self._field_count = 0  # trailers and the headers of 1xx count too
        self._field_bytes = 0
        self._bare_bytes = 0  # since the last byte of the body
        self._parts: list[bytes] = []
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """The upstream's next bytes. Bytes that follow the answer make its connection not `reusable`.

        All but line breaks: sloppy servers send one after a body, and the parser passes over them wherever they come.
        """
        parser = self._parser
        if parser is None:
            if data.strip(b"\r\n"):
                self.reusable = False
            return
        if not self.begun:
            self.begun = True
            if data[0] != ord("H"):
                self._fail("it is not HTTP")
                return
        self._bare_bytes += len(data)
        try:
            parser.feed_data(data)
        except HttpParserCallbackError as error:  # raised below, and caught by the parser whatever it was
            if not isinstance(error.__context__, _Refused):
                raise
            self._fail(str(error.__context__))
        except HttpParserError as error:  # llhttp's own words, which quote nothing
            self._fail(str(error))
        if self._bare_bytes > MAX_HEAD_BYTES:
            self._fail("it is all framing and no body" if self.status else "its head is too long")
        if self.complete:
            self._parser = None

    def end(self) -> None:
        """The upstream has closed the connection."""
        if self._ends_with_connection and self.error is None:
            self.complete = True
            self._parser = None
        self._fail("the connection was closed before the end")

    def take(self) -> bytes:
        """What has come of the body since the last call."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.buffered_bytes = 0
        return data

    def _fail(self, why: str) -> None:
        """Without effect on what is whole already, but for its connection."""
        self.reusable = False
        self._parser = None  # which refers to this object: an answer must not wait for the garbage collector
        if not self.complete and self.error is None:
            self.error = why

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case, repeated ones joined."""
        if self._headers is None:
            self._headers = {name.decode("ascii"): _text(value) for name, value in self._raw_headers.items()}
        return self._headers

    @property
    def content_coding(self) -> str | None:
        coding = self._raw_headers.get(b"content-encoding")
        return None if coding is None else _text(coding)

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.complete:
            raise _Refused("bytes follow the answer")

    def on_status(self, reason: bytes) -> None:
        self._field_bytes += len(reason)
        if self._field_bytes > MAX_LINE_BYTES:
            raise _Refused("its status line is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value)
        self._field_count += 1
        self._field_bytes += size
        if size > MAX_LINE_BYTES or self._field_bytes > MAX_HEAD_BYTES or self._field_count > MAX_HEADERS:
            raise _Refused("its headers are too long or too many")
        self._fields.append((name, value))  # trailers too, which nobody looks at

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise _Refused("it is not HTTP/1")
        if status < 200:
            if status < 100 or status == 101:
                raise _Refused(f"its status is {status}")
            self._interim = True
            self._fields.clear()
            return
        headers = _joined(self._fields)
        coding = headers.get(b"transfer-encoding")
        if coding is not None and (coding.strip(_SPACE).lower() != b"chunked" or version == "1.0"):
            raise _Refused("its transfer coding is not `chunked`")
        self.status = status
        self._raw_headers = headers
        self._ends_with_connection = coding is None and b"content-length" not in headers
        if self._head_only:
            self._finish()

    def on_body(self, data: bytes) -> None:
        if self.complete:
            raise _Refused("bytes follow the answer")
        self._parts.append(data)
        self.buffered_bytes += len(data)
        self._bare_bytes = 0

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.complete:
            self._finish()

    def _finish(self) -> None:
        assert self._parser is not None
        self.complete = True
        self.reusable = self._parser.should_keep_alive()


class _Refused(Exception):
    """Not quoted: neither header nor body."""


def _joined(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers = {name.lower(): value for name, value in fields}
    if len(headers) == len(fields):
        return headers
    headers = {}
    for name, value in fields:
        name = name.lower()
        headers[name] = headers[name] + b", " + value.strip(_SPACE) if name in headers else value.strip(_SPACE)
    return headers


def _text(value: bytes) -> str:
    """Bytes that are not UTF-8 are replaced."""
    return value.strip(_SPACE).decode("utf-8", "replace")
