"""How a balanced node orders its targets: one small function a strategy, and the registry of them all.

A strategy orders what it is given and skips nothing: who can be called at all is decided elsewhere. Adding one is
writing a function and naming it in `STRATEGIES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from routing.demand import Demand
from routing.graph import Candidate
from routing.load import Load

EXPECTED_OUTPUT_TOKENS = 500  # of an answer whose length the client does not limit


@dataclass(frozen=True, slots=True)
class Contender:
    """One target of a balanced node. `candidate` is the one that it is judged by."""

    place: int  # among the node's targets
    weight: float
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Situation:
    """All that an order may depend on. `now` is monotonic seconds."""

    load: Load
    demand: Demand
    turn: int  # how often this node was walked before
    now: float
    rng: Random


Strategy: TypeAlias = Callable[[Sequence[Contender], Situation], Sequence[Contender]]


def weighted(contenders: Sequence[Contender], situation: Situation) -> Sequence[Contender]:
    """At random: each place is drawn by weight from those that are left.

    A race of exponential clocks, one a contender with its weight as the rate, ends in just this order.
    """
    return sorted(contenders, key=lambda contender: situation.rng.expovariate(contender.weight))


def round_robin(contenders: Sequence[Contender], situation: Situation) -> Sequence[Contender]:
    start = situation.turn % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def least_busy(contenders: Sequence[Contender], situation: Situation) -> Sequence[Contender]:
    """Fewest calls in flight first."""
    return sorted(contenders, key=lambda contender: situation.load.in_flight(contender.candidate.name))


def lowest_latency(contenders: Sequence[Contender], situation: Situation) -> Sequence[Contender]:
    """The unmeasured first, one call at a time, then by estimate."""
    load, stream = situation.load, situation.demand.stream

    def rank(contender: Contender) -> tuple[int, float, int]:
        name = contender.candidate.name
        estimate_s = load.estimate_s(name, situation.now, stream=stream)
        in_flight = load.in_flight(name)
        if estimate_s is not None:
            return 1, estimate_s, in_flight
        return (2 if in_flight else 0), 0.0, in_flight

    return sorted(contenders, key=rank)


def lowest_cost(contenders: Sequence[Contender], situation: Situation) -> Sequence[Contender]:
    """The cheapest for this prompt and its expected answer first; an unknown price comes last."""
    demand = situation.demand
    output_tokens = EXPECTED_OUTPUT_TOKENS if demand.output_tokens is None else demand.output_tokens

    def cost(contender: Contender) -> float:
        candidate = contender.candidate
        if candidate.input_usd_per_mtok is None or candidate.output_usd_per_mtok is None:
            return math.inf
        return candidate.input_usd_per_mtok * demand.prompt_tokens + candidate.output_usd_per_mtok * output_tokens

    return sorted(contenders, key=cost)


STRATEGIES: Mapping[str, Strategy] = {
    "weighted": weighted,
    "round_robin": round_robin,
    "least_busy": least_busy,
    "lowest_latency": lowest_latency,
    "lowest_cost": lowest_cost,
}
