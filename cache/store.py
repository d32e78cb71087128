"""The exact tier: values by digest, bounded in number and in bytes, each with a time to live.

The least recently used goes first. What has outlived its time is never given out, and `expire` frees what nobody asks
for any more. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

# What it takes to hold an entry besides its value: the object, its key and times, and its place in the order.
ENTRY_BYTES = 350


class Sized(Protocol):
    @property
    def size_bytes(self) -> int:
        """All memory that the value holds and shares with nothing else. `Store.grown` is told when it changes."""


V = TypeVar("V", bound=Sized)


@dataclass(frozen=True, slots=True)
class Bounds:
    max_entries: int
    max_bytes: int
    max_entry_bytes: int


@dataclass(slots=True, eq=False)
class Entry(Generic[V]):
    key: bytes
    value: V
    stored_at: float
    expires_at: float
    size_bytes: int = 0  # as the store counts it


@dataclass(slots=True)
class Counts:
    """Since the start."""

    stored: int = 0
    evicted: int = 0  # for want of room
    expired: int = 0
    too_large: int = 0  # not stored


class Store(Generic[V]):
    def __init__(self, bounds: Bounds) -> None:
        self.counts = Counts()
        self.size_bytes = 0
        self._bounds = bounds
        self._entries: OrderedDict[bytes, Entry[V]] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bounds(self) -> Bounds:
        return self._bounds

    @bounds.setter
    def bounds(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._keep_within(bounds.max_entries, bounds.max_bytes)

    def get(self, key: bytes, now: float) -> Entry[V] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= now:
            self._drop(key)
            self.counts.expired += 1
            return None
        self._entries.move_to_end(key)
        return entry

    def peek(self, key: bytes) -> V | None:
        """What is under this key, its time over or not, as if nobody had asked."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def put(self, key: bytes, value: V, now: float, ttl_s: float) -> bool:
        """False: it is too large, or lives for no time at all. What was there before is gone either way."""
        if key in self._entries:
            self._drop(key)
        if ttl_s > 0 and self._add(Entry(key, value, now, now + ttl_s)):
            self.counts.stored += 1
            return True
        return False

    def grown(self, key: bytes, value: V) -> None:
        """The value holds more, or less, than it did. It may be too large now, and gone.

        Of one that is kept no longer nothing is to be said.
        """
        entry = self._entries.get(key)
        if entry is not None and entry.value is value:
            self._drop(key)
            self._add(entry)

    def remove(self, key: bytes) -> bool:
        if key not in self._entries:
            return False
        self._drop(key)
        return True

    def remove_where(self, unwanted: Callable[[V], bool]) -> list[bytes]:
        """The keys of what was removed."""
        return self._drop_where(lambda entry: unwanted(entry.value))

    def expire(self, now: float) -> list[bytes]:
        """The keys of what had outlived its time, and is gone."""
        keys = self._drop_where(lambda entry: entry.expires_at <= now)
        self.counts.expired += len(keys)
        return keys

    def _add(self, entry: Entry[V]) -> bool:
        bounds = self._bounds
        size_bytes = entry.size_bytes = ENTRY_BYTES + entry.value.size_bytes
        if size_bytes > bounds.max_entry_bytes or size_bytes > bounds.max_bytes:
            self.counts.too_large += 1
            return False
        self._keep_within(bounds.max_entries - 1, bounds.max_bytes - size_bytes)
        self._entries[entry.key] = entry
        self.size_bytes += size_bytes
        return True

    def _keep_within(self, max_entries: int, max_bytes: int) -> None:
        entries = self._entries
        while self.size_bytes > max_bytes or len(entries) > max_entries:
            _, evicted = entries.popitem(last=False)
            self.size_bytes -= evicted.size_bytes
            self.counts.evicted += 1

    def _drop(self, key: bytes) -> None:
        self.size_bytes -= self._entries.pop(key).size_bytes

    def _drop_where(self, unwanted: Callable[[Entry[V]], bool]) -> list[bytes]:
        gone = [key for key, entry in self._entries.items() if unwanted(entry)]
        for key in gone:
            self._drop(key)
        return gone
