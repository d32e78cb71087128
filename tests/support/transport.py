"""Calls over a bare HTTP transport, as the attempt loop makes them. The fixture `transport` is one to call with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from cortex.errors import Fault
from cortex.transport import UpstreamRequest
from cortex.upstream.transport import HttpResponse, HttpTransport
from tests.support.upstream_http import PATIENCE_S

SECRET = "sk-canary-4f1d"


async def post(
    transport: HttpTransport,
    url: str,
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
    connect_timeout_s: float = 5.0,
) -> HttpResponse:
    request = UpstreamRequest("POST", url, {"Authorization": f"Bearer {SECRET}", **(headers or {})}, body)
    return await transport.open(request, connect_timeout_s=connect_timeout_s)


async def read_all(response: HttpResponse) -> bytes:
    """The whole body; the response is closed after it."""
    parts = []
    try:
        while data := await response.read():
            parts.append(data)
    finally:
        response.close()
    return b"".join(parts)


async def fetch(transport: HttpTransport, url: str) -> bytes:
    return await read_all(await post(transport, url))


async def fault_of_open(transport: HttpTransport, url: str, connect_timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as caught:
        async with asyncio.timeout(PATIENCE_S):
            await post(transport, url, connect_timeout_s=connect_timeout_s)
    assert SECRET not in caught.value.message
    assert url.partition("://")[2] in caught.value.message
    return caught.value


async def read_until_fault(response: HttpResponse) -> tuple[bytes, Fault]:
    """What came before the fault, and the fault."""
    parts: list[bytes] = []
    with pytest.raises(Fault) as caught:
        async with asyncio.timeout(PATIENCE_S):
            while data := await response.read():
                parts.append(data)
    response.close()
    return b"".join(parts), caught.value
