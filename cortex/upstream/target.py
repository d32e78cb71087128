"""Where a request goes: the parts of its URL that HTTP needs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cortex.errors import Fault, FaultKind

_MAX_TARGETS = 1024  # remembered; a configuration has a few paths a provider

# Visible ASCII only, so that nothing in a URL can end the request line. Neither user nor fragment.
_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(/[!\"$-~]*)?")
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """What a connection is for. `host` is a name or an address, without brackets."""

    tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One object a URL, so that what is remembered of it can be found by what it is."""

    origin: Origin
    authority: str  # as the URL has it, for `Host` and for people
    path: str  # query included


@lru_cache(_MAX_TARGETS)
def target_of(url: str) -> Target:
    """Raises Fault(CONNECT) for what is no http(s) URL; its message holds no user or password."""
    found = _URL.fullmatch(url)
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if found is None:
        raise _invalid(authority)
    scheme, host, port, path = found.groups()
    number = _PORTS[scheme] if port is None else int(port)
    if not 0 < number < 65536:
        raise _invalid(authority)
    return Target(Origin(scheme == "https", host.strip("[]"), number), authority, path or "/")


def _invalid(authority: str) -> Fault:
    return Fault(FaultKind.CONNECT, f"cannot connect to {authority}: its URL is invalid")
