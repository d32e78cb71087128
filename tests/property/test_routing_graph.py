"""Graphs of any content are checked, never crashed on; those that pass are walked, each candidate once."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.choices import next_choice
from routing.graph import CHOOSING, Balance, Cascade, Case, Classify, Entry, Graph, Node, Route, Rules, Target
from routing.plan import walk
from routing.rules import When
from routing.strategies import STRATEGIES
from tests.support.routing import DEMAND, provider, state

PROVIDERS = {name: provider(name, "m", "n", priority=at) for at, name in enumerate("abc")}
NODES = [f"node{at}" for at in range(6)]
LEAVES = [*PROVIDERS, *(f"{name}/{model}" for name in PROVIDERS for model in "mn")]

wild = st.sampled_from([*NODES, *LEAVES, "d", "a/x", "", "m"])
weights = st.sampled_from([1.0, 1.0, 2.0, 0.0, float("nan")])


def nodes(names: st.SearchStrategy[str], weights: st.SearchStrategy[float], **kwargs: bool) -> st.SearchStrategy[Node]:
    targets = st.lists(st.builds(Target, names, weights), max_size=4, unique_by=lambda target: target.name).map(tuple)
    strategies = st.sampled_from([*STRATEGIES, *(["fastest"] if kwargs.get("wild") else [])])
    ways = st.lists(st.builds(Target, names, weights), max_size=3)
    target = st.builds(Target, names, weights)
    return (
        st.builds(Cascade, targets)
        | st.builds(Balance, strategies, targets)
        | st.builds(lambda to, rest: Rules(tuple(Case(When(), way) for way in to), rest), ways, target)
        | st.builds(
            lambda to, rest: Classify(tuple(Route(f"r{at}", way, "qa") for at, way in enumerate(to)), rest),
            ways,
            target,
        )
    )


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*NODES, "a", "", "x/y"]), nodes(wild, weights, wild=True), max_size=7),
    st.none() | wild,
)
def test_any_graph_is_checked_and_resolved(made: dict[str, Node], default_model: str | None) -> None:
    graph = Graph(made, PROVIDERS, default_model)
    for problem in graph.problems():
        assert problem.path[0] in ("models", "providers", "default_model")
        assert problem.message
    assert all(graph.resolve(name) is not None for name in graph.names())
    assert len(graph.nearest("nod")) <= 3


@st.composite
def sound_graphs(draw: st.DrawFn) -> Graph:
    """Each node leads to leaves and to nodes after it."""
    made: dict[str, Node] = {}
    for at, name in enumerate(NODES):
        below = draw(
            nodes(st.sampled_from([*NODES[at + 1 :], *LEAVES]), st.just(1.0)).filter(lambda node: bool(node.targets))
        )
        made[name] = below
    return Graph(made, PROVIDERS)


def ways(graph: Graph, name: str, choices: Mapping[str, str]) -> list[str]:
    """Where a node leads, once its choice is made."""
    node = graph.nodes[name]
    return [choices[name]] if isinstance(node, CHOOSING) else [target.name for target in node.targets]


def reachable(graph: Graph, name: str, choices: Mapping[str, str]) -> set[str]:
    if name not in graph.nodes:
        leaf = graph.leaf(name)
        assert leaf is not None
        return {leaf.name}
    return set().union(*(reachable(graph, below, choices) for below in ways(graph, name, choices)))


def chosen(graph: Graph, entry: Entry, rng: Random) -> dict[str, str]:
    """A choice for each node that is asked for one."""
    choices: dict[str, str] = {}
    while (name := next_choice(graph, entry, choices)) is not None:
        assert name not in choices, "asked twice"
        choices[name] = rng.choice(graph.nodes[name].targets).name
    return choices


@settings(max_examples=50, deadline=None)
@given(sound_graphs(), st.integers())
def test_a_walk_finds_every_candidate_once_by_a_way_that_exists(graph: Graph, seed: int) -> None:
    assert graph.problems() == []
    known = state(graph)
    for name in NODES:
        entry = graph.resolve(name)
        assert entry is not None
        choices = chosen(graph, entry, Random(seed))
        assert entry.chooses or not choices
        planned = walk(graph, entry, known, DEMAND, 0, Random(seed), choices).planned
        names = [each.candidate.name for each in planned]
        assert len(names) == len(set(names))
        assert set(names) == reachable(graph, name, choices)
        for each in planned:
            assert each.route[0] == name
            for above, below in zip(each.route, each.route[1:], strict=False):
                assert below in ways(graph, above, choices)
            last = {graph.leaf(below) for below in ways(graph, each.route[-1], choices)}
            assert each.candidate in last


@settings(max_examples=50, deadline=None)
@given(sound_graphs(), st.integers())
def test_kept_plans_are_those_that_a_walk_makes(graph: Graph, seed: int) -> None:
    """What a state has seen before changes nothing where no strategy is asked."""
    rng = Random(seed)
    known = state(graph)
    for name in NODES * 2:
        entry = graph.resolve(name)
        assert entry is not None
        choices = chosen(graph, entry, rng)
        planned = walk(graph, entry, known, DEMAND, 0, Random(seed), choices).planned
        if (entry.kind, entry.name, *choices.items()) in known.fixed:
            assert planned == walk(graph, entry, state(graph), DEMAND, 0, Random(seed + 1), choices).planned
