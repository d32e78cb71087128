"""The exact tier: values by digest, bounded in number and in bytes, each with a time to live.

The least recently used goes first. What has outlived its time is never given out, and `expire` frees what nobody asks
for any more. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cachetools import Cache, LRUCache

# What it takes to hold an entry, its value and its key's bytes apart: the object, three dictionaries' places, a link.
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
        self._bounds = bounds
        self._entries: LRUCache[bytes, Entry[V]] = LRUCache(math.inf, getsizeof=_size)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        return int(self._entries.currsize)

    @property
    def bounds(self) -> Bounds:
        return self._bounds

    @bounds.setter
    def bounds(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._make_room(0, 0)

    def get(self, key: bytes, now: float) -> Entry[V] | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at <= now:
            del self._entries[key]
            self.counts.expired += 1
            return None
        return entry

    def peek(self, key: bytes) -> V | None:
        """What is under this key, its time over or not, as if nobody had asked."""
        return _untouched(self._entries, key).value if key in self._entries else None

    def put(self, key: bytes, value: V, now: float, ttl_s: float) -> bool:
        """False: it is too large, or lives for no time at all. What was there before is gone either way."""
        if ttl_s > 0 and self._add(Entry(key, value, now, now + ttl_s)):
            self.counts.stored += 1
            return True
        self._entries.pop(key, None)
        return False

    def grown(self, entry: Entry[V]) -> None:
        """Its value holds more, or less, than it did. It may be too large now, and gone."""
        if self._entries.pop(entry.key, None) is entry:
            self._add(entry)

    def remove(self, key: bytes) -> bool:
        return self._entries.pop(key, None) is not None

    def remove_where(self, unwanted: Callable[[V], bool]) -> list[bytes]:
        """The keys of what was removed."""
        return self._remove(lambda entry: unwanted(entry.value))

    def expire(self, now: float) -> list[bytes]:
        """The keys of what had outlived its time, and is gone."""
        keys = self._remove(lambda entry: entry.expires_at <= now)
        self.counts.expired += len(keys)
        return keys

    def _add(self, entry: Entry[V]) -> bool:
        bounds, kept = self._bounds, self._entries
        size_bytes = entry.size_bytes = ENTRY_BYTES + entry.value.size_bytes
        if size_bytes > bounds.max_entry_bytes or size_bytes > bounds.max_bytes:
            self.counts.too_large += 1
            return False
        if len(kept) >= bounds.max_entries or kept.currsize + size_bytes > bounds.max_bytes:
            kept.pop(entry.key, None)
            self._make_room(1, size_bytes)
        kept[entry.key] = entry
        return True

    def _make_room(self, entries: int, size_bytes: int) -> None:
        kept, bounds = self._entries, self._bounds
        while kept and (len(kept) + entries > bounds.max_entries or kept.currsize + size_bytes > bounds.max_bytes):
            kept.popitem()
            self.counts.evicted += 1

    def _remove(self, unwanted: Callable[[Entry[V]], bool]) -> list[bytes]:
        gone = [key for key in self._entries if unwanted(_untouched(self._entries, key))]
        for key in gone:
            del self._entries[key]
        return gone


# Read as the library's own base class does: without a use being noted.
_untouched = Cache.__getitem__


def _size(entry: Entry[V]) -> int:
    return entry.size_bytes
