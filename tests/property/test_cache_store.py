"""The store against a simple model of it: a list in order of use, and sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cache.store import ENTRY_BYTES, Bounds, Entry, Store

KEYS = st.sampled_from([bytes([n]) for n in range(8)])
SIZES = st.integers(0, 400)
SOME = st.builds(Bounds, st.integers(1, 5), st.integers(0, 5 * (ENTRY_BYTES + 200)), st.integers(0, ENTRY_BYTES + 400))
BOUNDS = SOME | st.just(Bounds(0, 0, 0))  # switched off


@dataclass(eq=False)
class Value:
    size_bytes: int


@dataclass(eq=False)
class Kept:
    key: bytes
    value: Value
    stored_at: float
    expires_at: float


@dataclass
class Model:
    """The least recently used comes first."""

    kept: list[Kept] = field(default_factory=list)
    evicted: int = 0
    expired: int = 0
    stored: int = 0
    too_large: int = 0

    def at(self, key: bytes) -> Kept | None:
        return next((each for each in self.kept if each.key == key), None)

    def take(self, key: bytes) -> Kept | None:
        found = self.at(key)
        self.kept = [each for each in self.kept if each.key != key]
        return found

    def size(self) -> int:
        return sum(ENTRY_BYTES + each.value.size_bytes for each in self.kept)

    def add(self, new: Kept, bounds: Bounds) -> bool:
        size = ENTRY_BYTES + new.value.size_bytes
        if size > min(bounds.max_entry_bytes, bounds.max_bytes):
            self.too_large += 1
            return False
        self.fit(bounds, 1, size)
        self.kept.append(new)
        return True

    def fit(self, bounds: Bounds, entries: int = 0, size: int = 0) -> None:
        while self.kept and (len(self.kept) + entries > bounds.max_entries or self.size() + size > bounds.max_bytes):
            del self.kept[0]
            self.evicted += 1


class AgainstAModel(RuleBasedStateMachine):
    @initialize(bounds=BOUNDS)
    def begin(self, bounds: Bounds) -> None:
        self.now = 0.0
        self.store: Store[Value] = Store(bounds)
        self.model = Model()
        self.seen: list[Entry[Value]] = []  # whatever was given out, kept still or not

    @rule(key=KEYS, size=SIZES, ttl_s=st.sampled_from([-1.0, 0.0, 1.0, 3.0, math.inf]))
    def put(self, key: bytes, size: int, ttl_s: float) -> None:
        value = Value(size)
        self.model.take(key)
        due = ttl_s > 0 and self.model.add(Kept(key, value, self.now, self.now + ttl_s), self.store.bounds)
        self.model.stored += due
        assert self.store.put(key, value, self.now, ttl_s) is due

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        kept, entry = self.model.take(key), self.store.get(key, self.now)
        if kept is None or kept.expires_at <= self.now:
            self.model.expired += kept is not None
            assert entry is None
            return
        self.model.kept.append(kept)
        assert entry is not None
        assert (entry.value, entry.stored_at, entry.expires_at) == (kept.value, kept.stored_at, kept.expires_at)
        self.seen.append(entry)

    @rule(key=KEYS, size=SIZES)
    def grow(self, key: bytes, size: int) -> None:
        """As a hit does: it is looked up, holds more afterwards, and the store is told."""
        self.get(key)
        kept = self.model.take(key)
        if kept is None:
            return
        entry = self.store.get(key, self.now)
        assert entry is not None
        kept.value.size_bytes = size
        self.model.add(kept, self.store.bounds)
        self.store.grown(entry.key, entry.value)

    @rule(data=st.data())
    def grow_later(self, data: st.DataObject) -> None:
        """What was given out some time ago: it may have been taken out or replaced since."""
        if not self.seen:
            return
        entry = data.draw(st.sampled_from(self.seen))
        kept = self.model.at(entry.key)
        if kept is not None and kept.value is entry.value:
            entry.value.size_bytes += 100
            self.model.take(entry.key)
            self.model.add(kept, self.store.bounds)
        self.store.grown(entry.key, entry.value)

    @rule(key=KEYS)
    def peek(self, key: bytes) -> None:
        kept = self.model.at(key)
        assert self.store.peek(key) is (None if kept is None else kept.value)

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        assert self.store.remove(key) is (self.model.take(key) is not None)

    @rule(most=SIZES)
    def remove_where(self, most: int) -> None:
        gone = {each.key for each in self.model.kept if each.value.size_bytes > most}
        self.model.kept = [each for each in self.model.kept if each.key not in gone]
        removed = self.store.remove_where(lambda value: value.size_bytes > most)
        assert (set(removed), len(removed)) == (gone, len(gone))

    @rule()
    def expire(self) -> None:
        gone = {each.key for each in self.model.kept if each.expires_at <= self.now}
        self.model.kept = [each for each in self.model.kept if each.key not in gone]
        self.model.expired += len(gone)
        assert set(self.store.expire(self.now)) == gone

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(bounds=BOUNDS)
    def reload(self, bounds: Bounds) -> None:
        self.store.bounds = bounds
        self.model.fit(bounds)

    @invariant()
    def agree(self) -> None:
        store, model = self.store, self.model
        assert len(store) == len(model.kept)
        assert store.size_bytes == model.size()
        for each in model.kept:
            assert store.peek(each.key) is each.value
        counts = store.counts
        told = (counts.stored, counts.evicted, counts.expired, counts.too_large)
        assert told == (model.stored, model.evicted, model.expired, model.too_large)

    @invariant()
    def bounds_hold(self) -> None:
        bounds = self.store.bounds
        assert len(self.store) <= bounds.max_entries
        assert self.store.size_bytes <= bounds.max_bytes


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=150, stateful_step_count=40)
