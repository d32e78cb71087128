"""In which order the nodes that choose are asked, and which of them are asked at all."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from routing.choices import next_choice
from routing.graph import Graph, Node
from tests.support.routing import balance, cascade, classify, graph, plan, rules, state

NODES: Mapping[str, Node] = {
    "auto": classify("coder", "b", default="chat"),
    "coder": rules("long", "a", otherwise="short"),
    "long": classify("a", default="b"),
    "short": balance("round_robin", "a", "b"),
    "chat": cascade("tier", "polyglot"),
    "tier": cascade("a", "b"),
    "polyglot": rules("c", otherwise="a"),
    "apart": rules("a", otherwise="b"),
    "both": cascade("first", "auto", "last"),
    "first": rules("a", otherwise="b"),
    "last": balance("weighted", "c", "polyglot"),
}
GRAPH = graph(NODES)


def asked(of: Graph, name: str | None, ways: Mapping[str, str]) -> list[str]:
    """The nodes that are asked for a choice, one after another, if they choose as `ways` says."""
    entry = of.resolve(name)
    assert entry is not None
    choices: dict[str, str] = {}
    while (node := next_choice(of, entry, choices)) is not None:
        assert node not in choices
        choices[node] = ways[node]
    return list(choices)


@pytest.mark.parametrize(
    ("name", "ways", "order"),
    [
        ("auto", {"auto": "b"}, ["auto"]),
        ("auto", {"auto": "chat", "polyglot": "c"}, ["auto", "polyglot"]),  # behind a cascade
        ("auto", {"auto": "coder", "coder": "a"}, ["auto", "coder"]),
        ("auto", {"auto": "coder", "coder": "short"}, ["auto", "coder"]),
        ("auto", {"auto": "coder", "coder": "long", "long": "a"}, ["auto", "coder", "long"]),  # in each other
        ("coder", {"coder": "long", "long": "b"}, ["coder", "long"]),
        # All of a cascade's targets may be tried: each choice is needed, in the order of trial, and each once.
        ("both", {"first": "a", "auto": "b", "polyglot": "a"}, ["first", "auto", "polyglot"]),
        (
            "both",
            {"first": "a", "auto": "coder", "coder": "long", "long": "a", "polyglot": "c"},
            ["first", "auto", "coder", "long", "polyglot"],
        ),
        ("both", {"first": "a", "auto": "chat", "polyglot": "c"}, ["first", "auto", "polyglot"]),
        ("short", {}, []),
        ("tier", {}, []),
        ("a", {}, []),
        ("a/m", {}, []),
        ("m", {}, []),
        (None, {}, []),
    ],
)
def test_nodes_on_the_way_are_asked_in_the_order_of_the_walk(
    name: str | None, ways: Mapping[str, str], order: list[str]
) -> None:
    assert asked(GRAPH, name, ways) == order


def test_what_a_choice_rules_out_is_not_asked() -> None:
    entry = GRAPH.resolve("auto")
    assert entry is not None
    assert next_choice(GRAPH, entry, {}) == "auto"
    assert next_choice(GRAPH, entry, {"auto": "b"}) is None
    assert next_choice(GRAPH, entry, {"auto": "coder"}) == "coder"


def test_choices_of_other_nodes_change_nothing() -> None:
    entry = GRAPH.resolve("auto")
    assert entry is not None
    assert next_choice(GRAPH, entry, {"apart": "a", "nobody": "auto"}) == "auto"


@pytest.mark.parametrize("name", GRAPH.names())
def test_an_entry_knows_whether_a_node_on_its_way_chooses(name: str) -> None:
    entry = GRAPH.resolve(name)
    assert entry is not None
    assert entry.chooses is (next_choice(GRAPH, entry, {}) is not None)


def test_a_default_model_knows_it_too() -> None:
    for default, chooses in (("auto", True), ("chat", True), ("tier", False), ("a", False), (None, False)):
        entry = graph(NODES, default_model=default).resolve(None)
        assert entry is not None
        assert entry.chooses is chooses


def test_a_node_that_several_lead_to_is_asked_once() -> None:
    layers: dict[str, Node] = {"leaf": rules("a", otherwise="b")}
    below = ("leaf", "a")
    for layer in range(30):
        layers[f"l{layer}"], layers[f"r{layer}"] = cascade(*below), cascade(*below)
        below = (f"l{layer}", f"r{layer}")
    layers["root"] = cascade(*below)
    assert asked(graph(layers), "root", {"leaf": "a"}) == ["leaf"]  # and ends: the ways are 2 ** 30


def test_the_choices_asked_for_are_those_that_a_walk_needs() -> None:
    """`plan` raises KeyError for one that is missing."""
    ways = {"first": "b", "auto": "coder", "coder": "long", "long": "a", "polyglot": "c"}
    made = {name: ways[name] for name in asked(GRAPH, "both", ways)}
    planned = plan(GRAPH, "both", state(GRAPH), choices=made).planned
    assert [(each.candidate.provider, each.route) for each in planned] == [
        ("b", ("both", "first")),
        ("a", ("both", "auto", "coder", "long")),
        ("c", ("both", "last")),
    ]
    for name in made:
        with pytest.raises(KeyError, match=name):
            plan(GRAPH, "both", state(GRAPH), choices={each: way for each, way in made.items() if each != name})


def test_a_ring_of_nodes_that_choose_never_serves() -> None:
    """Nobody but the validation keeps a ring out; the search for choices ends in one all the same."""
    ring = graph({"one": rules("two", otherwise="a"), "two": classify("one", default="b")})
    assert [problem.message for problem in ring.problems()] == ["the nodes go in a ring: one → two → one"]
    assert asked(ring, "one", {"one": "two", "two": "one"}) == ["one", "two"]
