"""Which idle connections are kept. Virtual clock; connections are just names here."""

from __future__ import annotations

import pytest

from cortex.upstream.pool import Pool
from cortex.upstream.target import Origin

A, B = Origin(False, "a", 80), Origin(True, "b", 443)


@pytest.fixture
def pool() -> Pool[str]:
    return Pool(idle_s=75, per_origin=3, total=5)


def test_the_one_that_rested_last_is_taken_first(pool: Pool[str]) -> None:
    for now, name in enumerate("xyz"):
        assert pool.put(A, name, now) is None
    assert [pool.take(A) for _ in range(4)] == ["z", "y", "x", None]
    assert len(pool) == 0


def test_a_connection_serves_its_own_origin_only(pool: Pool[str]) -> None:
    pool.put(A, "x", 0)
    assert [pool.take(origin) for origin in (B, Origin(True, "a", 80), Origin(False, "a", 81), A)] == [None] * 3 + ["x"]


def test_an_origin_with_too_many_gives_up_its_oldest(pool: Pool[str]) -> None:
    assert [pool.put(A, name, now) for now, name in enumerate("uvwx")] == [None, None, None, "u"]
    assert len(pool) == 3


def test_too_many_in_all_give_up_the_oldest_of_all(pool: Pool[str]) -> None:
    puts = [(B, "1"), (A, "2"), (A, "3"), (B, "4"), (A, "5"), (B, "6")]
    assert [pool.put(origin, name, now) for now, (origin, name) in enumerate(puts)] == [None] * 5 + ["1"]
    assert len(pool) == 5


def test_what_has_rested_long_enough_is_to_be_closed(pool: Pool[str]) -> None:
    assert pool.due() is None
    pool.put(A, "x", 100)
    pool.put(B, "y", 110)
    assert pool.due() == 175
    assert pool.expire(174.9) == []
    assert pool.expire(175) == ["x"]
    assert pool.due() == 185
    assert pool.expire(1000) == ["y"]
    assert (pool.due(), len(pool)) == (None, 0)


def test_a_connection_that_was_taken_rests_anew(pool: Pool[str]) -> None:
    pool.put(A, "x", 0)
    pool.put(A, "y", 10)
    pool.take(A)
    pool.put(A, "y", 50)
    assert pool.expire(75) == ["x"]
    assert pool.due() == 125


def test_one_that_is_gone_is_forgotten(pool: Pool[str]) -> None:
    pool.put(A, "x", 0)
    pool.discard(A, "y")
    pool.discard(B, "x")
    assert len(pool) == 1
    pool.discard(A, "x")
    assert (len(pool), pool.take(A), pool.due()) == (0, None, None)


def test_all_are_given_up_at_once(pool: Pool[str]) -> None:
    pool.put(A, "x", 0)
    pool.put(B, "y", 0)
    assert sorted(pool.clear()) == ["x", "y"]
    assert (len(pool), pool.take(A), pool.due()) == (0, None, None)
