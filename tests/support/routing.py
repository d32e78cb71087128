"""Small routing graphs and states for tests, and the failures that they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from cortex.errors import Fault, FaultKind
from routing.choices import NO_CHOICES, Choices
from routing.graph import Balance, Candidate, Cascade, Case, Classify, Graph, Node, ProviderEntry, Route, Rules, Target
from routing.health import Health
from routing.keys import KeyPool, KeySlot
from routing.plan import Demand, Plan, walk
from routing.policy import Failure
from routing.rules import When
from routing.state import RoutingState

DEMAND = Demand(prompt_tokens=100, stream=True)


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(Target(name) for name in names)


def cascade(*names: str) -> Cascade:
    return Cascade(targets(*names))


def balance(strategy: str, *names: str) -> Balance:
    return Balance(strategy, targets(*names))


def rules(*names: str, otherwise: str) -> Rules:
    """A case for each name: a prompt of more than 0 tokens, 1, 2 and so on."""
    return Rules(
        tuple(Case(When(tokens_over=place), Target(name)) for place, name in enumerate(names)), Target(otherwise)
    )


def classify(*names: str, default: str, **routes: str) -> Classify:
    """A route for each name, called like it, and others called otherwise."""
    ways = {**{name: name for name in names}, **routes}
    return Classify(tuple(Route(way, Target(name), examples=(way,)) for way, name in ways.items()), Target(default))


def provider(name: str, *models: str | Candidate, priority: int = 0, off: str | None = None) -> ProviderEntry:
    candidates = tuple(model if isinstance(model, Candidate) else Candidate(name, model) for model in models)
    return ProviderEntry(name, priority, candidates, off)


def graph(
    nodes: Mapping[str, Node] | None = None,
    providers: Sequence[ProviderEntry] | str = "abc",
    default_model: str | None = None,
) -> Graph:
    """`providers` as a string: one provider a letter, each with the model "m"."""
    if isinstance(providers, str):
        providers = [provider(letter, "m") for letter in providers]
    return Graph(nodes or {}, {entry.name: entry for entry in providers}, default_model)


def state(of: Graph, keys: Mapping[str, int] | int = 1, **health: float) -> RoutingState:
    """`keys`: how many each provider has; `health`: eject_after, eject_for_s."""
    counts = {name: keys if isinstance(keys, int) else keys.get(name, 1) for name in of.providers}
    pools = {
        name: KeyPool(name, [KeySlot(f"{name}-{position}") for position in range(count)])
        for name, count in counts.items()
    }
    return RoutingState(of, pools, Health(**health))  # type: ignore[arg-type]


def plan(
    of: Graph,
    asked: str | None,
    known: RoutingState,
    demand: Demand = DEMAND,
    now: float = 0.0,
    choices: Choices = NO_CHOICES,
) -> Plan:
    entry = of.resolve(asked)
    assert entry is not None
    return walk(of, entry, known, demand, now, Random(1), choices)


def order(planned: Plan) -> list[str]:
    """The providers in the order of trial."""
    return [each.candidate.provider for each in planned.planned]


def failure(kind: FaultKind, retry_after_s: float | None = None, *, model_scoped: bool = False) -> Failure:
    return Fault(kind, "as the test wants it", retry_after_s=retry_after_s, model_scoped=model_scoped).failure
