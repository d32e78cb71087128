"""Ejection over any order of calls that begin, settle, are given up, and of free probes between them."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from routing.health import LONGEST_S, Health, Standing

NAMES = ("a/m", "b/m")
EJECT_FOR_S = 30.0

names = st.sampled_from(NAMES)


class HealthMachine(RuleBasedStateMachine):
    @initialize(eject_after=st.integers(1, 3))
    def start(self, eject_after: int) -> None:
        self.eject_after = eject_after
        self.health = Health(eject_after=eject_after, eject_for_s=EJECT_FOR_S)
        self.now = 0.0
        self.calls: list[tuple[str, bool]] = []  # name, probe
        self.run = dict.fromkeys(NAMES, 0)  # failures in a row that were heard

    def heard(self, name: str, probe: bool) -> bool:
        return probe or self.health.ejected_until(name) is None

    @rule(name=names)
    def begin(self, name: str) -> None:
        standing = self.health.standing(name, self.now)
        probe = self.health.begin(name, self.now)
        assert probe == (standing is Standing.HALF_OPEN)
        self.calls.append((name, probe))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), outcome=st.sampled_from(["ok", "failed", "released"]))
    def settle(self, data: st.DataObject, outcome: str) -> None:
        name, probe = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        heard = self.heard(name, probe)
        before = self.health.ejected_until(name)
        if outcome == "ok":
            self.health.succeeded(name, probe=probe)
            self.run[name] = 0 if heard else self.run[name]
            assert self.health.ejected_until(name) == (None if heard else before)
        elif outcome == "failed":
            self.health.failed(name, self.now, probe=probe, cause="cause")
            self.fell(name, heard, probe, before)
        else:
            self.health.released(name, probe=probe)
            assert self.health.ejected_until(name) == before

    def fell(self, name: str, heard: bool, probe: bool, before: float | None) -> None:
        until = self.health.ejected_until(name)
        if not heard:
            assert until == before
            return
        self.run[name] += 1
        if not probe and self.run[name] < self.eject_after:
            assert until is None
            return
        assert until is not None
        assert EJECT_FOR_S <= until - self.now <= LONGEST_S

    @rule(name=names)
    def free_probe_answered(self, name: str) -> None:
        standing = self.health.standing(name, self.now)
        self.health.probe_ok([name], self.now)
        if standing is Standing.HALF_OPEN:
            self.run[name] = 0
            standing = Standing.HEALTHY
        assert self.health.standing(name, self.now) is standing

    @rule(name=names)
    def free_probe_failed(self, name: str) -> None:
        before = self.health.ejected_until(name)
        probe = self.health.standing(name, self.now) is Standing.HALF_OPEN
        heard = self.heard(name, probe)
        self.health.probe_failed([name], self.now, cause="cause")
        self.fell(name, heard, probe, before)

    @rule(passes_s=st.sampled_from([1.0, 30.0, 300.0]))
    def wait(self, passes_s: float) -> None:
        self.now += passes_s

    @rule()
    def reload(self) -> None:
        old = self.health
        self.health = Health(eject_after=self.eject_after, eject_for_s=EJECT_FOR_S)
        self.health.carry_over(old, NAMES)
        self.calls.clear()  # they settle in the old one

    @invariant()
    def has_at_most_one_probe_on_its_way(self) -> None:
        for name in NAMES:
            probes = self.calls.count((name, True))
            assert probes == (self.health.standing(name, self.now) is Standing.PROBING)

    @invariant()
    def is_bounded_and_never_negative(self) -> None:
        told = self.health.snapshot(self.now)
        assert {candidate.name for candidate in told} <= set(NAMES)
        assert all(candidate.ejections >= 0 and candidate.failures >= 0 for candidate in told)


TestHealth = HealthMachine.TestCase
TestHealth.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
