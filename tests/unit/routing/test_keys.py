from __future__ import annotations

import math
from random import Random

import pytest

from routing.keys import LONGEST_S, PARK_S, KeyPool, KeySlot, KeyStatus, Lease
from routing.policy import KeyEffect

RNG = Random(1)


def pool(count: int = 2, rotation: str = "round_robin", accounts: str = "") -> KeyPool:
    slots = [KeySlot(f"id{at}", accounts[at] if at < len(accounts) else None) for at in range(count)]
    return KeyPool("groq", slots, rotation, cooldown_s=900)  # type: ignore[arg-type]


def lease(of: KeyPool, model: str = "m", now: float = 0, exclude: tuple[int, ...] = ()) -> Lease:
    leased = of.lease(model, now, RNG, exclude)
    assert leased is not None
    return leased


def block(
    of: KeyPool, index: int, effect: KeyEffect = KeyEffect.COOL, now: float = 0, retry_after_s: float | None = None
) -> None:
    of.apply(index, effect, now, model="m", cause=effect.value, retry_after_s=retry_after_s)


def statuses(of: KeyPool, now: float = 0) -> list[str]:
    return [key.status for key in of.snapshot(now)]


def test_round_robin_turns_and_steps_over_what_is_out() -> None:
    keys = pool(3)
    assert [lease(keys).name for _ in range(4)] == ["groq#1", "groq#2", "groq#3", "groq#1"]
    block(keys, 1)
    assert [lease(keys).index for _ in range(3)] == [2, 0, 2]


def test_least_used_looks_at_calls_in_flight_then_at_uses() -> None:
    keys = pool(2, "least_used")
    first = lease(keys)
    assert (first.index, lease(keys).index) == (0, 1)
    keys.release(first)
    assert lease(keys).index == 0
    for leased in list(keys._leases):
        keys.release(leased)
    assert lease(keys).index == 1  # used once, the other twice


def test_random_reaches_every_key() -> None:
    keys = pool(3, "random")
    assert {lease(keys).index for _ in range(50)} == {0, 1, 2}


def test_unknown_rotations_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown rotation"):
        pool(1, "shuffle")


def test_excluded_keys_and_empty_pools_give_no_lease() -> None:
    assert pool(2).lease("m", 0, RNG, exclude={0, 1}) is None
    assert lease(pool(2), exclude=(0,)).index == 1
    none = pool(0)
    assert none.lease("m", 0, RNG) is None
    assert not none.free("m", 0)
    assert none.blocked_until("m", 0) is None


def test_a_lease_is_released_once_and_by_its_own_pool() -> None:
    keys, other = pool(), pool()
    leased = lease(keys)
    with pytest.raises(ValueError, match="not outstanding"):
        other.release(leased)
    keys.release(leased)
    with pytest.raises(ValueError, match="not outstanding"):
        keys.release(leased)
    assert [key.in_flight for key in keys.snapshot(0)] == [0, 0]


@pytest.mark.parametrize(
    ("effect", "named_s", "until"),
    [
        (KeyEffect.COOL, None, 900),
        (KeyEffect.COOL, 5, 5),
        (KeyEffect.COOL, 1e12, LONGEST_S),
        (KeyEffect.PARK, None, PARK_S),
        (KeyEffect.PARK, 5, PARK_S),
        (KeyEffect.PARK, 2 * PARK_S, 2 * PARK_S),
    ],
)
def test_how_long_a_key_is_out(effect: KeyEffect, named_s: float | None, until: float) -> None:
    keys = pool(1)
    block(keys, 0, effect, retry_after_s=named_s)
    assert keys.blocked_until("m", 0) == until
    assert not keys.free("m", until - 0.001)
    assert keys.free("m", until)


@pytest.mark.parametrize("named_s", [0, -3, math.nan])
def test_a_reset_that_is_no_time_ahead_blocks_nothing(named_s: float) -> None:
    keys = pool(1)
    block(keys, 0, retry_after_s=named_s)
    assert keys.free("m", 0)
    assert keys.snapshot(0)[0].errors == 1


def test_the_longest_deadline_wins_with_its_cause() -> None:
    keys = pool(1)
    block(keys, 0, KeyEffect.PARK)
    block(keys, 0, KeyEffect.COOL, now=1, retry_after_s=10)
    assert keys.snapshot(1) == [KeyStatus("groq#1", "parked", 0, 2, 0, PARK_S - 1, "park")]
    block(keys, 0, KeyEffect.DISABLE, now=2)
    block(keys, 0, KeyEffect.PARK, now=3)
    assert keys.snapshot(1e9) == [KeyStatus("groq#1", "disabled", 0, 4, 0, None, "disable")]
    assert keys.blocked_until("m", 3) is None
    assert not keys.free("m", 1e9)


def test_keys_of_one_account_cool_and_park_but_are_not_disabled_together() -> None:
    keys = pool(4, accounts="xyx")
    block(keys, 0)
    assert statuses(keys) == ["cooling", "available", "cooling", "available"]
    block(keys, 3, KeyEffect.PARK)  # no account: its own
    assert statuses(keys) == ["cooling", "available", "cooling", "parked"]
    block(keys, 0, KeyEffect.DISABLE)
    assert statuses(keys) == ["disabled", "available", "cooling", "parked"]
    assert [key.errors for key in keys.snapshot(0)] == [2, 0, 0, 1]  # the others are not to blame


def test_a_model_scoped_limit_holds_for_its_model_only() -> None:
    keys = pool(2, accounts="xx")
    keys.apply(0, KeyEffect.COOL, 0, model="big", cause="c", retry_after_s=10, model_scoped=True)
    assert not keys.free("big", 0)
    assert keys.free("small", 0)
    assert keys.blocked_until("big", 0) == 10
    assert keys.blocked_until("small", 0) is None
    assert [key.status for key in keys.snapshot(0, ["big", "small"])] == ["available", "available"]
    assert [key.blocked_for_s for key in keys.snapshot(0, ["big"])] == [10, 10]
    assert keys.free("big", 10)
    assert not keys._keys[0].by_model  # what has expired takes no memory


def test_a_key_is_free_when_both_its_limits_have_passed() -> None:
    keys = pool(1)
    block(keys, 0, retry_after_s=5)
    keys.apply(0, KeyEffect.COOL, 0, model="m", cause="c", retry_after_s=20, model_scoped=True)
    assert keys.blocked_until("m", 0) == 20
    assert keys.blocked_until("other", 0) == 5


def test_blocked_until_is_the_first_key_s_return() -> None:
    keys = pool(3)
    block(keys, 0, KeyEffect.DISABLE)
    block(keys, 1, retry_after_s=30)
    assert keys.blocked_until("m", 0) is None  # one is free
    block(keys, 2, retry_after_s=20)
    assert keys.blocked_until("m", 0) == 20


def test_no_effect_blames_nobody() -> None:
    keys = pool(1)
    block(keys, 0, KeyEffect.NONE)
    assert keys.snapshot(0) == [KeyStatus("groq#1", "available", 0, 0, 0)]


def test_what_is_known_of_a_key_survives_a_reload_by_id() -> None:
    old = pool(3)
    kept = lease(old)
    block(old, 0)
    old.apply(1, KeyEffect.COOL, 0, model="m", cause="c", model_scoped=True)
    block(old, 2, KeyEffect.DISABLE)
    new = KeyPool("groq", [KeySlot("id2"), KeySlot("new"), KeySlot("id0"), KeySlot("id1")])
    new.carry_over(old)
    assert [(key.name, key.status) for key in new.snapshot(0, ["m"])] == [
        ("groq#1", "disabled"),
        ("groq#2", "available"),
        ("groq#3", "cooling"),
        ("groq#4", "cooling"),
    ]
    assert (new.snapshot(0)[2].used, new.snapshot(0)[2].in_flight) == (1, 0)
    old.release(kept)
    with pytest.raises(ValueError, match="not outstanding"):
        new.release(kept)


def test_secrets_and_ids_are_not_shown() -> None:
    assert "id0" not in repr(lease(pool())) + repr(pool().snapshot(0))


def test_of_two_equal_deadlines_the_first_cause_stands() -> None:
    keys = pool(1)
    for cause in ("first", "second"):
        keys.apply(0, KeyEffect.DISABLE, 0, model="m", cause=cause)
    assert keys.snapshot(0)[0].cause == "first"
