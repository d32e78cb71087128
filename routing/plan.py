"""The walk: one request's way through the graph, as candidates in the order of trial; and why one is passed over.

The graph must be free of problems. The plan holds every candidate that can be reached, once, at its first place, even
those that cannot be called now: whether one can is asked again when its turn comes. Knows no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import TypeAlias

from routing.choices import NO_CHOICES, Choices
from routing.demand import Demand
from routing.graph import CHOOSING, Balance, Candidate, Entry, Graph
from routing.health import Standing
from routing.state import RoutingState
from routing.strategies import STRATEGIES, Contender, Situation

__all__ = ["Demand", "Plan", "Planned", "Skip", "SkipKind", "needs_give_way", "preview", "walk", "why_skip"]


@dataclass(frozen=True, slots=True)
class Planned:
    candidate: Candidate
    route: tuple[str, ...]  # the nodes walked to it


@dataclass(frozen=True, slots=True)
class Plan:
    entry: Entry
    planned: tuple[Planned, ...]


class SkipKind(Enum):
    OFF = "off"
    CONTEXT = "context"  # too small a window
    LACKS = "lacks"  # the model is known to be without something that the request needs
    UNSUPPORTED = "unsupported"  # the request cannot be put in the provider's terms
    COOLING = "cooling"  # no key free, but one will be
    DISABLED = "disabled"  # no key left
    EJECTED = "ejected"
    PROBING = "probing"  # half-open, and its one probe is on its way


# Ignored where every candidate that could otherwise be called is ejected.
EJECTIONS = frozenset({SkipKind.EJECTED, SkipKind.PROBING})
# A candidate so skipped cannot take this request, however long it waits.
ABSENCES = frozenset(
    {SkipKind.OFF, SkipKind.CONTEXT, SkipKind.LACKS, SkipKind.UNSUPPORTED, SkipKind.DISABLED},
)


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a candidate is passed over."""

    kind: SkipKind
    reason: str
    until: float | None = None  # monotonic seconds, where the reason ends by itself


def walk(
    graph: Graph,
    entry: Entry,
    state: RoutingState,
    demand: Demand,
    now: float,
    rng: Random,
    choices: Choices = NO_CHOICES,
) -> Plan:
    """Every candidate that `entry` leads to, in the order of trial. Turns the nodes that take turns.

    `choices` holds one for each node that chooses and can be reached.
    """
    place = (entry.kind, entry.name, *choices.items())
    plan = state.fixed.get(place)
    if plan is None:
        way = _Walk(graph, state, demand, now, rng, choices)
        plan = Plan(entry, way.plan(entry))
        if way.fixed:
            state.fix(place, plan)
    return plan


def why_skip(candidate: Candidate, state: RoutingState, demand: Demand, now: float) -> Skip | None:
    """None: it can be called now."""
    if (off := state.off.get(candidate.provider)) is not None:
        return Skip(SkipKind.OFF, f"off: {off}")
    window = candidate.context_tokens
    if window is not None and demand.prompt_tokens > window:
        return Skip(SkipKind.CONTEXT, f"context: needs ~{demand.prompt_tokens} tokens, has {window}")
    if demand.needs and (missing := demand.needs & candidate.lacks):
        return Skip(SkipKind.LACKS, f"lacks {', '.join(sorted(missing))}")
    pool = state.pools[candidate.provider]
    if not pool.free(candidate.model, now):
        until = pool.blocked_until(candidate.model, now)
        if until is None:
            return Skip(SkipKind.DISABLED, "keys disabled")
        return Skip(SkipKind.COOLING, "keys cooling", until)
    standing = state.health.standing(candidate.name, now)
    if standing is Standing.EJECTED:
        return Skip(SkipKind.EJECTED, "ejected", state.health.ejected_until(candidate.name))
    if standing is Standing.PROBING:
        return Skip(SkipKind.PROBING, "probing")
    return None


def needs_give_way(skips: Iterable[Skip | None]) -> bool:
    """Whether all that is left are candidates said to lack something: what is said may be out of date.

    `skips`: of every candidate of the plan. One that is only held up (its keys cool, it is ejected) is worth more than
    one that would have to do without.
    """
    kinds = {None if skip is None else skip.kind for skip in skips}
    return SkipKind.LACKS in kinds and kinds <= ABSENCES


def preview(plan: Plan, state: RoutingState, demand: Demand, now: float) -> list[tuple[Planned, Skip | None]]:
    """The plan with what would be passed over now. Changes nothing."""
    seen = [(planned, why_skip(planned.candidate, state, demand, now)) for planned in plan.planned]
    if needs_give_way(skip for _, skip in seen):
        return preview(plan, state, replace(demand, needs=frozenset()), now)
    if any(skip is None for _, skip in seen):
        return seen
    return [(planned, None if skip and skip.kind in EJECTIONS else skip) for planned, skip in seen]


_Leaf: TypeAlias = tuple[Candidate, tuple[str, ...]]


class _Walk:
    """One walk. A node that several lead to is ordered once, so a walk costs no more than nodes × candidates."""

    __slots__ = ("_choices", "_demand", "_graph", "_now", "_rng", "_state", "_walked", "fixed")

    def __init__(
        self, graph: Graph, state: RoutingState, demand: Demand, now: float, rng: Random, choices: Choices
    ) -> None:
        self._choices = choices
        self._graph = graph
        self._state = state
        self._demand = demand
        self._now = now
        self._rng = rng
        self._walked: dict[str, Sequence[_Leaf]] = {}
        self.fixed = True  # no strategy was asked: the next walk would be the same

    def plan(self, entry: Entry) -> tuple[Planned, ...]:
        if len(entry.targets) == 1:
            leaves = self._leaves(entry.targets[0].name)
        else:
            leaves = _each_once((), [self._leaves(target.name) for target in entry.targets])
        return tuple([Planned(candidate, route) for candidate, route in leaves])

    def _leaves(self, target: str) -> Sequence[_Leaf]:
        node = self._graph.nodes.get(target)
        if node is None:
            candidate = self._graph.leaf(target)
            return () if candidate is None else ((candidate, ()),)
        leaves = self._walked.get(target)
        if leaves is None:
            below = [self._choices[target]] if isinstance(node, CHOOSING) else [each.name for each in node.targets]
            groups = [self._leaves(name) for name in below]
            if isinstance(node, Balance):
                groups = self._ordered(target, node, groups)
            leaves = self._walked[target] = _each_once((target,), groups)
        return leaves

    def _ordered(self, name: str, node: Balance, groups: Sequence[Sequence[_Leaf]]) -> list[Sequence[_Leaf]]:
        """The targets' leaves by the node's strategy, behind the others where none of them can be called now.

        The strategy sees the two kinds apart: those that are out must not shift a rotation among those that are not.
        """
        self.fixed = False
        usable: list[Contender] = []
        out: list[Contender] = []
        for place, (target, leaves) in enumerate(zip(node.targets, groups, strict=True)):
            if not leaves:
                continue
            callable_now = self._first_callable(leaves)
            contender = Contender(place, target.weight, callable_now or leaves[0][0])
            (out if callable_now is None else usable).append(contender)
        situation = Situation(self._state.load, self._demand, self._state.turn(name), self._now, self._rng)
        order = STRATEGIES[node.strategy]
        return [groups[contender.place] for kind in (usable, out) if kind for contender in order(kind, situation)]

    def _first_callable(self, leaves: Sequence[_Leaf]) -> Candidate | None:
        for candidate, _ in leaves:
            if why_skip(candidate, self._state, self._demand, self._now) is None:
                return candidate
        return None


def _each_once(prefix: tuple[str, ...], groups: Sequence[Sequence[_Leaf]]) -> Sequence[_Leaf]:
    """All leaves in order, each candidate at its first place, `prefix` put before the routes."""
    placed: dict[str, _Leaf] = {}
    for leaves in groups:
        for candidate, route in leaves:
            if candidate.name not in placed:
                placed[candidate.name] = candidate, prefix + route
    return tuple(placed.values())
