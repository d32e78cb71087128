"""Scores of a classify node: small cases by hand, and what holds for any."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.semantic.evaluation import MISTAKES, NOT_SURE, Evaluation, Judged, Times, evaluate
from routing.semantic.judgement import Judgement, Stage

ROUTES = ("code", "math")
THRESHOLD = 0.6


def judged(
    line: int,
    wanted: str | None,
    best: str,
    probability: float,
    *,
    threshold: float = THRESHOLD,
    stage: Stage = "embedding",
    took_ms: float = 1.0,
) -> Judged:
    """Whose best route is taken if it is as probable as the threshold."""
    other = next(route for route in ROUTES if route != best)
    ranked = ((best, probability), (other, (1 - probability) / 2))
    if probability >= threshold:
        return Judged(line, wanted, Judgement(best, ranked, threshold, stage), took_ms)
    judgement = Judgement(None, ranked, threshold, "abstained", f"{best} is not {NOT_SURE}")
    return Judged(line, wanted, judgement, took_ms)


def unread(line: int, wanted: str | None, reason: str = "language: it") -> Judged:
    return Judged(line, wanted, Judgement(None, (), None, "abstained", reason), 0.1)


# In order of probability, with what its best route is: .95 right, .9 right, .8 wrong, .7 wrong (belongs to none);
# then those left: .5 (to the default, wrongly), .4 (rightly), and one in a language that is not read (wrongly).
SMALL = [
    judged(1, "code", "code", 0.9, stage="features", took_ms=0.2),
    judged(2, "code", "math", 0.8, took_ms=6.0),
    judged(3, "code", "code", 0.5, took_ms=5.0),
    judged(4, "math", "math", 0.95, took_ms=4.0),
    judged(5, None, "code", 0.7, threshold=0.65),
    judged(6, None, "math", 0.4),
    unread(7, "math"),
]


@pytest.fixture
def small() -> Evaluation:
    return evaluate(ROUTES, SMALL)


def test_accuracy_counts_the_default_as_a_class(small: Evaluation) -> None:
    assert (small.prompts, small.right) == (7, 3)
    assert small.accuracy == 3 / 7


def test_rows_are_what_is_wanted_and_columns_what_was_got(small: Evaluation) -> None:
    assert small.names == ["code", "math", "default"]
    assert small.confusion == ((1, 1, 1), (0, 1, 1), (1, 0, 1))


def test_precision_recall_and_share_of_each_class(small: Evaluation) -> None:
    code, math_, default = small.routes
    assert (code.prompts, code.taken, code.right) == (3, 2, 1)
    assert (code.precision, code.recall, code.share) == (1 / 2, 1 / 3, 2 / 7)
    assert (math_.precision, math_.recall, math_.share) == (1 / 2, 1 / 2, 2 / 7)
    assert (default.precision, default.recall, default.share) == (1 / 3, 1 / 2, 3 / 7)
    assert default.route is None


def test_what_was_never_taken_or_wanted_has_no_rate() -> None:
    code, math_, _ = evaluate(ROUTES, [judged(1, "code", "code", 0.3)]).routes
    assert (code.precision, code.recall) == (None, 0.0)
    assert (math_.precision, math_.recall) == (None, None)


def test_the_thresholds_in_force_are_those_that_the_best_route_met(small: Evaluation) -> None:
    assert [score.thresholds for score in small.routes] == [(THRESHOLD, 0.65), (THRESHOLD,), ()]


def test_thresholds_that_route_so_many(small: Evaluation) -> None:
    at = {percent: small.at(percent) for percent in (100, 80, 60, 50, 40, 10)}
    assert {percent: (each.threshold, each.routed, each.right) for percent, each in at.items()} == {
        100: (0.4, 6, 3),  # the language's cannot be routed
        80: (0.4, 6, 3),
        60: (0.5, 5, 3),
        50: (0.7, 4, 2),
        40: (0.8, 3, 2),
        10: (0.95, 1, 1),
    }
    assert [at[percent].accuracy for percent in (100, 60, 40, 10)] == [3 / 6, 3 / 5, 2 / 3, 1.0]
    assert at[100].share == 6 / 7
    # Rightly left to the default: none when all are routed, line 6 from .5 on, line 5 as well from .8 on.
    assert [at[percent].accuracy_of_all for percent in (100, 60, 50, 40)] == [3 / 7, 4 / 7, 3 / 7, 4 / 7]


def test_what_the_thresholds_in_force_give(small: Evaluation) -> None:
    force = small.in_force
    assert (force.threshold, force.routed, force.right, force.rightly_left) == (None, 4, 2, 1)
    assert force.accuracy_of_all == small.accuracy


def test_equal_probabilities_are_routed_together() -> None:
    found = evaluate(ROUTES, [judged(line, "code", "code", 0.75) for line in range(1, 11)])
    assert {found.at(percent).routed for percent in range(1, 101)} == {10}


def test_a_threshold_is_rounded_down_to_four_decimals_and_counts_what_it_gives() -> None:
    found = evaluate(ROUTES, [judged(1, "code", "code", 0.98765), judged(2, "code", "math", 0.98761)])
    assert (found.at(50).threshold, found.at(50).routed) == (0.9876, 2)


def test_nothing_can_be_routed_of_what_is_not_read() -> None:
    found = evaluate(ROUTES, [unread(1, "code"), unread(2, None)])
    assert (found.at(100).routed, found.at(100).accuracy, found.at(100).accuracy_of_all) == (0, None, 0.5)


def test_stages_with_their_times(small: Evaluation) -> None:
    assert [(each.stage, each.prompts, each.right) for each in small.stages] == [
        ("features", 1, 1),
        ("embedding", 3, 1),
        ("examples", 0, 0),
        ("abstained", 3, 1),
    ]
    assert small.stages[0].took_ms == Times(0.2, 0.2)
    assert small.stages[1].took_ms == Times(4.0, 6.0)
    assert small.stages[2].took_ms == Times(None, None)
    assert small.took_ms == Times(1.0, 6.0)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert Times.of(range(1, 101)) == Times(50, 99)
    assert Times.of(range(1, 201)) == Times(100, 198)
    assert Times.of([3.0, 1.0]) == Times(1.0, 3.0)


def test_why_the_default_was_taken_most_frequent_first() -> None:
    left = [unread(1, None, "there is no text to read"), unread(2, None), unread(3, None), *SMALL]
    found = evaluate(ROUTES, left).abstained
    assert list(found.items()) == [("language: it", 3), (NOT_SURE, 2), ("there is no text to read", 1)]


def test_wrong_routes_come_before_prompts_that_were_left_the_surest_first(small: Evaluation) -> None:
    assert [each.line for each in small.mistakes] == [2, 5, 3, 7]


def test_mistakes_are_so_many_at_most() -> None:
    many = [judged(line, "code", "math", 0.7) for line in range(1, MISTAKES + 10)]
    assert [each.line for each in evaluate(ROUTES, many).mistakes] == list(range(1, MISTAKES + 1))


def test_a_route_called_default_is_not_taken_for_the_default() -> None:
    found = evaluate(("default",), [Judged(1, None, Judgement(None, (), None, "abstained", "x"), 1.0)])
    assert found.names == ["default", "(default)"]


def test_nothing_judged_has_no_scores() -> None:
    with pytest.raises(ValueError, match="nothing"):
        evaluate(ROUTES, [])


prompts = st.lists(
    st.one_of(
        st.builds(
            judged,
            st.integers(1, 99),
            st.sampled_from([*ROUTES, None]),
            st.sampled_from(ROUTES),
            st.floats(0, 1) | st.sampled_from([0.0, 0.6, 0.25, 1.0]),
            took_ms=st.floats(0, 100),
        ),
        st.builds(unread, st.integers(1, 99), st.sampled_from([*ROUTES, None])),
    ),
    min_size=1,
    max_size=60,
)


@given(prompts)
def test_shares_sum_to_one_and_rows_to_what_is_wanted(given_: list[Judged]) -> None:
    found = evaluate(ROUTES, given_)
    assert math.isclose(sum(score.share for score in found.routes), 1.0)
    assert [sum(row) for row in found.confusion] == [score.prompts for score in found.routes]
    assert [sum(column) for column in zip(*found.confusion, strict=True)] == [score.taken for score in found.routes]
    assert sum(map(sum, found.confusion)) == sum(each.prompts for each in found.stages) == found.prompts
    assert sum(found.abstained.values()) == found.stages[-1].prompts
    assert (
        found.right == sum(score.right for score in found.routes) == found.in_force.right + found.in_force.rightly_left
    )


@given(prompts)
def test_a_point_of_the_curve_is_what_its_threshold_gives(given_: list[Judged]) -> None:
    found = evaluate(ROUTES, given_)
    readable = [each for each in given_ if each.probability is not None]
    for percent in range(1, 101):
        point = found.at(percent)
        assert point.threshold is not None
        assert round(point.threshold, 4) == point.threshold
        routed = [each for each in readable if (each.probability or 0.0) >= point.threshold]
        left = [each for each in given_ if each not in routed]
        assert point.routed == len(routed) >= min(len(readable), len(given_) * percent / 100)
        assert point.right == sum(each.judgement.best[0][0] == each.wanted for each in routed)
        assert point.rightly_left == sum(each.wanted is None for each in left)


@given(prompts)
def test_the_more_are_routed_the_lower_the_threshold(given_: list[Judged]) -> None:
    curve = evaluate(ROUTES, given_).curve
    assert len(curve) == 100
    assert all(
        above.routed <= below.routed and (above.threshold or 0.0) >= (below.threshold or 0.0)
        for above, below in pairwise(curve)
    )
