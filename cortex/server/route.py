"""A route: one row of the server's table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from cortex.server.auth import Scope
from cortex.server.incoming import Incoming

Handler: TypeAlias = Callable[[Incoming], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` may end in `{name}`, which takes the whole rest. HEAD is served wherever GET is."""

    method: str
    path: str
    scope: Scope
    handler: Handler
    summary: str
