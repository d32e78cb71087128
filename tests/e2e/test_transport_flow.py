"""What does not fit: answers that nobody reads, bodies that nobody takes, and calls that are given up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Self

import pytest

from cortex.upstream.transport import HttpTransport
from tests.support import upstream_faults as faults
from tests.support.baseline import Baseline, open_descriptors
from tests.support.ports import HOST
from tests.support.transport import fetch, post, read_all
from tests.support.upstream import Upstream
from tests.support.upstream_http import PATIENCE_S, Connection
from tests.support.upstream_replies import Reply, chunk, head, raw, stall

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

PIECE_BYTES = 256 * 1024
PIECES = 200
UPLOAD_BYTES = 50_000_000


# Too much for the one who reads.


@pytest.mark.parametrize("tls", [False, True])
async def test_a_reader_that_rests_makes_the_upstream_wait(tls: bool) -> None:
    sent = 0

    async def count(_: Connection) -> None:
        nonlocal sent
        sent += PIECE_BYTES

    fields = {"Transfer-Encoding": "chunked"}
    steps = [step for _ in range(PIECES) for step in (chunk(bytes(PIECE_BYTES)), count)]
    flood = raw(head(200, fields), *steps, b"0\r\n\r\n")
    async with Upstream(flood, certificate_for=HOST if tls else None) as upstream:
        transport = HttpTransport(upstream.trusting() if tls else None)
        response = await post(transport, upstream.url)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)  # until the kernel's buffers are full; too short a wait only weakens the test
        assert sent < PIECES * PIECE_BYTES / 2
        assert len(await read_all(response)) == PIECES * PIECE_BYTES
        assert len(await fetch(transport, upstream.url)) == PIECES * PIECE_BYTES
        assert len(upstream.connections) == 1
        await transport.close()


# Too much for the one who takes.


class HalfDeaf:
    """A server that reads a head, sends `answer` and reads no more until it is told to `listen_again`."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.listen_again = asyncio.Event()
        self._dropped = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.url = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def dropped(self) -> None:
        """Wait until the client has closed the connection."""
        self.listen_again.set()
        async with asyncio.timeout(PATIENCE_S):
            await self._dropped.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._answer)
        await self.listen_again.wait()
        with contextlib.suppress(ConnectionError):
            while await reader.read(PIECE_BYTES):
                pass
        self._dropped.set()
        writer.transport.abort()


@pytest.mark.parametrize("taken", [False, True], ids=["no more taken", "all taken that was sent"])
async def test_an_answer_that_comes_amid_the_upload_ends_it(transport: HttpTransport, taken: bool) -> None:
    async with HalfDeaf(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno") as server:
        response = await post(transport, server.url, bytes(UPLOAD_BYTES))
        assert response.status == 413
        unsent = response._connection._transport.get_write_buffer_size
        assert unsent() < UPLOAD_BYTES / 2
        if taken:
            server.listen_again.set()
            while unsent():
                await asyncio.sleep(0.001)
        assert await read_all(response) == b"no"
        await server.dropped()


async def test_a_promise_amid_the_upload_does_not_end_it(transport: HttpTransport) -> None:
    async with HalfDeaf(b"HTTP/1.1 102 Processing\r\n\r\n") as server:
        opening = asyncio.ensure_future(post(transport, server.url, bytes(UPLOAD_BYTES)))
        done, _ = await asyncio.wait([opening], timeout=0.1)
        assert not done
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await server.dropped()


# Giving up.


@pytest.mark.parametrize(
    "reply", [faults.BLACK_HOLE, faults.HALF_A_HEAD.cut(20, stall)], ids=["nothing", "half a head"]
)
async def test_cancelling_open_drops_the_connection(transport: HttpTransport, reply: Reply, baseline: Baseline) -> None:
    async with Upstream(reply) as upstream:
        opening = asyncio.ensure_future(post(transport, upstream.url))
        await upstream.wait_requests()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await upstream.wait_closed()
    await baseline.restored()


async def test_cancelling_a_read_drops_the_connection(transport: HttpTransport, baseline: Baseline) -> None:
    async with Upstream(faults.HEADERS_THEN_SILENCE) as upstream:
        response = await post(transport, upstream.url)
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        response.close()
        await upstream.wait_closed()
    await baseline.restored()


async def test_cancelling_an_upload_that_nobody_takes(transport: HttpTransport, baseline: Baseline) -> None:
    with socket.socket() as deaf:  # the kernel connects, but nobody ever reads
        deaf.bind((HOST, 0))
        deaf.listen()
        baseline.mark()
        before = open_descriptors().total()
        opening = asyncio.ensure_future(post(transport, f"http://{HOST}:{deaf.getsockname()[1]}", bytes(50_000_000)))
        while open_descriptors().total() == before:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # until the kernel's buffers are full; too short a wait only weakens the test
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await baseline.restored()
