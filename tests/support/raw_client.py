"""A client that sends exactly the bytes it is given, for what no well-behaved client would do.

async with RawClient(gateway.url) as client:
    await client.send(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: ")
    answer = await client.answer()
    assert answer.status == 408
    await client.closed()
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE_S = 5.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error


class RawClient:
    """One connection. `receive_buffer_bytes`: how little the kernel takes for a client that does not read."""

    def __init__(self, url: str, *, receive_buffer_bytes: int | None = None) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._receive_buffer_bytes = receive_buffer_bytes

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        sock = socket.socket(family)
        sock.setblocking(False)
        if self._receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(sock, self._address)
        except OSError:
            sock.close()
            raise
        self._reader, self._writer = await asyncio.open_connection(sock=sock, limit=64 * 1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def send(self, *pieces: bytes) -> None:
        """Raises ConnectionError if the server has closed the connection."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer, whole: its body by length, by chunks or to the end. `bodiless`: to a HEAD, or a 1xx."""
        async with asyncio.timeout(PATIENCE_S):
            status_line, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = b"" if bodiless else await self._body(headers)
        return Answer(int(status_line.split(" ")[1]), headers, body)

    async def until(self, text: bytes) -> bytes:
        """What comes, up to and with `text`."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(text)

    async def closed(self) -> bytes:
        """What comes until the server closes the connection. Raises TimeoutError if it does not."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    def half_close(self) -> None:
        self._writer.write_eof()

    async def leave(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return await self._reader.read()
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body


def request(
    path: str = "/v1/chat/completions",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    version: str = "1.1",
) -> bytes:
    """A well-formed request. A Content-Length given in `headers` stands, even if it lies."""
    fields: dict[str, str] = {"Host": "localhost", **({"Content-Length": str(len(body))} if body else {})}
    lines = [f"{name}: {value}" for name, value in (fields | dict(headers or {})).items()]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode("latin-1") + body
