"""Everything that can go wrong at an upstream, as replies for a script. Ports that refuse: `tests.support.ports`.

Constants are replies that need nothing; functions take what matters. The names say what the client sees. Any other
fault is a few steps away: `sse(*chunks(tokens)[:3], stall)`, `json(value).cut(40, reset)`, `.in_pieces(1)`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Action, Reply, close, head, pause, raw, reset, sse, stall

TOKENS = ("Hel", "lo", " wor", "ld")
_SSE = {"Content-Type": "text/event-stream"}
_JSON = {"Content-Type": "application/json"}

# Before the headers.

BLACK_HOLE = raw(stall)  # takes the request and never answers
RESET = raw(reset)
CLOSE = raw(close)
BAD_STATUS_LINE = raw(b"HTTP/1.1 abc OK\r\n\r\n", stall)
NOT_HTTP = raw(b"220 smtp.example ready\r\n", stall)
HALF_A_HEAD = raw(b"HTTP/1.1 200 OK\r\nContent-Ty", close)
HEADERS_THEN_SILENCE = raw(head(200, _SSE | {"Transfer-Encoding": "chunked"}), stall)


def stale(reply: Reply, ending: Action = close) -> Callable[[Request], Reply]:
    """A script: keep-alive, but each connection's second request meets `ending` (close or reset) without an answer."""
    return lambda request: reply if request.nth_on_connection == 0 else raw(ending)


def long_header(size: int, value: Any = None) -> Reply:
    return replies.json(value or {}, headers={"X-Long": "x" * size})


def both_lengths(value: Any) -> Reply:
    """Content-Length and Transfer-Encoding at once: a body with two ends."""
    data = json.dumps(value).encode()
    fields = _JSON | {"Content-Length": str(len(data)), "Transfer-Encoding": "chunked"}
    return raw(head(200, fields) + replies.chunk(data) + b"0\r\n\r\n")


# In the body's framing.


def body_too_short(value: Any, missing: int = 10) -> Reply:
    """Content-Length promises `missing` bytes more than come before the connection closes."""
    data = json.dumps(value).encode()
    return raw(head(200, _JSON | {"Content-Length": str(len(data) + missing)}) + data, close)


def close_delimited(value: Any, keep: int | None = None, ending: Action = close) -> Reply:
    """A JSON body that ends with the connection, whole or after `keep` bytes, by FIN or RST."""
    return raw(head(200, _JSON | {"Connection": "close"}) + json.dumps(value).encode()[:keep], ending)


def bad_chunk_size(tokens: Sequence[str] = TOKENS) -> Reply:
    """A stream whose chunks go bad after its tokens; the connection stays open."""
    return raw(*unmarked_stream(tokens).steps[:-1], pause(0.01), b"zz\r\ndata: x\r\n", stall)


# Streams that do not end as they should; the tokens before are whole.


def stalled_stream(tokens: Sequence[str] = TOKENS) -> Reply:
    """The tokens, then silence for ever."""
    return sse(*openai.chunks(tokens, finish=None, done=False), stall)


def cut_stream(tokens: Sequence[str] = TOKENS, ending: Action = close) -> Reply:
    """The tokens, then FIN or RST: no finish, no marker, no last chunk."""
    return sse(*openai.chunks(tokens, finish=None, done=False), ending)


def cut_close_delimited_stream(tokens: Sequence[str] = TOKENS, ending: Action = close) -> Reply:
    """The same without chunks: HTTP cannot tell that something is missing."""
    return sse(*openai.chunks(tokens, finish=None, done=False), ending, framing="close")


def unmarked_stream(tokens: Sequence[str] = TOKENS) -> Reply:
    """A clean end of HTTP, but neither finish nor `[DONE]`."""
    return sse(*openai.chunks(tokens, finish=None, done=False))


def stream_without_done(tokens: Sequence[str] = TOKENS) -> Reply:
    return openai.stream(tokens, done=False)


def bytes_after_done(tokens: Sequence[str] = TOKENS) -> Reply:
    """A whole answer, then more: the connection stays open."""
    return sse(*openai.chunks(tokens), b": trailing\n\n", openai.delta_chunk({"content": "ghost"}), stall)


def aborted_stream(tokens: Sequence[str] = TOKENS) -> Reply:
    """`finish_reason: "abort"`, then `[DONE]`."""
    return openai.stream(tokens, finish="abort")


def cut_tool_call(arguments: Sequence[str] = ('{"city":', '"Os')) -> Reply:
    """A finished tool call whose JSON is not."""
    return sse(*openai.tool_chunks("get_weather", arguments))


def error_event(tokens: Sequence[str] = (), message: str = "The model broke", code: str | None = None) -> Reply:
    """An error inside a stream, after these tokens (none: it is the first event)."""
    before = openai.chunks(tokens, finish=None, done=False) if tokens else []
    return sse(*before, openai.error(message, code=code))


def invalid_event(tokens: Sequence[str] = TOKENS) -> Reply:
    """An event that is not JSON, in mid-stream."""
    return sse(*openai.chunks(tokens, finish=None, done=False), '{"choices": [{"delta"', openai.DONE)


def long_line(size: int = 3_000_000) -> Reply:
    """A stream with one token of `size` bytes."""
    return openai.stream(["x" * size])


# Content codings, although `identity` was asked for.


def gzipped(value: Any, keep: int | None = None) -> Reply:
    """A gzip body, whole or cut after `keep` bytes but with a length that fits."""
    return _coded(gzip.compress(json.dumps(value).encode(), mtime=0)[:keep], "gzip")


def gzipped_stream(tokens: Sequence[str] = TOKENS) -> Reply:
    data = b"".join(f"data: {each}\n\n".encode() for each in openai.chunks(tokens))
    return replies.body(gzip.compress(data), content_type="text/event-stream", headers={"Content-Encoding": "gzip"})


def gzip_bomb(mebibytes: int = 64) -> Reply:
    """Zeros, in a thousandth of their size."""
    packer = zlib.compressobj(wbits=31)
    zeros = bytes(1024 * 1024)
    return _coded(b"".join(packer.compress(zeros) for _ in range(mebibytes)) + packer.flush(), "gzip")


def not_gzip() -> Reply:
    return _coded(b"this is no gzip at all", "gzip")


def unknown_coding(coding: str = "br") -> Reply:
    return _coded(b"\x0b\x02\x80{}\x03", coding)


# Answers that HTTP finds nothing wrong with.

HTML = replies.html()  # 200
ERROR_AS_200 = replies.json(openai.error("The server is overloaded", code="overloaded"))
NULL = replies.json(None)
NO_CHOICES = replies.json(openai.completion("x") | {"choices": []})
NO_USAGE = replies.json(openai.completion("x", usage=None))
NOT_JSON = replies.body(b'{"choices": [', content_type="application/json")

# Refusals.

SERVER_ERROR = replies.json(openai.error("The server had an error"), status=500)
OVERLOADED = replies.json(openai.error("Overloaded"), status=503)
GATEWAY_HTML = replies.html(status=502)
INVALID_KEY = replies.json(
    openai.error("Incorrect API key provided", "invalid_request_error", "invalid_api_key"), status=401
)
FORBIDDEN = replies.json(openai.error("Not allowed", "invalid_request_error"), status=403)
MODEL_NOT_FOUND = replies.json(
    openai.error("The model does not exist", "invalid_request_error", "model_not_found"), status=404
)
QUOTA_EXHAUSTED = replies.json(
    openai.error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), status=429
)
CONTEXT_TOO_LONG = replies.json(
    openai.error("maximum context length is 8192", "invalid_request_error", "context_length_exceeded"), status=400
)
BAD_REQUEST = replies.json(openai.error("temperature must be a number", "invalid_request_error"), status=400)


def rate_limited(retry_after: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """A 429, with any Retry-After: seconds, a date, garbage."""
    fields = dict(headers or {}) | ({} if retry_after is None else {"Retry-After": retry_after})
    error = openai.error("Rate limit reached", "rate_limit_error", "rate_limit_exceeded")
    return replies.json(error, status=429, headers=fields)


def _coded(data: bytes, coding: str) -> Reply:
    return replies.body(data, content_type="application/json", headers={"Content-Encoding": coding})
