from __future__ import annotations

from routing.health import Standing
from routing.policy import KeyEffect
from routing.state import RetryBudget
from tests.support.routing import balance, graph, provider, state


def test_the_retry_budget_is_a_share_of_the_active_requests_and_never_below_its_floor() -> None:
    budget = RetryBudget()
    assert [budget.take(0.2, 3) for _ in range(4)] == [True, True, True, False]
    budget.active = 20
    assert [budget.take(0.2, 3) for _ in range(2)] == [True, False]
    budget.give_back()
    assert budget.has_room(0.2, 3)
    assert not RetryBudget(active=4).has_room(0.2, 0)


def test_providers_that_are_off_are_known_with_their_reason() -> None:
    assert state(graph(providers=[provider("a", "m", off="no key"), provider("b", "m")])).off == {"a": "no key"}


def test_what_was_learnt_survives_a_reload_by_name() -> None:
    old = state(graph({"chat": balance("round_robin", "a", "b"), "gone": balance("round_robin", "a")}), eject_after=1)
    old.health.failed("a/m", 0, probe=False, cause="timeout")
    old.pools["b"].apply(0, KeyEffect.COOL, 0, model="m", cause="limit")
    old.load.begin("a/m")
    old.load.measured("a/m", 2, 0, stream=True)
    old.retries.active = 3
    old.turn("chat")
    old.affinity.keep(b"conversation", "coding", 0)
    new = state(graph({"chat": balance("round_robin", "b"), "new": balance("round_robin", "a")}, "abd"))
    new.carry_over(old)
    assert new.health.standing("a/m", 0) is Standing.EJECTED
    assert new.pools["b"].blocked_until("m", 0) == 900
    assert new.pools["d"].free("m", 0)
    assert (new.load.latency_s("a/m", stream=True), new.load.in_flight("a/m")) == (2, 0)
    assert new.affinity.known(b"conversation", 1)
    assert (new.turn("chat"), new.turn("new"), new.retries.active) == (1, 0, 0)


def test_vanished_names_are_dropped() -> None:
    old = state(graph(), eject_after=1)
    old.health.failed("c/m", 0, probe=False, cause="timeout")
    new = state(graph(providers="ab"))
    new.carry_over(old)
    assert new.health.snapshot(0) == []
    assert sorted(new.pools) == ["a", "b"]
