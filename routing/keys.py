"""The keys of one provider: which is leased next, and which are out of use for how long.

A key is known by its position and an opaque id, never by its secret. A key is out of use until a deadline, for all
models or for one; of two deadlines the longest wins, and a disabled key's never comes. Keys that share an account cool
and park together. Knows no clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias, get_args

from routing.policy import KeyEffect

PARK_S = 3600.0  # a quota or a credit seldom comes back sooner
LONGEST_S = 24 * 3600.0

Rotation: TypeAlias = Literal["round_robin", "least_used", "random"]
Status: TypeAlias = Literal["available", "cooling", "parked", "disabled"]


@dataclass(frozen=True, slots=True)
class KeySlot:
    """One configured key. `id` is stable over reloads and tells nothing of the secret."""

    id: str
    account: str | None = None  # keys of one account share its limits; None: the key is its own account


class Lease:
    """The right to use one key for one call. Must be released, exactly once."""

    __slots__ = ("index", "name")

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name  # "groq#1": the provider and the key's position, from 1


@dataclass(frozen=True, slots=True)
class KeyStatus:
    name: str
    status: Status
    used: int
    errors: int  # failures that were the key's own
    in_flight: int
    blocked_for_s: float | None = None  # None: available, or disabled
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class _Hold:
    """Why a key is out of use, and until when: monotonic seconds, infinite for a disabled one."""

    until: float
    status: Status
    cause: str


class _Key:
    __slots__ = ("by_model", "errors", "hold", "in_flight", "name", "slot", "used")

    def __init__(self, slot: KeySlot, name: str) -> None:
        self.slot = slot
        self.name = name
        self.hold: _Hold | None = None
        self.by_model: dict[str, _Hold] = {}  # at most one for each model of the provider
        self.in_flight = 0
        self.used = 0
        self.errors = 0

    def free_from(self, model: str, now: float) -> float:
        """When it may be used for `model`: `now` if it may at once, infinite if never."""
        if self.hold is None and not self.by_model:
            return now
        until = now
        if self.hold is not None:
            if self.hold.until > now:
                until = self.hold.until
            else:
                self.hold = None
        if (scoped := self.by_model.get(model)) is not None:
            if scoped.until > now:
                until = max(until, scoped.until)
            else:
                del self.by_model[model]
        return until

    def block(self, hold: _Hold, model: str | None) -> None:
        known = self.hold if model is None else self.by_model.get(model)
        if known is not None and known.until >= hold.until:
            return
        if model is None:
            self.hold = hold
        else:
            self.by_model[model] = hold

    def held(self, now: float, models: Collection[str]) -> _Hold | None:
        """What keeps it from every one of `models`, or None."""
        if self.hold is not None and self.hold.until > now:
            return self.hold
        scoped = [hold for model in models if (hold := self.by_model.get(model)) is not None and hold.until > now]
        if not scoped or len(scoped) < len(models):
            return None
        return min(scoped, key=lambda hold: hold.until)


class KeyPool:
    """The keys of one provider; a single one that stands for no key where it needs none."""

    def __init__(
        self,
        provider: str,
        slots: Sequence[KeySlot],
        rotation: Rotation = "round_robin",
        cooldown_s: float = 900.0,
    ) -> None:
        if rotation not in get_args(Rotation):
            raise ValueError(f"unknown rotation {rotation!r}")
        self._keys = [_Key(slot, f"{provider}#{position}") for position, slot in enumerate(slots, 1)]
        self._rotation = rotation
        self._cooldown_s = cooldown_s
        self._next = 0
        self._leases: set[Lease] = set()

    def lease(self, model: str, now: float, rng: Random, exclude: Collection[int] = ()) -> Lease | None:
        """A key that may be used for `model` now; None if there is none but those in `exclude`."""
        keys = self._keys
        if len(keys) == 1:
            index = 0
            if index in exclude or keys[0].free_from(model, now) > now:
                return None
        else:
            free = self._free(model, now, exclude)
            if not free:
                return None
            index = self._pick(free, rng)
        key = keys[index]
        key.in_flight += 1
        key.used += 1
        lease = Lease(index, key.name)
        self._leases.add(lease)
        return lease

    def release(self, lease: Lease) -> None:
        """Raises ValueError for a lease that is not this pool's, or not any more."""
        if lease not in self._leases:
            raise ValueError(f"the lease on {lease.name} is not outstanding")
        self._leases.remove(lease)
        self._keys[lease.index].in_flight -= 1

    def apply(
        self,
        index: int,
        effect: KeyEffect,
        now: float,
        *,
        model: str,
        cause: str,
        retry_after_s: float | None = None,
        model_scoped: bool = False,
    ) -> None:
        """What a failure does to the key at `index`, and to those of its account. `cause` is shown as it is."""
        if effect is KeyEffect.NONE:
            return
        key = self._keys[index]
        key.errors += 1
        hold = self._hold(effect, now, retry_after_s, cause)
        for peer in self._keys:
            shares = key.slot.account is not None and peer.slot.account == key.slot.account
            if peer is key or (shares and effect is not KeyEffect.DISABLE):
                peer.block(hold, model if model_scoped else None)

    def free(self, model: str, now: float, exclude: Collection[int] = ()) -> bool:
        for index, key in enumerate(self._keys):  # noqa: SIM110 - asked for every attempt; any() costs twice as much
            if index not in exclude and key.free_from(model, now) <= now:
                return True
        return False

    def blocked_until(self, model: str, now: float) -> float | None:
        """When the first key is free for `model` again; None if one is free now, or none will ever be."""
        until = min((key.free_from(model, now) for key in self._keys), default=math.inf)
        return until if now < until < math.inf else None

    def snapshot(self, now: float, models: Collection[str] = ()) -> list[KeyStatus]:
        """A key limited for every one of `models` counts as limited."""
        return [_status(key, now, models) for key in self._keys]

    def carry_over(self, old: KeyPool) -> None:
        """Take what is known of the same keys from before a reload. Leases go back to the pool that gave them."""
        known = {key.slot.id: key for key in old._keys}
        for key in self._keys:
            if (before := known.get(key.slot.id)) is not None:
                key.hold, key.by_model = before.hold, dict(before.by_model)
                key.used, key.errors = before.used, before.errors

    def _free(self, model: str, now: float, exclude: Collection[int]) -> list[int]:
        return [
            index for index, key in enumerate(self._keys) if index not in exclude and key.free_from(model, now) <= now
        ]

    def _pick(self, free: Sequence[int], rng: Random) -> int:
        if len(free) == 1:
            return free[0]
        if self._rotation == "random":
            return rng.choice(free)
        if self._rotation == "least_used":
            return min(free, key=lambda index: (self._keys[index].in_flight, self._keys[index].used))
        index = next((index for index in free if index >= self._next), free[0])
        self._next = index + 1
        return index

    def _hold(self, effect: KeyEffect, now: float, retry_after_s: float | None, cause: str) -> _Hold:
        if effect is KeyEffect.DISABLE:
            return _Hold(math.inf, "disabled", cause)
        named_s = None if retry_after_s is None else min(max(0.0, retry_after_s), LONGEST_S)
        if effect is KeyEffect.PARK:
            return _Hold(now + max(PARK_S, named_s or 0.0), "parked", cause)
        return _Hold(now + (self._cooldown_s if named_s is None else named_s), "cooling", cause)


def _status(key: _Key, now: float, models: Collection[str]) -> KeyStatus:
    hold = key.held(now, models)
    if hold is None:
        return KeyStatus(key.name, "available", key.used, key.errors, key.in_flight)
    blocked_for_s = hold.until - now if hold.until < math.inf else None
    return KeyStatus(key.name, hold.status, key.used, key.errors, key.in_flight, blocked_for_s, hold.cause)
