from __future__ import annotations

import math

import pytest

from routing.graph import Balance, Cascade, Case, Classify, Graph, GraphProblem, Node, Route, Rules, Target
from routing.rules import When
from routing.validation import MAX_DEPTH
from tests.support.routing import balance, cascade, classify, graph, provider, rules

GROQ = provider("groq", "llama", "openai/gpt")


def problems(nodes: dict[str, Node], default_model: str | None = None) -> list[GraphProblem]:
    return graph(nodes, [GROQ, provider("ollama", "llama"), provider("bare")], default_model).problems()


def test_a_good_graph_has_none() -> None:
    nodes: dict[str, Node] = {
        "chat": cascade("ollama", "fast", "groq/openai/gpt"),
        "fast": Balance("weighted", (Target("groq", 3), Target("ollama"))),
    }
    assert problems(nodes, "llama") == []


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("grok", 'unknown target "grok"', 'did you mean "groq"?'),
        ("zzz", 'unknown target "zzz"', None),
        ("", 'unknown target ""', None),
        ("chatt", 'unknown target "chatt"', 'did you mean "chat"?'),
        ("openai/gpt", 'unknown target "openai/gpt"', 'did you mean "groq/openai/gpt"?'),  # a bare model
        ("groq/lama", 'the provider "groq" lists no model "lama"', 'did you mean "groq/llama"?'),
        ("groq/xyz", 'the provider "groq" lists no model "xyz"', "it lists llama, openai/gpt"),
        ("bare", 'the provider "bare" lists no model', None),
        ("bare/x", 'the provider "bare" lists no model', None),
    ],
)
def test_targets(target: str, message: str, hint: str | None) -> None:
    assert problems({"chat": cascade("groq", target)}) == [
        GraphProblem(("models", "chat", "cascade", 1), message, hint)
    ]


def test_paths_of_a_balance() -> None:
    found = problems({"fast": balance("fastest", "groq", "grok")})
    assert [problem.path for problem in found] == [
        ("models", "fast", "balance", "strategy"),
        ("models", "fast", "balance", "targets", 1),
    ]
    assert found[0].message == 'unknown strategy "fastest"'
    near = problems({"fast": balance("round-robin", "groq")})
    assert near[0].hint == 'did you mean "round_robin"?'


def test_nodes_without_targets_and_duplicates() -> None:
    found = problems({"none": cascade(), "empty": balance("weighted"), "twice": cascade("groq", "ollama", "groq")})
    assert [(problem.path, problem.message) for problem in found] == [
        (("models", "none", "cascade"), "no targets"),
        (("models", "empty", "balance", "targets"), "no targets"),
        (("models", "twice", "cascade", 2), '"groq" is listed twice'),
    ]


@pytest.mark.parametrize("weight", [0, -1, math.inf, math.nan])
def test_weights_are_positive_numbers(weight: float) -> None:
    (found,) = problems({"fast": Balance("weighted", (Target("groq", weight),))})
    assert found.path == ("models", "fast", "balance", "targets", 0, "weight")


def test_weights_where_none_is_looked_at() -> None:
    found = problems({"a": Balance("round_robin", (Target("groq", 2),)), "b": Cascade((Target("groq", 2),))})
    assert [problem.message for problem in found] == ["a weight means nothing here"] * 2


def test_names() -> None:
    names = Graph({"groq": cascade("x/y"), "": cascade("groq")}, {"groq": GROQ, "x/y": provider("x/y", "m")}).problems()
    assert {(problem.path, problem.message) for problem in names} == {
        (("providers", "x/y"), 'the name of a provider has no slash: "x/y"'),
        (("models", ""), "the name of a node is empty"),
        (("models", "groq"), '"groq" is the name of a provider too'),
        # The node "groq" takes the name's place, so the other leads to it and not into a ring.
    }


def test_the_default_model() -> None:
    assert problems({"chat": cascade("groq")}, "chat") == []
    assert problems({"chat": cascade("groq")}, "chatt") == [
        GraphProblem(("default_model",), '"chatt" is not a model that can be asked for', 'did you mean "chat"?')
    ]


def test_each_ring_is_told_once_and_whole() -> None:
    nodes: dict[str, Node] = {
        "in": cascade("a"),
        "a": cascade("groq", "b"),
        "b": balance("weighted", "c", "groq"),
        "c": cascade("a", "c"),
    }
    assert [(problem.path, problem.message) for problem in problems(nodes)] == [
        (("models", "c", "cascade", 0), "the nodes go in a ring: a → b → c → a"),
        (("models", "c", "cascade", 1), "the nodes go in a ring: c → c"),
    ]


def chain(length: int) -> dict[str, Node]:
    return {f"n{at}": cascade(f"n{at + 1}" if at + 1 < length else "groq") for at in range(length)}


def test_depth_is_limited_and_told_once() -> None:
    assert problems(chain(MAX_DEPTH)) == []
    (found,) = problems(chain(MAX_DEPTH + 5))
    assert found.path == ("models", "n4")


def test_neither_depth_nor_a_long_ring_breaks_the_check() -> None:
    deep = chain(5_000)
    assert len(problems(deep)) == 1
    deep["n4999"] = cascade("n0")
    assert any("ring" in problem.message for problem in problems(deep))


def test_nodes_that_several_lead_to_are_looked_at_once() -> None:
    ring: dict[str, Node] = {"in": cascade("a"), "too": cascade("a"), "a": cascade("b"), "b": cascade("a")}
    assert len(problems(ring)) == 1
    layers: dict[str, Node] = {"l0": cascade("groq"), "r0": cascade("groq")}
    for layer in range(1, MAX_DEPTH):
        below = cascade(f"l{layer - 1}", f"r{layer - 1}")
        layers |= {f"l{layer}": below, f"r{layer}": below}
    assert problems(dict(reversed(layers.items()))) == []  # and ends: the ways are 2 ** 31


RULES = ("models", "strict", "rules")
ROUTES = ("models", "auto", "classify", "routes")


def test_paths_of_the_nodes_that_choose() -> None:
    nodes: dict[str, Node] = {
        "strict": rules("groq", "grok", otherwise="olama"),
        "auto": classify("groq", "grok", default="chat", legal="ollama/lama"),
        "only": rules(otherwise="xyz"),
    }
    assert problems(nodes) == [
        GraphProblem((*RULES, 1, "to"), 'unknown target "grok"', 'did you mean "groq"?'),
        GraphProblem((*RULES, 2, "to"), 'unknown target "olama"', 'did you mean "ollama"?'),
        GraphProblem((*ROUTES, "grok", "to"), 'unknown target "grok"', 'did you mean "groq"?'),
        GraphProblem(
            (*ROUTES, "legal", "to"),
            'the provider "ollama" lists no model "lama"',
            'did you mean "ollama/llama"?',
        ),
        GraphProblem(("models", "auto", "classify", "default"), 'unknown target "chat"', None),
        GraphProblem(("models", "only", "rules", 0, "to"), 'unknown target "xyz"', None),
    ]


def test_several_ways_of_a_node_that_chooses_may_lead_to_one_target() -> None:
    nodes: dict[str, Node] = {
        "strict": rules("groq", "groq", otherwise="groq"),
        "auto": classify("groq", default="groq", legal="groq", same="groq"),
    }
    assert problems(nodes) == []


def test_an_unknown_target_is_told_at_every_way_to_it() -> None:
    assert [problem.path for problem in problems({"strict": rules("x", "x", otherwise="x")})] == [
        (*RULES, 0, "to"),
        (*RULES, 1, "to"),
        (*RULES, 2, "to"),
    ]
    assert [problem.path for problem in problems({"auto": classify("x", default="x", other="x")})] == [
        (*ROUTES, "x", "to"),
        (*ROUTES, "other", "to"),
        ("models", "auto", "classify", "default"),
    ]


def test_weights_mean_nothing_where_one_way_is_chosen() -> None:
    heavy = Target("groq", 2)
    found = problems(
        {
            "strict": Rules((Case(When(), heavy),), Target("groq", 0)),
            "auto": Classify((Route("a", heavy, "qa"),), heavy),
        }
    )
    assert [(problem.path, problem.message) for problem in found] == [
        ((*RULES, 0, "to", "weight"), "a weight means nothing here"),
        ((*RULES, 1, "to", "weight"), "a weight is a finite number above 0"),
        ((*ROUTES, "a", "to", "weight"), "a weight means nothing here"),
        (("models", "auto", "classify", "default", "weight"), "a weight means nothing here"),
    ]


@pytest.mark.parametrize(
    ("nodes", "path", "ring"),
    [
        ({"a": rules("a", otherwise="groq")}, ("a", "rules", 0, "to"), "a → a"),
        ({"a": rules("groq", otherwise="a")}, ("a", "rules", 1, "to"), "a → a"),
        ({"a": classify(default="groq", way="a")}, ("a", "classify", "routes", "way", "to"), "a → a"),
        ({"a": classify("groq", default="a")}, ("a", "classify", "default"), "a → a"),
        (
            {"a": rules("b", otherwise="groq"), "b": classify(default="c"), "c": cascade("groq", "a")},
            ("c", "cascade", 1),
            "a → b → c → a",
        ),
        (
            {"a": cascade("b"), "b": rules("groq", "c", otherwise="c"), "c": classify("groq", default="a")},
            ("c", "classify", "default"),
            "a → b → c → a",
        ),
    ],
)
def test_rings_through_nodes_that_choose(nodes: dict[str, Node], path: tuple[str | int, ...], ring: str) -> None:
    """Also where conditions would keep every request out of it."""
    assert [(problem.path, problem.message) for problem in problems(nodes)] == [
        (("models", *path), f"the nodes go in a ring: {ring}")
    ]


def test_two_ways_into_one_ring_are_told_at_the_first() -> None:
    (found,) = problems({"a": rules("b", "b", otherwise="b"), "b": cascade("a")})
    assert found.path == ("models", "b", "cascade", 0)
    (found,) = problems({"b": cascade("a"), "a": rules("groq", "b", otherwise="b")})
    assert found.path == ("models", "a", "rules", 1, "to")


def test_depth_counts_nodes_that_choose() -> None:
    def deep(length: int) -> dict[str, Node]:
        kinds = (lambda name: rules("groq", otherwise=name), lambda name: classify(name, default="groq"))
        return {f"n{at}": kinds[at % 2](f"n{at + 1}" if at + 1 < length else "groq") for at in range(length)}

    assert problems(deep(MAX_DEPTH)) == []
    (found,) = problems(deep(MAX_DEPTH + 1))
    assert found.path == ("models", "n0")
