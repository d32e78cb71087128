"""Reads a request's body: whole, bounded in size, time and memory.

Promises that a client cannot make the server hold more than `max_bytes` for one request, nor more than the budget for
all together, however it frames or compresses the body. Must not know what the body means.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from aiohttp import http_exceptions, web

from cortex.content_coding import Inflater
from cortex.errors import Fault
from cortex.server.errors import (
    bad_body,
    expectation_failed,
    overloaded,
    slow_body,
    too_large,
    unsupported_media,
)
from cortex.server.limits import Limits
from cortex.sink import ClientGone

_CODINGS = ("gzip", "deflate")
# What a form of any web page can send without the browser asking first.
_FORM_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/")


class BodyBudget:
    """Bytes of request bodies that all requests in flight hold together."""

    def __init__(self) -> None:
        self.held_bytes = 0


class BodyShare:
    """One request's part of the budget: must be given back when the request is over."""

    __slots__ = ("_budget", "_held_bytes", "_limits", "max_body_bytes")

    def __init__(self, budget: BodyBudget, limits: Limits, max_body_bytes: int) -> None:
        self._budget = budget
        self._limits = limits
        self.max_body_bytes = max_body_bytes
        self._held_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Raises Refused (503) if the budget is spent."""
        held_bytes = self._budget.held_bytes + size_bytes
        limits = self._limits
        if held_bytes > limits.least_bodies_bytes and held_bytes > limits.bodies_bytes(self.max_body_bytes):
            raise overloaded()
        self._budget.held_bytes = held_bytes
        self._held_bytes += size_bytes

    def give_back(self) -> None:
        self._budget.held_bytes -= self._held_bytes
        self._held_bytes = 0


async def read_body(request: web.BaseRequest, share: BodyShare, *, idle_s: float, deadline: float) -> bytes:
    """The whole body, without its content coding. Raises Refused (400, 408, 413, 415, 417, 503) and ClientGone.

    The share's limit holds for the body as sent and as decoded; `deadline` is monotonic.
    """
    max_bytes = share.max_body_bytes
    inflater = _check_head(request, max_bytes)
    content = request.content
    if inflater is None and content.is_eof() and content.exception() is None:  # all of it is here, as for most requests
        body = content.read_nowait()
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        share.take(len(body))
        return body
    await _continue(request)
    reader = _Reader(share, max_bytes, inflater)
    now = asyncio.get_running_loop().time
    try:
        while not content.at_eof():
            if content.is_eof():  # all of it is here: no timer needed
                data = content.read_nowait()
            else:
                async with asyncio.timeout_at(min(now() + idle_s, deadline)):
                    data = await content.readany()
            await reader.add(data)
    except TimeoutError:
        raise slow_body() from None
    except (web.RequestPayloadError, http_exceptions.HttpProcessingError):
        raise bad_body("the request body is not framed as HTTP asks for") from None
    except ConnectionError as error:
        raise ClientGone from error
    return reader.finish()


def _check_head(request: web.BaseRequest, max_bytes: int) -> Inflater | None:
    """What the headers alone decide, before a byte of the body is asked for."""
    headers = request.headers
    if _is_form(headers.get("Content-Type", "")):
        raise unsupported_media("send the request as `Content-Type: application/json`")
    transfer = headers.get("Transfer-Encoding")
    if transfer is not None and transfer.strip().lower() != "chunked":
        raise bad_body("no transfer coding but `chunked` is understood")
    coding = headers.get("Content-Encoding")
    if coding is not None:
        coding = coding.strip().lower()
        if coding not in ("", "identity", *_CODINGS):
            raise unsupported_media(f"the body's content coding is not understood; {' and '.join(_CODINGS)} are")
    if (request.content_length or 0) > max_bytes:
        raise too_large(max_bytes)
    return Inflater(coding) if coding in _CODINGS else None


@lru_cache(64)
def _is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower().startswith(_FORM_TYPES)


async def _continue(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send the body."""
    expect = request.headers.get("Expect")
    if expect is None:
        return
    if expect.strip().lower() != "100-continue":
        raise expectation_failed()
    try:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    except ConnectionError as error:
        raise ClientGone from error


class _Reader:
    """Collects the body's pieces, decoded, and counts them."""

    def __init__(self, share: BodyShare, max_bytes: int, inflater: Inflater | None) -> None:
        self._share = share
        self._max_bytes = max_bytes
        self._inflater = inflater
        self._parts: list[bytes] = []
        self._raw_bytes = 0
        self._kept_bytes = 0

    async def add(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        if self._raw_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._inflater is None:
            self._keep(data)
            return
        self._inflater.feed(data)
        try:
            while decoded := self._inflater.take():
                self._keep(decoded)
                await asyncio.sleep(0)  # inflating a large body must not keep other requests waiting
        except Fault:
            raise bad_body("the request body's content coding is corrupt") from None

    def _keep(self, data: bytes) -> None:
        self._kept_bytes += len(data)
        if self._kept_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self._share.take(len(data))
        self._parts.append(data)

    def finish(self) -> bytes:
        if self._inflater is not None:
            try:
                self._inflater.finish()
            except Fault:
                raise bad_body("the request body's content coding ends early") from None
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
