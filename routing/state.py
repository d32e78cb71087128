"""All that routing remembers between requests: keys, health, load, rotations, retries under way.

One object a configuration; a reload makes a new one and carries over what is still configured. Plain memory of one
event loop: no locks, no clock. Every map is bounded, nearly all by the configured graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routing.graph import Graph
from routing.health import Health
from routing.keys import KeyPool
from routing.load import Load
from routing.semantic.affinity import Affinity

if TYPE_CHECKING:
    from routing.plan import Plan

_MOST_FIXED = 10_000  # plans


@dataclass(slots=True)
class RetryBudget:
    """Calls of a candidate that has just failed, all requests together: a share of the active requests."""

    active: int = 0  # requests
    retrying: int = 0

    def has_room(self, ratio: float, floor: int) -> bool:
        return self.retrying + 1 <= max(floor, ratio * self.active)

    def take(self, ratio: float, floor: int) -> bool:
        """True: one unit is taken, and must be given back."""
        if not self.has_room(ratio, floor):
            return False
        self.retrying += 1
        return True

    def give_back(self) -> None:
        self.retrying -= 1


class RoutingState:
    def __init__(self, graph: Graph, pools: Mapping[str, KeyPool], health: Health) -> None:
        """`pools` holds one pool for each provider of the graph."""
        self.pools = pools
        self.health = health
        self.load = Load()
        self.retries = RetryBudget()
        self.affinity = Affinity()
        self.off = {provider.name: provider.off for provider in graph.providers.values() if provider.off is not None}
        # Of the entries, with the choices made on the way, whose plan nothing else changes; see routing.plan.
        self.fixed: dict[tuple[object, ...], Plan] = {}
        self._turns = dict.fromkeys(graph.nodes, 0)
        self._candidates = tuple(
            candidate.name for provider in graph.providers.values() for candidate in provider.candidates
        )

    def fix(self, place: tuple[object, ...], plan: Plan) -> None:
        """The plan of `place` is the same from now on. Nodes that choose may make very many places: some are kept."""
        if len(self.fixed) < _MOST_FIXED:
            self.fixed[place] = plan

    def turn(self, node: str) -> int:
        """How often `node` was asked for its turn before."""
        turn = self._turns[node]
        self._turns[node] = turn + 1
        return turn

    def carry_over(self, old: RoutingState) -> None:
        """What is still configured keeps what was learnt of it. Requests in flight settle in the old state."""
        for provider, pool in self.pools.items():
            if (before := old.pools.get(provider)) is not None:
                pool.carry_over(before)
        self.health.carry_over(old.health, self._candidates)
        self.load.carry_over(old.load, self._candidates)
        self.affinity.carry_over(old.affinity)
        for node in self._turns:
            self._turns[node] = old._turns.get(node, 0)
