"""The head of an answer, as bytes. Pure but for the date, and strict: no header can end its line early."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def answer_head(
    status: int, request_id: str, headers: Mapping[str, str], framing: str, *, minor: int = 1, keep_alive: bool = False
) -> bytes:
    """Everything before the body; `framing` are header lines, `minor` is that of HTTP/1.x.

    The request's id goes under Cortex's own name and the two under which the vendors' SDKs look for it. Raises
    ValueError, which quotes no value, for a header that holds a control character.
    """
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if _FORBIDDEN.search("".join(headers.values())) is not None:
        raise ValueError("a header of the answer holds a control character")
    connection = ("" if minor else "Connection: keep-alive\r\n") if keep_alive else "Connection: close\r\n"
    return (
        f"HTTP/1.{minor} {status} {_PHRASES.get(status, '')}\r\nx-cortex-request-id: {request_id}\r\n"
        f"x-request-id: {request_id}\r\nrequest-id: {request_id}\r\n"
        f"Server: cortex\r\nDate: {_date(int(time.time()))}\r\n{connection}{fields}{framing}\r\n"
    ).encode("utf-8", "replace")


@lru_cache(1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)
