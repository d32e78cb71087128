"""The seam to the upstreams: what the attempt loop needs of an HTTP client, and nothing more.

The one implementation that opens sockets is `cortex.upstream`; `cortex.providers.simulated` answers in process. Both
raise `Fault` and nothing else. The interface asks for bytes as they arrive, not for lines, JSON or events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

_NONE: Mapping[str, str] = MappingProxyType({})


class UpstreamRequest(msgspec.Struct, frozen=True):
    method: str
    url: str  # scheme, host, path, query; never a secret
    headers: Mapping[str, str]  # those that other requests have, too
    body: bytes
    own_headers: Mapping[str, str] = _NONE


class UpstreamResponse(Protocol):
    """An answer whose headers have come. Must be closed, exactly once, whatever happens."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""

    @property
    def connect_s(self) -> float:
        """Time spent to get a connection; 0 for a pooled one."""

    async def read(self) -> bytes:
        """The body's next bytes as they arrive, b"" once at its end. Raises Fault(BROKEN) if it was cut.

        An end is as clean as the framing can tell: a body without length or chunks ends when the peer closes.
        """

    async def pump(self, consume: Callable[[bytes], bool]) -> bool:
        """Give each piece of the body to `consume` as it arrives, without a task being woken for it.

        Until `consume` returns False: then the result is False; or until the body ends: then it is True. Raises what
        `read` and `consume` raise.
        """

    @property
    def at_end(self) -> bool:
        """The body has come to its end and all of it has been read: another `read` would give b"" at once."""

    def close(self) -> None:
        """Give the connection back if the body has been read to its end, else drop it. Never raises, never waits."""


class Transport(Protocol):
    async def open(self, request: UpstreamRequest, *, connect_timeout_s: float) -> UpstreamResponse:
        """Send the request and wait for the headers. Raises Fault(CONNECT, STALE_CONNECTION or BROKEN).

        Waits without limit once connected: the caller has the deadline and cancels. Cancelling drops the connection.
        """

    async def close(self) -> None:
        """Drop every connection."""
