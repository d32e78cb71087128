"""A request's head, as bytes. Pure, and strict: nothing in it can end a line early or change the framing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from cortex import __version__
from cortex.errors import Fault, FaultKind
from cortex.upstream.target import Target

_MAX_NAMES = 1024  # remembered as good
_MAX_STARTS = 1024  # remembered; a configuration has two a key, and a few paths
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "user-agent"}
)
_ALWAYS = f"User-Agent: cortex/{__version__}\r\nAccept-Encoding: identity\r\n"


def request_head(
    method: str, target: Target, headers: Mapping[str, str], body_bytes: int, own: Mapping[str, str] | None = None
) -> bytes:
    """Everything before the body, of `body_bytes`. `own` are headers that no other request has.

    Raises Fault(BAD_REQUEST), which quotes no value, for a header that holds a line break or a NUL, or that is not
    the caller's to set.
    """
    start = _start(method, target, tuple(headers.items()))
    if own:
        start += _fields(tuple(own.items()))
    return b"%bContent-Length: %d\r\n\r\n" % (start, body_bytes) if body_bytes or method == "POST" else start + b"\r\n"


@lru_cache(_MAX_STARTS)
def _start(method: str, target: Target, headers: tuple[tuple[str, str], ...]) -> bytes:
    """The request line and the headers: most requests begin as others have before them."""
    if not _is_token(method):
        raise _forbidden("the method")
    first = f"{method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\n{_ALWAYS}"
    return first.encode() + _fields(headers)


def _fields(headers: tuple[tuple[str, str], ...]) -> bytes:
    for name, _ in headers:
        if not _is_free(name):
            raise _forbidden("a header's name")
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    # Each header ends one line. Any more line breaks are in a value.
    if fields.count("\r") != len(headers) or fields.count("\n") != len(headers) or "\0" in fields:
        raise _forbidden("a header")
    try:
        return fields.encode()
    except UnicodeEncodeError:  # a lone surrogate; its text would quote the header: no cause
        raise _forbidden("a header") from None


@lru_cache(_MAX_NAMES)
def _is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


@lru_cache(_MAX_NAMES)
def _is_free(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None and name.lower() not in _OURS


def _forbidden(what: str) -> Fault:
    return Fault(FaultKind.BAD_REQUEST, f"{what} for the upstream holds what is forbidden there")
