"""Names to addresses: asked of the system in a thread, remembered for a while, never asked twice at once."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from itertools import chain, zip_longest

TTL_S = 300.0
MAX_NAMES = 256


class Resolver:
    """Belongs to the event loop of its first call."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[asyncio.Future[list[str]], float]] = {}  # with the time to forget it

    async def addresses(self, host: str) -> list[str]:
        """At least one, in order of preference. Raises OSError or UnicodeError if there is no such name."""
        if _is_address(host):
            return [host]
        loop = asyncio.get_running_loop()
        asked, until = self._known.get(host, (None, 0.0))
        if asked is None or until <= loop.time():
            if len(self._known) >= MAX_NAMES:
                del self._known[next(iter(self._known))]
            asked = loop.run_in_executor(None, _look_up, host)
            self._known[host] = (asked, loop.time() + TTL_S)
        try:
            return await asyncio.shield(asked)  # others may wait for it
        except (OSError, UnicodeError):
            self.forget(host)
            raise

    def forget(self, host: str) -> None:
        """Ask again next time: the addresses turned out to be of no use. A question under way is not asked twice."""
        if host in self._known and self._known[host][0].done():
            del self._known[host]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(host: str) -> list[str]:
    """The system's order, but with the families in turn, so that one that leads nowhere costs one attempt only."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    by_family: dict[int, list[str]] = {}
    for family, _, _, _, address in found:
        by_family.setdefault(family, []).append(str(address[0]))
    turns = zip_longest(*by_family.values())
    return list(dict.fromkeys(address for address in chain.from_iterable(turns) if address is not None))
