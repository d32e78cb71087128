"""Graphs of any content are checked, never crashed on; those that pass are walked, each candidate once."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.graph import Balance, Cascade, Graph, Node, Target
from routing.plan import walk
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
    return st.builds(Cascade, targets) | st.builds(Balance, strategies, targets)


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


def reachable(graph: Graph, name: str) -> set[str]:
    node = graph.nodes.get(name)
    if node is None:
        leaf = graph.leaf(name)
        assert leaf is not None
        return {leaf.name}
    return set().union(*(reachable(graph, target.name) for target in node.targets))


@settings(max_examples=50, deadline=None)
@given(sound_graphs(), st.integers())
def test_a_walk_finds_every_candidate_once_by_a_way_that_exists(graph: Graph, seed: int) -> None:
    assert graph.problems() == []
    known = state(graph)
    for name in NODES:
        entry = graph.resolve(name)
        assert entry is not None
        planned = walk(graph, entry, known, DEMAND, 0, Random(seed)).planned
        names = [each.candidate.name for each in planned]
        assert len(names) == len(set(names))
        assert set(names) == reachable(graph, name)
        for each in planned:
            assert each.route[0] == name
            for above, below in zip(each.route, each.route[1:], strict=False):
                assert below in {target.name for target in graph.nodes[above].targets}
            last = {graph.leaf(target.name) for target in graph.nodes[each.route[-1]].targets}
            assert each.candidate in last
