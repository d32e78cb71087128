"""What does not fit: answers that nobody reads, bodies that nobody takes, and calls that are given up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cortex.upstream.transport import HttpTransport
from tests.support import upstream_faults as faults
from tests.support.baseline import Baseline, open_descriptors
from tests.support.ports import HOST
from tests.support.transport import fetch, post, read_all
from tests.support.upstream import Upstream
from tests.support.upstream_http import Connection
from tests.support.upstream_replies import Reply, chunk, head, json, raw

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

OK = json({"ok": True})
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


@asynccontextmanager
async def half_deaf(answer: bytes) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that reads a little, sends `answer` and reads no more. The event: the client has dropped it."""
    dropped = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        try:
            while await reader.read(1024):  # slower than the client could send
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        dropped.set()
        writer.transport.abort()

    server = await asyncio.start_server(serve, HOST, 0, limit=4096)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}", dropped
        server.close()


async def test_an_answer_that_comes_amid_the_upload_ends_it(transport: HttpTransport) -> None:
    async with half_deaf(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno") as (url, dropped):
        response = await post(transport, url, bytes(UPLOAD_BYTES))
        assert response.status == 413
        assert await read_all(response) == b"no"
        await dropped.wait()


async def test_a_promise_amid_the_upload_does_not_end_it(transport: HttpTransport) -> None:
    async with half_deaf(b"HTTP/1.1 102 Processing\r\n\r\n") as (url, dropped):
        opening = asyncio.ensure_future(post(transport, url, bytes(UPLOAD_BYTES)))
        done, _ = await asyncio.wait([opening], timeout=0.1)
        assert not done
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await dropped.wait()


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
        await response.close()
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
