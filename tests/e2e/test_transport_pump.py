"""Pieces that are handed on as they come: outside the task that waits, in order, once, and while they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from cortex.errors import Fault, FaultKind
from cortex.upstream.transport import HttpTransport
from tests.support import upstream_faults as faults
from tests.support.transport import post, read_all
from tests.support.upstream import Upstream
from tests.support.upstream_http import PATIENCE_S, Connection
from tests.support.upstream_replies import Reply, chunk, close, head, raw, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

HEAD = head(200, {"Transfer-Encoding": "chunked"})
LAST = b"0\r\n\r\n"
PIECE_BYTES = 256 * 1024
PIECES = 200


def current_task() -> asyncio.Task[object] | None:
    """None in a call of the event loop's."""
    return asyncio.current_task()


class Taker:
    """Takes pieces, and notes by whom they were handed over; `wants` says after each whether it wants more."""

    def __init__(self, wants: Callable[[bytes], bool] = lambda data: True) -> None:
        self.taken: list[bytes] = []
        self.outside = 0  # any task
        self.came = asyncio.Event()
        self._wants = wants

    def __call__(self, data: bytes) -> bool:
        self.taken.append(data)
        self.outside += current_task() is None
        self.came.set()
        return self._wants(data)


def gated(gates: Iterator[asyncio.Event], *pieces: bytes) -> Reply:
    """Each piece but the first waits for its gate."""
    first, *rest = pieces
    steps = [step for piece in rest for step in (until(next(gates)), chunk(piece))]
    return raw(HEAD, chunk(first), *steps, LAST)


async def test_no_task_is_woken_for_a_piece(transport: HttpTransport) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    taker = Taker()
    async with Upstream(gated(iter(gates), b"a", b"b", b"c", b"d")) as upstream:
        response = await post(transport, upstream.url)
        pumping = asyncio.create_task(response.pump(taker))
        for number, gate in enumerate(gates, 1):
            async with asyncio.timeout(PATIENCE_S):
                while len(taker.taken) < number:
                    taker.came.clear()
                    await taker.came.wait()
            gate.set()
        assert await pumping
        assert response.at_end
        response.close()
        assert await read_all(await post(transport, upstream.url)) == b"abcd"
        assert len(upstream.connections) == 1  # it was good for another request
    assert b"".join(taker.taken) == b"abcd"
    assert taker.outside >= 2  # the first may have been there already


async def test_who_has_enough_gets_no_more_until_the_next_pump(transport: HttpTransport) -> None:
    gates = [asyncio.Event() for _ in range(2)]
    taker = Taker(lambda data: not data.endswith(b"b"))
    async with Upstream(gated(iter(gates), b"a", b"b", b"c")) as upstream:
        response = await post(transport, upstream.url)
        pumping = asyncio.create_task(response.pump(taker))
        gates[0].set()
        assert not await pumping
        gates[1].set()
        while not response.at_end and response._answer.buffered_bytes == 0:
            await asyncio.sleep(0)
        assert b"".join(taker.taken) == b"ab"
        assert await response.pump(taker)
        assert b"".join(taker.taken) == b"abc"
        response.close()


async def test_what_the_taker_raises_reaches_the_task(transport: HttpTransport) -> None:
    def fail(data: bytes) -> bool:
        if data == b"b":
            raise ZeroDivisionError
        return True

    gates = [asyncio.Event()]
    async with Upstream(gated(iter(gates), b"a", b"b")) as upstream:
        response = await post(transport, upstream.url)
        pumping = asyncio.create_task(response.pump(Taker(fail)))
        gates[0].set()
        with pytest.raises(ZeroDivisionError):
            await pumping
        response.close()


async def test_what_came_before_a_cut_is_handed_on_before_the_fault(transport: HttpTransport) -> None:
    taker = Taker()
    async with Upstream(raw(HEAD, chunk(b"a"), chunk(b"b"), close)) as upstream:
        response = await post(transport, upstream.url)
        with pytest.raises(Fault) as caught:
            await response.pump(taker)
        response.close()
    assert caught.value.kind is FaultKind.BROKEN
    assert b"".join(taker.taken) == b"ab"


async def test_a_taker_that_rests_makes_the_upstream_wait(transport: HttpTransport) -> None:
    sent = 0

    async def count(_: Connection) -> None:
        nonlocal sent
        sent += PIECE_BYTES

    steps = [step for _ in range(PIECES) for step in (chunk(bytes(PIECE_BYTES)), count)]
    async with Upstream(raw(HEAD, *steps, LAST)) as upstream:
        response = await post(transport, upstream.url)
        taker = Taker(lambda data: False)
        assert not await response.pump(taker)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)  # until the kernel's buffers are full; too short a wait only weakens the test
        assert sent < PIECES * PIECE_BYTES / 2
        while not await response.pump(taker):
            pass
        response.close()
    assert sum(map(len, taker.taken)) == PIECES * PIECE_BYTES


async def test_a_coded_body_is_handed_on_decoded(transport: HttpTransport) -> None:
    taker = Taker()
    async with Upstream(faults.gzipped_stream()) as upstream:
        response = await post(transport, upstream.url)
        assert await response.pump(taker)
        response.close()
    assert b"[DONE]" in b"".join(taker.taken)
