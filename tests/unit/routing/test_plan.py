from __future__ import annotations

from random import Random

import pytest

from routing import state as routing_state
from routing.graph import Balance, Candidate, Node, ProviderEntry, Target
from routing.plan import Demand, Planned, Skip, SkipKind, preview, walk, why_skip
from routing.policy import KeyEffect
from tests.support.routing import (
    DEMAND,
    balance,
    cascade,
    classify,
    graph,
    order,
    plan,
    provider,
    rules,
    state,
)


def test_a_cascade_is_walked_in_place_and_each_candidate_stands_once_at_its_first_place() -> None:
    providers = [provider("a", "m", "n"), provider("b", "m"), provider("c", "m")]
    of = graph({"chat": cascade("inner", "c", "a/m"), "inner": cascade("a", "b", "a/n")}, providers)
    planned = plan(of, "chat", state(of)).planned
    assert [(each.candidate.name, each.route) for each in planned] == [
        ("a/m", ("chat", "inner")),
        ("b/m", ("chat", "inner")),
        ("a/n", ("chat", "inner")),
        ("c/m", ("chat",)),
    ]


def test_what_is_no_node_has_no_route() -> None:
    of = graph()
    known = state(of)
    for asked, names in (("b", "b"), ("b/m", "b"), ("m", "abc"), (None, "abc")):
        planned = plan(of, asked, known)
        assert order(planned) == list(names)
        assert all(each.route == () for each in planned.planned)


def test_rotations_are_counted_a_node() -> None:
    of = graph({"one": balance("round_robin", "a", "b"), "two": balance("round_robin", "a", "b")})
    known = state(of)
    assert [order(plan(of, name, known))[0] for name in ("one", "one", "two", "one")] == ["a", "b", "a", "a"]


def test_a_node_that_is_a_target_is_judged_by_the_first_leaf_that_can_be_called() -> None:
    priced = [
        provider(name, Candidate(name, "m", input_usd_per_mtok=usd, output_usd_per_mtok=usd))
        for name, usd in (("a", 9.0), ("b", 1.0), ("c", 5.0))
    ]
    of = graph({"cheap": balance("lowest_cost", "c", "deep"), "deep": cascade("a", "b")}, priced)
    known = state(of)
    assert order(plan(of, "cheap", known)) == ["c", "a", "b"]
    known.pools["a"].apply(0, KeyEffect.COOL, 0, model="m", cause="limit")
    assert order(plan(of, "cheap", known)) == ["a", "b", "c"]  # b speaks for the node, whose order stands


def test_targets_that_cannot_be_called_go_behind_and_do_not_shift_the_rotation() -> None:
    of = graph({"turn": balance("round_robin", "a", "b", "c", "d")}, "abcd")
    known = state(of)
    known.pools["b"].apply(0, KeyEffect.DISABLE, 0, model="m", cause="key")
    known.pools["d"].apply(0, KeyEffect.COOL, 0, model="m", cause="limit")
    orders = ["".join(order(plan(of, "turn", known))) for _ in range(4)]
    assert orders == ["acbd", "cadb", "acbd", "cadb"]


def test_providers_without_models_leave_no_trace() -> None:
    of = graph({"chat": balance("round_robin", "empty", "a")}, [provider("empty"), provider("a", "m")])
    assert order(plan(of, "chat", state(of))) == ["a"]


def test_a_node_that_several_lead_to_is_walked_once() -> None:
    layers: dict[str, Node] = {"last": cascade("a", "b", "c")}
    below = ("last", "a")
    for layer in range(30):
        layers[f"l{layer}"], layers[f"r{layer}"] = cascade(*below), Balance("round_robin", tuple(map(Target, below)))
        below = (f"l{layer}", f"r{layer}")
    layers["root"] = cascade(*below)
    of = graph(layers)
    assert order(plan(of, "root", state(of))) == ["a", "b", "c"]  # and ends: the ways are 2 ** 30


def test_an_entry_of_several_nodes_keeps_each_candidate_once() -> None:
    of = graph(providers=[provider("a", "m"), provider("b", "m")])
    entry = of.resolve("m")
    assert entry is not None
    assert len(walk(of, entry, state(of), DEMAND, 0, Random(1)).planned) == 2


CANDIDATE = Candidate("a", "m", context_tokens=1000)


def test_why_a_candidate_is_skipped() -> None:
    of = graph(providers=[provider("a", CANDIDATE)])
    known = state(of, keys=2, eject_after=1)
    assert why_skip(CANDIDATE, known, Demand(1000, stream=True), 0) is None
    assert why_skip(CANDIDATE, known, Demand(1001, stream=True), 0) == Skip(
        SkipKind.CONTEXT, "context: needs ~1001 tokens, has 1000"
    )
    known.health.failed("a/m", 0, probe=False, cause="timeout")
    assert why_skip(CANDIDATE, known, DEMAND, 0) == Skip(SkipKind.EJECTED, "ejected", 30)
    assert why_skip(CANDIDATE, known, DEMAND, 30) is None
    assert known.health.begin("a/m", 30)
    assert why_skip(CANDIDATE, known, DEMAND, 30) == Skip(SkipKind.PROBING, "probing")
    known.pools["a"].apply(0, KeyEffect.DISABLE, 30, model="m", cause="key")
    known.pools["a"].apply(1, KeyEffect.COOL, 30, model="m", cause="limit", retry_after_s=5)
    assert why_skip(CANDIDATE, known, DEMAND, 30) == Skip(SkipKind.COOLING, "keys cooling", 35)
    known.pools["a"].apply(1, KeyEffect.DISABLE, 30, model="m", cause="key")
    assert why_skip(CANDIDATE, known, DEMAND, 30) == Skip(SkipKind.DISABLED, "keys disabled")


def test_a_provider_that_is_off_is_planned_and_skipped_with_its_reason() -> None:
    of = graph({"chat": cascade("a", "b")}, [provider("a", "m", off="no key"), provider("b", "m")])
    known = state(of)
    seen = preview(plan(of, "chat", known), known, DEMAND, 0)
    assert [skip and skip.reason for _, skip in seen] == ["off: no key", None]


def test_a_preview_ignores_ejection_where_nothing_else_is_left() -> None:
    of = graph({"chat": cascade("a", "b", "c")})
    known = state(of, eject_after=1)
    planned = plan(of, "chat", known)
    for name in ("a/m", "b/m"):
        known.health.failed(name, 0, probe=False, cause="timeout")
    assert [skip and skip.reason for _, skip in preview(planned, known, DEMAND, 0)] == ["ejected", "ejected", None]
    known.pools["c"].apply(0, KeyEffect.COOL, 0, model="m", cause="limit")
    assert [skip and skip.reason for _, skip in preview(planned, known, DEMAND, 0)] == [None, None, "keys cooling"]


def test_plans_can_be_compared() -> None:
    of = graph()
    known = state(of)
    assert plan(of, "a", known).planned == (Planned(Candidate("a", "m"), ()),)


SEEING = Demand(prompt_tokens=100, stream=True, needs=frozenset({"vision", "json_schema"}))
BLIND = Candidate("a", "m", lacks=frozenset({"vision", "tools"}))


def test_what_a_candidate_lacks_counts_where_it_is_needed() -> None:
    of = graph(providers=[provider("a", BLIND)])
    known = state(of)
    assert why_skip(BLIND, known, SEEING, 0) == Skip(SkipKind.LACKS, "lacks vision")
    assert why_skip(BLIND, known, DEMAND, 0) is None


def test_a_balanced_node_puts_those_that_lack_something_behind() -> None:
    of = graph({"turn": balance("round_robin", "a", "b", "c")}, [provider("a", BLIND), *map(whole, "bc")])
    known = state(of)
    assert ["".join(order(plan(of, "turn", known, SEEING))) for _ in range(3)] == ["bca", "cba", "bca"]


def whole(name: str) -> ProviderEntry:
    return provider(name, "m")


def test_a_preview_tells_what_is_lacking_unless_nobody_else_can_ever_serve() -> None:
    of = graph({"chat": cascade("a", "b")}, [provider("a", BLIND), whole("b")])
    known = state(of)
    planned = plan(of, "chat", known, SEEING)

    def seen() -> list[str | None]:
        return [skip and skip.reason for _, skip in preview(planned, known, SEEING, 0)]

    assert seen() == ["lacks vision", None]
    known.pools["b"].apply(0, KeyEffect.COOL, 0, model="m", cause="limit")
    assert seen() == ["lacks vision", "keys cooling"]
    known.pools["b"].apply(0, KeyEffect.DISABLE, 0, model="m", cause="key")
    assert seen() == [None, "keys disabled"]


# Nodes that choose

CHOOSING: dict[str, Node] = {
    "auto": classify("coder", "b/n", default="chat"),
    "coder": rules("c", otherwise="chat"),
    "chat": cascade("a", "b"),
    "turn": balance("round_robin", "a", "coder"),
}
TWO_MODELS = [provider("a", "m"), provider("b", "m", "n"), provider("c", "m")]


@pytest.mark.parametrize(
    ("choices", "leaves"),
    [
        ({"auto": "chat"}, [("a/m", "auto chat"), ("b/m", "auto chat")]),  # a cascade
        ({"auto": "coder", "coder": "c"}, [("c/m", "auto coder")]),  # a node that chooses, and a provider
        ({"auto": "coder", "coder": "chat"}, [("a/m", "auto coder chat"), ("b/m", "auto coder chat")]),
        ({"auto": "b/n"}, [("b/n", "auto")]),  # one model
        ({"auto": "turn", "coder": "c"}, [("a/m", "auto turn"), ("c/m", "auto turn coder")]),  # a balance, and below
    ],
)
def test_a_choice_decides_the_leaves_whatever_it_leads_to(
    choices: dict[str, str], leaves: list[tuple[str, str]]
) -> None:
    of = graph(CHOOSING, TWO_MODELS)
    planned = plan(of, "auto", state(of), choices=choices).planned
    assert [(each.candidate.name, " ".join(each.route)) for each in planned] == leaves


def test_the_ways_not_taken_are_no_failover() -> None:
    of = graph({"auto": classify("a", default="b")}, [provider("a", "m", off="no key"), provider("b", "m")])
    assert order(plan(of, "auto", state(of), choices={"auto": "a"})) == ["a"]


def test_a_plan_that_nothing_else_changes_is_kept_for_each_choice() -> None:
    of = graph(CHOOSING, TWO_MODELS)
    known = state(of)
    one = plan(of, "auto", known, choices={"auto": "chat"})
    other = plan(of, "auto", known, choices={"auto": "b/n"})
    assert plan(of, "auto", known, choices={"auto": "chat"}) is one
    assert plan(of, "auto", known, choices={"auto": "b/n"}) is other
    assert (order(one), order(other)) == (["a", "b"], ["b"])
    assert len(known.fixed) == 2
    assert order(plan(of, "coder", known, choices={"coder": "chat"})) == ["a", "b"]
    assert len(known.fixed) == 3


def test_a_plan_with_a_strategy_on_its_way_is_made_anew() -> None:
    of = graph({**CHOOSING, "auto": classify("turn", default="chat")}, TWO_MODELS)
    known = state(of)
    turned = {"auto": "turn", "coder": "c"}
    assert [order(plan(of, "auto", known, choices=turned)) for _ in range(3)] == [["a", "c"], ["c", "a"], ["a", "c"]]
    assert not known.fixed
    plan(of, "auto", known, choices={"auto": "chat"})
    assert len(known.fixed) == 1


def test_no_more_plans_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_state, "_MOST_FIXED", 100)
    nodes: dict[str, Node] = {f"n{at}": rules("a", otherwise="b") for at in range(8)}
    of = graph({**nodes, "all": cascade(*nodes)})
    known = state(of)
    for number in range(2 ** len(nodes)):
        ways = {name: "ab"[number >> at & 1] for at, name in enumerate(nodes)}
        first = "b" if number & 1 else "a"
        assert order(plan(of, "all", known, choices=ways))[0] == first
    assert len(known.fixed) == 100
    last = dict.fromkeys(nodes, "b")
    assert order(plan(of, "all", known, choices=last)) == ["b"]  # what is not kept is planned each time
