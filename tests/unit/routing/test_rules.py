"""The operator `rules`: each condition, all of them together, and the words in which they are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.choices import first_that_holds
from routing.demand import CAPABILITIES
from routing.graph import Case, Rules, Target
from routing.rules import Facts, When

FACTS = Facts(
    prompt_tokens=1000,
    needs=frozenset({"tools"}),
    headers={"x-team": "blue", "x-empty": ""},
    client="client#1",
    language=lambda: "es",
)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (When(), True),
        (When(tokens_over=999), True),
        (When(tokens_over=1000), False),
        (When(tokens_over=0), True),
        (When(tokens_under=1001), True),
        (When(tokens_under=1000), False),
        (When(tokens_over=999, tokens_under=1001), True),
        (When(tokens_over=1001, tokens_under=999), False),
        (When(needs=(("tools", True),)), True),
        (When(needs=(("tools", False),)), False),
        (When(needs=(("vision", True),)), False),
        (When(needs=(("vision", False),)), True),
        (When(needs=(("tools", True), ("json_schema", False))), True),
        (When(needs=(("tools", True), ("json_schema", True))), False),
        (When(headers=(("x-team", frozenset({"blue"})),)), True),
        (When(headers=(("x-team", frozenset({"red", "blue"})),)), True),
        (When(headers=(("x-team", frozenset({"red"})),)), False),
        (When(headers=(("x-team", frozenset({"Blue"})),)), False),  # a value's case counts
        (When(headers=(("x-team", None),)), True),
        (When(headers=(("x-empty", None),)), True),  # any value, also an empty one
        (When(headers=(("x-other", None),)), False),
        (When(headers=(("x-other", frozenset({"blue"})),)), False),
        (When(headers=(("x-team", None), ("x-other", None))), False),
        (When(clients=frozenset({"client#1"})), True),
        (When(clients=frozenset({"client#2", "client#1"})), True),
        (When(clients=frozenset({"client#11"})), False),
        (When(languages=frozenset({"es", "pt"})), True),
        (When(languages=frozenset({"en"})), False),
    ],
)
def test_each_condition(when: When, holds: bool) -> None:
    assert when.holds(FACTS) is holds


def test_what_is_not_known_of_a_request_meets_no_condition() -> None:
    nothing = Facts(prompt_tokens=0)
    assert When().holds(nothing)
    assert When(needs=(("tools", False),)).holds(nothing)
    assert not When(tokens_over=0).holds(nothing)
    assert not When(clients=frozenset({"client#1"})).holds(nothing)
    assert not When(languages=frozenset({"en"})).holds(nothing)
    assert not When(headers=(("x-team", None),)).holds(nothing)


def test_a_headers_value_is_compared_without_the_space_around_it() -> None:
    assert When(headers=(("x-team", frozenset({"blue"})),)).holds(Facts(1, headers={"x-team": " blue "}))


# One of each kind that holds for FACTS, and one that does not.
CONDITIONS = {
    "tokens_over": (10, 5000),
    "tokens_under": (5000, 10),
    "needs": ((("tools", True),), (("vision", True),)),
    "headers": ((("x-team", None),), (("x-other", None),)),
    "clients": (frozenset({"client#1"}), frozenset({"client#2"})),
    "languages": (frozenset({"es"}), frozenset({"de"})),
}


@given(st.dictionaries(st.sampled_from(sorted(CONDITIONS)), st.booleans()))
def test_conditions_must_all_hold(asked: dict[str, bool]) -> None:
    when = When(**{name: CONDITIONS[name][0 if holds else 1] for name, holds in asked.items()})  # type: ignore[arg-type]
    assert when.holds(FACTS) is all(asked.values())


def never() -> str:
    raise AssertionError("the language was asked for")


@pytest.mark.parametrize(
    "when",
    [
        When(),
        When(clients=frozenset({"client#1"})),
        When(tokens_over=9, needs=(("tools", True),), languages=frozenset()),
        When(tokens_over=5000, languages=frozenset({"es"})),  # what is cheap is asked first
        When(clients=frozenset({"client#2"}), languages=frozenset({"es"})),
        When(headers=(("x-other", None),), languages=frozenset({"es"})),
    ],
)
def test_the_language_is_asked_only_where_it_decides(when: When) -> None:
    when.holds(Facts(1000, FACTS.needs, FACTS.headers, FACTS.client, never))


def rules(*whens: When) -> Rules:
    return Rules(tuple(Case(when, Target(f"way{place}")) for place, when in enumerate(whens)), Target("rest"))


YES, NO = When(tokens_over=1), When(tokens_over=5000)


@pytest.mark.parametrize(
    ("node", "place"),
    [
        (rules(), None),
        (rules(NO), None),
        (rules(NO, NO), None),
        (rules(YES), 0),
        (rules(NO, YES), 1),
        (rules(YES, YES), 0),
        (rules(NO, YES, NO, When()), 1),
        (rules(NO, When(), YES), 1),
    ],
)
def test_the_first_that_holds_is_the_way(node: Rules, place: int | None) -> None:
    assert first_that_holds(node, FACTS) == place


def test_what_follows_the_first_that_holds_is_not_asked() -> None:
    asked = 0

    def language() -> str:
        nonlocal asked
        asked += 1
        return "en"

    node = rules(When(languages=frozenset({"de"})), YES, When(languages=frozenset({"fr"})))
    assert first_that_holds(node, Facts(1000, language=language)) == 1
    assert asked == 1


def test_a_rules_node_leads_to_its_cases_and_to_what_is_left() -> None:
    assert [target.name for target in rules(YES, NO).targets] == ["way0", "way1", "rest"]
    assert [target.name for target in rules().targets] == ["rest"]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (When(), "always"),
        (When(tokens_over=12_000), "over 12,000 tokens"),
        (When(tokens_over=0), "over 0 tokens"),
        (When(tokens_under=200), "under 200 tokens"),
        (When(tokens_over=1, tokens_under=9), "over 1 tokens, under 9 tokens"),
        (
            When(needs=(("tools", True), ("vision", False), ("json_schema", True))),
            "tools, no images, JSON schema",
        ),
        (When(headers=(("x-team", None),)), "x-team"),
        (When(headers=(("x-team", frozenset("fbdace")),)), "x-team: a|b|c|d|e|f"),
        (When(clients=frozenset({"client#2", "client#1"})), "client#1|client#2"),
        (When(languages=frozenset({"pt", "es", "de", "fr", "en", "it", "nl"})), "de|en|es|fr|it|nl|pt"),
        (
            When(
                tokens_under=50,
                needs=(("vision", True),),
                headers=(("x-a", frozenset({"1"})), ("x-b", None)),
                clients=frozenset({"client#1"}),
                languages=frozenset({"de"}),
            ),
            "under 50 tokens, images, x-a: 1, x-b, client#1, de",
        ),
    ],
)
def test_conditions_are_told_in_words(when: When, words: str) -> None:
    assert str(when) == words


def test_every_capability_has_its_word() -> None:
    told = str(When(needs=tuple((need, True) for need in CAPABILITIES)))
    assert len(told.split(", ")) == len(CAPABILITIES)
