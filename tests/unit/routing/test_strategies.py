from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from routing.demand import Demand
from routing.graph import Candidate
from routing.load import HALF_LIFE_S, Load
from routing.strategies import EXPECTED_OUTPUT_TOKENS, STRATEGIES, Contender, Situation

A, B, C = (Candidate(name, "m") for name in "abc")


def ordered(
    strategy: str,
    contenders: Sequence[Contender] | Sequence[Candidate] = (A, B, C),
    *,
    load: Load | None = None,
    demand: Demand | None = None,
    turn: int = 0,
    now: float = 0,
    rng: Random | None = None,
) -> str:
    given = [
        each if isinstance(each, Contender) else Contender(place, 1, each) for place, each in enumerate(contenders)
    ]
    situation = Situation(load or Load(), demand or Demand(1000, stream=True), turn, now, rng or Random(1))
    order = STRATEGIES[strategy](given, situation)
    assert sorted(contender.place for contender in order) == list(range(len(given)))
    return "".join(contender.candidate.provider for contender in order)


def test_weighted_draws_every_place_by_weight() -> None:
    contenders = [Contender(0, 6, A), Contender(1, 3, B), Contender(2, 1, C)]
    rng = Random(7)
    orders = Counter(ordered("weighted", contenders, rng=rng) for _ in range(5000))
    firsts = {name: sum(count for order, count in orders.items() if order[0] == name) / 5000 for name in "abc"}
    assert all(abs(firsts[name] - share) < 0.03 for name, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)))
    after_a = orders["abc"] / (orders["abc"] + orders["acb"])
    assert abs(after_a - 0.75) < 0.03  # the rest again by weight: 3 to 1


def test_weighted_takes_weights_of_any_size() -> None:
    assert ordered("weighted", [Contender(0, 1e-300, A), Contender(1, 1e300, B)]) == "ba"


def test_round_robin_turns() -> None:
    assert [ordered("round_robin", turn=turn) for turn in range(4)] == ["abc", "bca", "cab", "abc"]


def test_least_busy_counts_calls_in_flight_and_keeps_the_order_of_ties() -> None:
    load = Load()
    assert ordered("least_busy", load=load) == "abc"
    for name in ("a/m", "a/m", "c/m"):
        load.begin(name)
    assert ordered("least_busy", load=load) == "bca"


def measured(load: Load, candidate: Candidate, latency_s: float, now: float = 0, *, stream: bool = True) -> None:
    load.begin(candidate.name)
    load.end(candidate.name)
    load.measured(candidate.name, latency_s, now, stream=stream)


def test_lowest_latency_is_that_of_the_kind_asked_for() -> None:
    load = Load()
    for candidate, first_token_s, whole_s in ((A, 3, 5), (B, 1, 9), (C, 2, 7)):
        measured(load, candidate, first_token_s)
        measured(load, candidate, whole_s, stream=False)
    assert ordered("lowest_latency", load=load) == "bca"
    assert ordered("lowest_latency", load=load, demand=Demand(1, stream=False)) == "acb"


def test_the_unmeasured_come_first_but_one_call_at_a_time() -> None:
    load = Load()
    measured(load, A, 1)
    assert ordered("lowest_latency", load=load) == "bca"
    load.begin(B.name)
    assert ordered("lowest_latency", load=load) == "cab"
    load.begin(C.name)
    load.begin(C.name)
    assert ordered("lowest_latency", load=load) == "abc"


def test_a_slow_target_is_tried_again_in_time() -> None:
    load = Load()
    measured(load, A, 4)
    measured(load, B, 1)
    later = 3 * HALF_LIFE_S
    measured(load, B, 1, later)
    assert ordered("lowest_latency", [A, B], load=load) == "ba"
    assert ordered("lowest_latency", [A, B], load=load, now=later) == "ab"
    load.begin(A.name)  # the call that finds out; the others keep to what is known
    assert ordered("lowest_latency", [A, B], load=load, now=later) == "ba"


def test_a_target_that_fails_at_once_is_not_the_fastest() -> None:
    load = Load()
    measured(load, B, 1)
    load.begin(A.name)
    load.end(A.name)
    load.failed(A.name, 0, stream=True)
    assert ordered("lowest_latency", [A, B], load=load) == "ba"


def test_lowest_cost_depends_on_prompt_and_answer() -> None:
    reader = Candidate("r", "m", input_usd_per_mtok=1, output_usd_per_mtok=10)
    writer = Candidate("w", "m", input_usd_per_mtok=4, output_usd_per_mtok=2)
    free = Candidate("f", "m", input_usd_per_mtok=0, output_usd_per_mtok=0)
    half = Candidate("h", "m", input_usd_per_mtok=0)  # unknown
    candidates = [half, reader, writer, free]
    assert ordered("lowest_cost", candidates, demand=Demand(10_000, stream=True, output_tokens=10)) == "frwh"
    assert ordered("lowest_cost", candidates, demand=Demand(10, stream=True, output_tokens=10_000)) == "fwrh"
    even = EXPECTED_OUTPUT_TOKENS * 8 // 3  # where both cost the same for an answer of the expected length
    assert ordered("lowest_cost", candidates, demand=Demand(even - 10, stream=True)) == "fwrh"
    assert ordered("lowest_cost", candidates, demand=Demand(even + 10, stream=True)) == "frwh"
