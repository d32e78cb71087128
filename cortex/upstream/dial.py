"""Opens connections: finds the address, connects, and makes sure by TLS who answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator

from cortex.errors import Fault, FaultKind
from cortex.upstream.connection import Connection
from cortex.upstream.resolve import Resolver
from cortex.upstream.target import Origin, Target

HEAD_START_S = 0.25  # of an address before the next one is tried beside it (RFC 8305)


class Dialer:
    """`ssl_context` stands in for the system's trust store; it must verify."""

    def __init__(self, ssl_context: ssl.SSLContext | None, resolver: Resolver) -> None:
        if ssl_context is not None and not (
            ssl_context.check_hostname and ssl_context.verify_mode == ssl.CERT_REQUIRED
        ):
            raise ValueError("certificates and host names must be verified")
        self._ssl_context = ssl_context
        self._resolver = resolver

    async def dial(self, target: Target, make: Callable[[], Connection], timeout_s: float) -> Connection:
        """A new connection. Raises Fault(CONNECT)."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._connect(target.origin, make)
        except (OSError, UnicodeError) as error:
            self._resolver.forget(target.origin.host)
            message = f"cannot connect to {target.authority}: {_cause(error)}"
            raise Fault(FaultKind.CONNECT, message) from error

    async def _connect(self, origin: Origin, make: Callable[[], Connection]) -> Connection:
        """Raises OSError (TimeoutError if cut short) or UnicodeError."""
        first, *others = await self._resolver.addresses(origin.host)
        if others:
            return await self._race(iter((first, *others)), origin, make)
        return await self._connect_to(first, origin, make)

    async def _connect_to(self, address: str, origin: Origin, make: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        if not origin.tls:
            return (await loop.create_connection(make, address, origin.port))[1]
        name = origin.host.rstrip(".")
        context = self._trust()
        return (await loop.create_connection(make, address, origin.port, ssl=context, server_hostname=name))[1]

    async def _race(self, addresses: Iterator[str], origin: Origin, make: Callable[[], Connection]) -> Connection:
        """The first address that works. Each but the first starts late, or when one before it has failed."""
        attempts: list[asyncio.Task[Connection]] = []
        winner: asyncio.Task[Connection] | None = None
        failed: BaseException | None = None
        try:
            while True:
                running = [attempt for attempt in attempts if not attempt.done()]
                address = next(addresses, None)
                if address is not None:
                    name = f"connect-{origin.host}-{address}"
                    attempts.append(asyncio.create_task(self._connect_to(address, origin, make), name=name))
                    running.append(attempts[-1])
                elif not running:
                    assert failed is not None
                    raise failed
                done, _ = await asyncio.wait(
                    running,
                    timeout=None if address is None else HEAD_START_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for attempt in done:
                    failed = attempt.exception()
                    if failed is None:
                        winner = attempt
                        return attempt.result()
        finally:
            for attempt in attempts:
                if attempt is not winner and not attempt.cancel() and attempt.exception() is None:
                    attempt.result().abort()

    def _trust(self) -> ssl.SSLContext:
        if self._ssl_context is None:  # made when first needed: it reads every certificate of the system
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context


def _cause(error: OSError | UnicodeError) -> str:
    match error:
        case TimeoutError(errno=None):
            return "it took too long"
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {error.verify_message}"
        case OSError(strerror=str(text)):
            return text
        case UnicodeError():
            return "its name is invalid"
        case _:
            return str(error) or type(error).__name__
