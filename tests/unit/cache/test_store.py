"""The exact tier's bounds, times and order of use. Every time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cache.store import ENTRY_BYTES, Bounds, Counts, Store

TTL_S = 10.0


@dataclass(eq=False)
class Value:
    name: str
    size_bytes: int = 100


def store_of(entries: int = 3, value_bytes: int = 1000, one_bytes: int = 1000) -> Store[Value]:
    """With room for so many bytes of values, in so many entries."""
    return Store(Bounds(entries, value_bytes + entries * ENTRY_BYTES, one_bytes + ENTRY_BYTES))


def put(store: Store[Value], *names: str, now: float = 0.0, size: int = 100, ttl_s: float = TTL_S) -> None:
    for name in names:
        assert store.put(name.encode(), Value(name, size), now, ttl_s)


def names(store: Store[Value]) -> str:
    """What is kept."""
    return "".join(name for name in "abcdefgh" if store.peek(name.encode()) is not None)


def test_what_was_put_is_found_until_its_time_is_over() -> None:
    store = store_of()
    put(store, "a", now=5.0)
    entry = store.get(b"a", 5.0 + TTL_S - 0.001)
    assert entry is not None
    assert (entry.value.name, entry.stored_at, entry.expires_at) == ("a", 5.0, 5.0 + TTL_S)
    assert store.get(b"b", 5.0) is None
    assert store.get(b"a", 5.0 + TTL_S) is None
    assert (len(store), store.size_bytes, store.counts.expired) == (0, 0, 1)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0])
def test_what_lives_for_no_time_is_not_stored_and_ends_what_was_there(ttl_s: float) -> None:
    store = store_of()
    put(store, "a")
    assert not store.put(b"a", Value("a"), 0.0, ttl_s)
    assert (names(store), store.size_bytes) == ("", 0)


def test_putting_again_takes_the_old_ones_place_and_time() -> None:
    store = store_of()
    put(store, "a", size=300)
    put(store, "a", now=8.0, size=100)
    entry = store.get(b"a", 8.0 + TTL_S - 0.001)
    assert entry is not None
    assert (len(store), store.size_bytes) == (1, ENTRY_BYTES + 100)
    assert store.counts == Counts(stored=2)


def test_the_least_recently_used_goes_first_when_there_are_too_many() -> None:
    store = store_of(entries=3)
    put(store, "a", "b", "c")
    assert store.get(b"a", 1.0) is not None
    put(store, "d")
    assert (names(store), store.counts.evicted) == ("acd", 1)


def test_as_many_go_as_a_large_one_needs() -> None:
    store = Store[Value](Bounds(8, 4 * (ENTRY_BYTES + 100), 1 << 20))
    put(store, "a", "b", "c", "d")
    assert store.get(b"a", 1.0) is not None
    put(store, "e", size=ENTRY_BYTES + 150)
    assert (names(store), store.counts.evicted) == ("ade", 2)


def test_one_too_large_is_not_stored_and_drives_nothing_out() -> None:
    store = store_of(one_bytes=200)
    put(store, "a", "b")
    assert not store.put(b"c", Value("c", 201), 0.0, TTL_S)
    assert (names(store), store.counts.too_large, store.counts.evicted) == ("ab", 1, 0)
    put(store, "c", size=200)


def test_one_larger_than_all_the_room_is_not_stored() -> None:
    store = Store[Value](Bounds(10, ENTRY_BYTES + 100, 1 << 30))
    put(store, "a")
    assert not store.put(b"b", Value("b", 101), 0.0, TTL_S)
    assert names(store) == "a"


def test_what_replaces_and_is_too_large_still_ends_the_old() -> None:
    store = store_of(one_bytes=200)
    put(store, "a")
    assert not store.put(b"a", Value("a", 500), 0.0, TTL_S)
    assert (len(store), store.size_bytes) == (0, 0)


def test_looking_after_it_is_no_use() -> None:
    store = store_of(entries=3)
    put(store, "a", "b", "c")
    assert store.peek(b"a") is not None
    assert store.expire(1.0) == []
    assert store.remove_where(lambda value: False) == []
    put(store, "d")
    assert names(store) == "bcd", "a was the least recently used"


def test_peek_sees_what_is_over_and_get_takes_it_out() -> None:
    store = store_of()
    put(store, "a")
    assert store.peek(b"a") is not None
    assert store.get(b"a", TTL_S) is None
    assert store.peek(b"a") is None


def test_expire_frees_what_is_over_and_nothing_else() -> None:
    store = store_of(entries=4)
    put(store, "a", "b", ttl_s=1.0)
    put(store, "c", "d", ttl_s=2.0)
    assert store.expire(1.0) == [b"a", b"b"]
    assert (names(store), store.size_bytes, store.counts.expired) == ("cd", 2 * (ENTRY_BYTES + 100), 2)


def test_removing_by_key_and_by_value() -> None:
    store = store_of(entries=4)
    put(store, "a", "b", "c")
    assert store.remove(b"b")
    assert not store.remove(b"b")
    assert store.remove_where(lambda value: value.name == "c") == [b"c"]
    assert (names(store), store.size_bytes) == ("a", ENTRY_BYTES + 100)


def test_one_that_grows_is_counted_and_may_drive_others_out() -> None:
    store = store_of(entries=3, value_bytes=300)
    put(store, "a", "b", "c")
    entry = store.get(b"b", 0.0)
    assert entry is not None
    entry.value.size_bytes = 150
    store.grown(entry.key, entry.value)
    assert names(store) == "bc"
    assert store.size_bytes == 2 * ENTRY_BYTES + 250
    assert store.get(b"b", 0.0) is entry, "its time and itself are the same"


def test_one_that_outgrows_the_bounds_is_gone() -> None:
    store = store_of(one_bytes=200)
    put(store, "a")
    entry = store.get(b"a", 0.0)
    assert entry is not None
    entry.value.size_bytes = 201
    store.grown(entry.key, entry.value)
    assert (len(store), store.size_bytes, store.counts.too_large) == (0, 0, 1)


def test_one_that_was_replaced_grows_for_nobody() -> None:
    store = store_of()
    put(store, "a")
    old = store.get(b"a", 0.0)
    assert old is not None
    put(store, "a", size=50)
    old.value.size_bytes = 500
    store.grown(old.key, old.value)
    kept = store.get(b"a", 0.0)
    assert kept is not None
    assert kept is not old
    assert store.size_bytes == ENTRY_BYTES + 50


def test_one_that_is_gone_does_not_come_back_by_growing() -> None:
    store = store_of()
    put(store, "a")
    entry = store.get(b"a", 0.0)
    assert entry is not None
    store.remove(b"a")
    store.grown(entry.key, entry.value)
    assert (len(store), store.size_bytes) == (0, 0)


def test_narrower_bounds_hold_at_once() -> None:
    store = store_of(entries=4)
    put(store, "a", "b", "c", "d")
    store.bounds = Bounds(2, store.bounds.max_bytes, store.bounds.max_entry_bytes)
    assert names(store) == "cd"
    store.bounds = Bounds(0, 0, 0)
    assert (len(store), store.size_bytes) == (0, 0)
    assert not store.put(b"a", Value("a"), 0.0, TTL_S)
