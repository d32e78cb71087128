"""Conversations stay with their routes for a while; no more are remembered than there is room for."""

from __future__ import annotations

import pytest

from routing.semantic.affinity import KEPT_S, MOST, Affinity, is_remark, stays
from routing.semantic.judgement import Judgement


def conversation(number: int) -> bytes:
    return number.to_bytes(16, "big")


ONE, TWO = conversation(1), conversation(2)


def test_a_conversation_is_known_from_its_first_turn_until_its_time_is_over() -> None:
    affinity = Affinity(kept_s=600)
    assert not affinity.known(ONE, 100)
    affinity.keep(ONE, "coding", 100)
    assert affinity.known(ONE, 100)
    assert affinity.route(ONE) == "coding"
    assert affinity.known(ONE, 699.9)
    assert not affinity.known(ONE, 700)
    assert not affinity.known(TWO, 100)


def test_each_turn_keeps_it_for_as_long_again() -> None:
    affinity = Affinity(kept_s=600)
    affinity.keep(ONE, "coding", 0)
    affinity.keep(ONE, "writing", 500)
    assert affinity.known(ONE, 1099)
    assert affinity.route(ONE) == "writing"
    assert not affinity.known(ONE, 1100)
    affinity.keep(ONE, "coding", 2000)  # also after it was over
    assert affinity.known(ONE, 2599)
    assert len(affinity) == 1


def test_the_default_is_a_way_too() -> None:
    affinity = Affinity()
    affinity.keep(ONE, None, 0)
    assert affinity.known(ONE, 1)
    assert affinity.route(ONE) is None


def test_the_limits_are_those_that_are_promised() -> None:
    affinity = Affinity()
    affinity.keep(ONE, "coding", 0)
    assert affinity.known(ONE, 599)
    assert not affinity.known(ONE, 600)
    assert (KEPT_S, MOST) == (600, 10_000)


def test_the_oldest_goes_where_room_is_wanted() -> None:
    affinity = Affinity(most=3)
    for number in range(3):
        affinity.keep(conversation(number), f"r{number}", number)
    affinity.keep(conversation(0), "r0", 3)  # so that 1 is the oldest
    affinity.keep(conversation(3), "r3", 4)
    assert [affinity.known(conversation(number), 5) for number in range(4)] == [True, False, True, True]
    assert len(affinity) == 3


def test_however_many_conversations_there_are_it_does_not_grow() -> None:
    affinity = Affinity()
    for number in range(MOST + 500):
        affinity.keep(conversation(number), "coding", number / 1000)
    assert len(affinity) == MOST
    now = (MOST + 500) / 1000
    assert not affinity.known(conversation(499), now)
    assert affinity.known(conversation(500), now)


def test_what_is_known_is_carried_over() -> None:
    old, new = Affinity(), Affinity()
    old.keep(ONE, "coding", 0)
    new.carry_over(old)
    assert new.known(ONE, 1)
    old.keep(TWO, "writing", 1)  # a request that finishes on the old configuration
    assert new.route(TWO) == "writing"


def turn(route: str | None, probability: float, threshold: float | None = 0.5) -> Judgement:
    best = ((route or "coding", probability), ("other", 1 - probability))
    return Judgement(route, best, threshold, "abstained" if route is None else "embedding")


@pytest.mark.parametrize(
    ("new", "taken", "route", "stage"),
    [
        (turn("coding", 0.6), "coding", "coding", "embedding"),  # the same
        (turn("coding", 0.6), "writing", "writing", "affinity"),
        (turn("coding", 0.84), "writing", "writing", "affinity"),
        (turn("coding", 0.85), "writing", "coding", "embedding"),  # clearly another task
        (turn("coding", 0.99), None, "coding", "embedding"),
        (turn("coding", 0.6), None, None, "affinity"),
        (turn(None, 0.3), "writing", "writing", "affinity"),  # not clear: "go on", "thanks"
        (turn(None, 0.99, 1.0), "writing", "writing", "affinity"),
        (turn(None, 0.3), None, None, "abstained"),
        (turn("coding", 0.9, 0.95), "writing", "writing", "affinity"),  # less than its own threshold
        (turn("coding", 0.96, 0.95), "writing", "coding", "embedding"),
        (turn("coding", 0.9, None), "writing", "coding", "embedding"),
        (turn("coding", 0.86, 0.0), "writing", "coding", "embedding"),
    ],
)
def test_a_turn_stays_unless_it_is_clearly_another_task(
    new: Judgement, taken: str | None, route: str | None, stage: str
) -> None:
    judged = stays(new, taken, remark=False)
    assert (judged.route, judged.stage) == (route, stage)
    assert (judged.best, judged.threshold) == (new.best, new.threshold)
    assert (judged.reason is not None) is (stage == "affinity")


def test_a_turn_without_words_stays_too() -> None:
    judged = stays(Judgement(None, (), None, "abstained", "there is no text to read"), "coding", remark=True)
    assert (judged.route, judged.stage) == ("coding", "affinity")


def test_a_remark_moves_no_conversation_however_clear_it_is() -> None:
    judged = stays(turn("chat", 0.99), "coding", remark=True)
    assert (judged.route, judged.stage) == ("coding", "affinity")
    assert stays(turn("coding", 0.99), "coding", remark=True).stage == "embedding"


@pytest.mark.parametrize(
    ("task", "words", "remark"),
    [
        ("chat", 40, True),  # thanks, a feeling: said within any task
        ("coding", 4, True),  # "now in Rust please"
        ("coding", 5, False),
        ("qa", 9, True),  # a question in passing
        ("qa", 10, False),
        (None, 5, False),  # a route of one's own
    ],
)
def test_what_is_a_remark(task: str | None, words: int, remark: bool) -> None:
    assert is_remark(task, words) is remark
