"""The key pool against the simplest model of it: every hold ever made, and the latest deadline among them."""

from __future__ import annotations

import math
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from routing.keys import LONGEST_S, PARK_S, KeyPool, KeySlot, Lease
from routing.policy import KeyEffect

MODELS = ("big", "small")
COOLDOWN_S = 60.0

accounts = st.lists(st.sampled_from(["x", "y", None]), min_size=1, max_size=4)
exclusions = st.frozensets(st.integers(0, 3), max_size=2)


class KeyPoolMachine(RuleBasedStateMachine):
    @initialize(accounts=accounts, rotation=st.sampled_from(["round_robin", "least_used", "random"]))
    def start(self, accounts: list[str | None], rotation: str) -> None:
        self.accounts = accounts
        self.slots = [KeySlot(f"id{at}", account) for at, account in enumerate(accounts)]
        self.rotation = rotation
        self.pool = KeyPool("p", self.slots, rotation, COOLDOWN_S)  # type: ignore[arg-type]
        self.now = 1000.0
        self.rng = Random(1)
        self.leases: list[Lease] = []
        self.used = [0] * len(accounts)
        self.errors = [0] * len(accounts)
        self.holds: list[tuple[int, str, float]] = []  # key, model, until

    def until(self, index: int, model: str) -> float:
        return max((until for key, of, until in self.holds if (key, of) == (index, model)), default=-math.inf)

    def free(self, model: str) -> set[int]:
        return {index for index in range(len(self.accounts)) if self.until(index, model) <= self.now}

    @rule(model=st.sampled_from(MODELS), exclude=exclusions)
    def lease(self, model: str, exclude: frozenset[int]) -> None:
        lease = self.pool.lease(model, self.now, self.rng, exclude)
        free = self.free(model) - exclude
        if lease is None:
            assert not free
            return
        assert lease.index in free
        if self.rotation == "least_used":
            flying = [sum(other.index == index for other in self.leases) for index in range(len(self.accounts))]
            assert flying[lease.index] == min(flying[index] for index in free)
        self.leases.append(lease)
        self.used[lease.index] += 1

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.pool.release(self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1))))

    @rule(
        data=st.data(),
        effect=st.sampled_from(KeyEffect),
        model=st.sampled_from(MODELS),
        scoped=st.booleans(),
        named_s=st.none() | st.floats(-10, 1e6),
    )
    def blame(self, data: st.DataObject, effect: KeyEffect, model: str, scoped: bool, named_s: float | None) -> None:
        index = data.draw(st.integers(0, len(self.accounts) - 1))
        self.pool.apply(index, effect, self.now, model=model, cause="cause", retry_after_s=named_s, model_scoped=scoped)
        if effect is KeyEffect.NONE:
            return
        self.errors[index] += 1
        named_s = None if named_s is None else min(max(named_s, 0), LONGEST_S)
        lasts_s = {
            KeyEffect.COOL: COOLDOWN_S if named_s is None else named_s,
            KeyEffect.PARK: max(PARK_S, named_s or 0),
            KeyEffect.DISABLE: math.inf,
        }[effect]
        account = self.accounts[index]
        peers = {index}
        if account is not None and effect is not KeyEffect.DISABLE:
            peers |= {at for at, other in enumerate(self.accounts) if other == account}
        of = [model] if scoped else MODELS
        self.holds += [(peer, each, self.now + lasts_s) for peer in peers for each in of]

    @rule(passes_s=st.sampled_from([0.5, 30, 60, 3600, 90_000]))
    def wait(self, passes_s: float) -> None:
        self.now += passes_s

    @rule()
    def reload(self) -> None:
        """The new pool knows what the old one did; leases still go back to the old one."""
        old = self.pool
        self.pool = KeyPool("p", self.slots, self.rotation, COOLDOWN_S)  # type: ignore[arg-type]
        self.pool.carry_over(old)
        for lease in self.leases:
            old.release(lease)
        self.leases.clear()

    @invariant()
    def agrees_with_the_model(self) -> None:
        for model in MODELS:
            free = self.free(model)
            assert self.pool.free(model, self.now) == bool(free)
            soonest = min(self.until(index, model) for index in range(len(self.accounts)))
            expected = None if free or soonest == math.inf else soonest
            assert self.pool.blocked_until(model, self.now) == expected

    @invariant()
    def counts_what_it_gave(self) -> None:
        for index, status in enumerate(self.pool.snapshot(self.now, MODELS)):
            assert status.in_flight == sum(lease.index == index for lease in self.leases)
            assert (status.used, status.errors) == (self.used[index], self.errors[index])
            blocked = all(self.until(index, model) > self.now for model in MODELS)
            assert (status.status != "available") == blocked
            assert status.blocked_for_s is None or 0 < status.blocked_for_s <= LONGEST_S

    @invariant()
    def stays_small(self) -> None:
        assert all(len(key.by_model) <= len(MODELS) for key in self.pool._keys)


TestKeyPool = KeyPoolMachine.TestCase
TestKeyPool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
