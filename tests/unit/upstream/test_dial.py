"""Which address is connected to, and how often a name is looked up. Real sockets on loopback addresses (Linux)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from cortex.errors import Fault, FaultKind
from cortex.upstream.connection import Connection
from cortex.upstream.dial import Dialer
from cortex.upstream.resolve import Resolver
from cortex.upstream.target import Target, target_of
from tests.support.baseline import Baseline
from tests.support.ports import HOST, silent_url
from tests.support.upstream import Upstream
from tests.support.upstream_replies import json

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

REFUSES = "127.0.0.2"  # nobody listens there


class Names(Resolver):
    """Every name has these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def addresses(self, host: str) -> list[str]:
        return list(self._addresses)


def maker(target: Target) -> Callable[[], Connection]:
    return lambda: Connection(target, lambda _: None, lambda _: None)


async def peer(dialer: Dialer, port: int, timeout_s: float = 5.0) -> str:
    """The address that was connected to."""
    target = target_of(f"http://several.example:{port}")
    connection = await dialer.dial(target, maker(target), timeout_s)
    address: str = connection._transport.get_extra_info("peername")[0]
    connection.abort()
    return address


@pytest.mark.parametrize("addresses", [(HOST,), (REFUSES, HOST), (REFUSES, "127.0.0.3", HOST), (HOST, REFUSES)])
async def test_the_first_address_that_works(addresses: tuple[str, ...], baseline: Baseline) -> None:
    async with Upstream(json({})) as upstream:
        assert await peer(Dialer(None, Names(*addresses)), upstream.port) == HOST
    await baseline.restored()


async def test_an_address_that_does_not_answer_is_not_waited_for(baseline: Baseline) -> None:
    with silent_url() as silent, socket.socket() as listener:
        port = int(silent.rpartition(":")[2])
        listener.bind((REFUSES, port))
        listener.listen()
        assert await peer(Dialer(None, Names(HOST, REFUSES)), port) == REFUSES
    await baseline.restored()


async def test_no_address_works(baseline: Baseline) -> None:
    async with Upstream(json({})) as upstream:
        port = upstream.port
    with pytest.raises(Fault) as caught:
        await peer(Dialer(None, Names(REFUSES, HOST)), port)
    assert caught.value.kind is FaultKind.CONNECT
    await baseline.restored()


async def test_time_runs_out_for_all_addresses_together(baseline: Baseline) -> None:
    with silent_url() as silent:
        with pytest.raises(Fault) as caught:
            await peer(Dialer(None, Names(HOST, HOST)), int(silent.rpartition(":")[2]), timeout_s=0.05)
        assert caught.value.message.endswith("it took too long")
    await baseline.restored()


async def test_a_dial_that_is_given_up_leaves_nothing(baseline: Baseline) -> None:
    with silent_url() as silent:
        baseline.mark()
        port = int(silent.rpartition(":")[2])
        dialling = asyncio.ensure_future(peer(Dialer(None, Names(HOST, HOST)), port))
        await asyncio.sleep(0.01)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await baseline.restored()


async def test_nagle_is_off() -> None:
    async with Upstream(json({})) as upstream:
        target = target_of(upstream.url)
        connection = await Dialer(None, Resolver()).dial(target, maker(target), 5)
        link = connection._transport.get_extra_info("socket")
        assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.abort()


# Names


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(address: str) -> None:
    assert await Resolver().addresses(address) == [address]


async def test_a_name_is_looked_up_once() -> None:
    resolver = Resolver()
    both = await asyncio.gather(resolver.addresses("localhost"), resolver.addresses("localhost"))
    assert HOST in both[0]
    assert both[0] is both[1]
    assert await resolver.addresses("localhost") is both[0]
    resolver.forget("localhost")
    assert await resolver.addresses("localhost") is not both[0]


async def test_one_caller_that_leaves_does_not_end_the_look_up_of_another() -> None:
    resolver = Resolver()
    leaving = asyncio.ensure_future(resolver.addresses("localhost"))
    staying = asyncio.ensure_future(resolver.addresses("localhost"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert HOST in await staying


@pytest.mark.parametrize("name", ["nobody.invalid", "a..b", "x" * 64 + ".example"])
async def test_no_such_name_is_not_remembered(name: str) -> None:
    resolver = Resolver()
    for _ in range(2):
        with pytest.raises((OSError, UnicodeError)):
            await resolver.addresses(name)
    assert not resolver._known


async def test_a_name_that_led_nowhere_is_looked_up_again() -> None:
    resolver = Resolver()
    known = await resolver.addresses("localhost")
    async with Upstream(json({})) as upstream:
        port = upstream.port
    target = target_of(f"http://localhost:{port}")
    with pytest.raises(Fault):
        await Dialer(None, resolver).dial(target, maker(target), 5)
    assert await resolver.addresses("localhost") is not known
