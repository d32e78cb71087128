"""Which idle connections are kept. Pure: it is told the time, and says what to close; the caller closes it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from cortex.upstream.target import Origin

C = TypeVar("C")


class Pool(Generic[C]):
    """Idle connections by origin. The one that rested last is taken first; the one that rested longest goes first."""

    def __init__(self, idle_s: float, per_origin: int, total: int) -> None:
        self._idle_s = idle_s
        self._per_origin = per_origin
        self._total = total
        self._size = 0
        self._idle: dict[Origin, OrderedDict[C, float]] = {}  # since when; oldest first; no origin without any

    def __len__(self) -> int:
        return self._size

    def put(self, origin: Origin, connection: C, now: float) -> C | None:
        """Keep `connection`. The one to close for it, if there is no room for both."""
        idle = self._idle.get(origin)
        if idle is None:
            idle = self._idle[origin] = OrderedDict()
        idle[connection] = now
        self._size += 1
        if len(idle) > self._per_origin:
            return self._drop_oldest(origin)
        if self._size > self._total:
            return self._drop_oldest(min(self._idle, key=self._oldest))
        return None

    def take(self, origin: Origin) -> C | None:
        """The one of this origin that rested last."""
        idle = self._idle.get(origin)
        if idle is None:
            return None
        connection, _ = idle.popitem()
        self._removed(origin)
        return connection

    def discard(self, origin: Origin, connection: C) -> None:
        """Forget a connection that is gone, if it is here."""
        idle = self._idle.get(origin)
        if idle is not None and idle.pop(connection, None) is not None:
            self._removed(origin)

    def due(self) -> float | None:
        """When the next one will have rested long enough; None if there is none."""
        return min(map(self._oldest, self._idle)) + self._idle_s if self._idle else None

    def expire(self, now: float) -> list[C]:
        """Those that have rested long enough, to be closed."""
        expired: list[C] = []
        while (due := self.due()) is not None and due <= now:
            expired.append(self._drop_oldest(min(self._idle, key=self._oldest)))
        return expired

    def clear(self) -> list[C]:
        """All of them, to be closed."""
        every = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        self._size = 0
        return every

    def _oldest(self, origin: Origin) -> float:
        return next(iter(self._idle[origin].values()))

    def _drop_oldest(self, origin: Origin) -> C:
        connection, _ = self._idle[origin].popitem(last=False)
        self._removed(origin)
        return connection

    def _removed(self, origin: Origin) -> None:
        self._size -= 1
        if not self._idle[origin]:
            del self._idle[origin]
