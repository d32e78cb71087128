"""Where an answer goes: what the attempt loop needs of a client's connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ClientGone(Exception):
    """The client's connection is closed: nobody waits for the answer."""


class Sink(Protocol):
    started: bool  # the status line has gone: the status cannot change any more

    def outlive(self, stays: bool) -> None:
        """Whether the request is to be worked on even if its client leaves. It is not waited for, then: `drain`
        returns at once. Once it is not to be, a client that has left counts as one that leaves now."""

    async def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer. Raises ClientGone."""

    async def start_stream(self, headers: Mapping[str, str]) -> None:
        """200 and the headers of an event stream; a second call does nothing. Raises ClientGone."""

    def put(self, data: bytes) -> bool:
        """Whole frames of the stream. False: the client has no room for more; `drain` first. Raises ClientGone."""

    async def drain(self) -> None:
        """Wait until the client has room for more. Raises ClientGone."""

    async def write(self, data: bytes) -> None:
        """`put`, and `drain` if need be. Raises ClientGone."""

    async def end(self, last: bytes = b"") -> None:
        """The stream is complete, with these frames if any. Raises ClientGone."""
