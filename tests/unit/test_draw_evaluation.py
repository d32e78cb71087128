"""An evaluation drawn: goldens of the text and the picture, and that no name or number of routes breaks either."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.draw.evaluation import draw_evaluation
from cortex.draw.evaluation_text import MOST_CLASSES, render
from routing.semantic.evaluation import MISTAKES, Evaluation, Judged, evaluate
from routing.semantic.judgement import Judgement, Stage

GOLDEN = Path(__file__).parents[1] / "golden" / "evaluation"
ROUTES = ("coding", "math", "contracts")
NOTES = ("embedder: failed, it is not there; prompts are classified by words and shapes alone",)


def judgements() -> list[Judged]:
    """Sixty, always the same: each route is mistaken for the next now and then."""
    found = []
    for number in range(60):
        wanted = (*ROUTES, None)[number % 4]
        best = ROUTES[(number + (number % 7 == 0)) % 3] if wanted is None or number % 7 == 0 else wanted
        probability = 0.2 + 0.79 * ((number * 37) % 60) / 60
        ranked = ((best, probability), (ROUTES[(ROUTES.index(best) + 1) % 3], (1 - probability) / 2))
        threshold = 0.55 if best == "contracts" else 0.6
        stage: Stage = "examples" if best == "contracts" else "features" if number % 3 else "embedding"
        judgement = Judgement(best, ranked, threshold, stage)
        if number % 20 == 19:
            judgement = Judgement(None, (), None, "abstained", "language: it")
        elif probability < threshold:
            judgement = Judgement(None, ranked, threshold, "abstained", f"{best} is not sure enough")
        found.append(Judged(number + 1, wanted, judgement, 0.2 if stage == "features" else 4 + number / 10))
    return found


def of_many(routes: int) -> Evaluation:
    """Each route once, taken for the first."""
    names = [f"a route with quite a long name {number}" for number in range(routes)]
    taken = Judgement(names[0], ((names[0], 0.9),), 0.5, "features")
    return evaluate(names, [Judged(line, name, taken, 1.0) for line, name in enumerate(names, 1)])


@pytest.mark.parametrize("form", ["txt", "svg"])
def test_golden(form: str) -> None:
    found = evaluate(ROUTES, judgements())
    drawn = render("ask", found, NOTES) if form == "txt" else draw_evaluation("ask", found)
    assert drawn == (GOLDEN / f"three.{form}").read_text(encoding="utf-8")


def test_all_right_is_drawn_without_mistakes() -> None:
    taken = Judgement("coding", (("coding", 0.9),), 0.5, "features")
    found = evaluate(ROUTES, [Judged(1, "coding", taken, 1.0)])
    assert "mistakes" not in render("ask", found)
    assert "left to the default" not in render("ask", found)
    ElementTree.fromstring(draw_evaluation("ask", found))


def test_nothing_routed_is_drawn_without_a_curve() -> None:
    left = Judgement(None, (), None, "abstained", "language: it")
    found = evaluate(ROUTES, [Judged(1, "coding", left, 1.0)])
    assert "language: it" in render("ask", found)
    assert 'points=""' in draw_evaluation("ask", found)


def test_of_more_routes_than_a_line_holds_the_most_frequent_mistakes_are_told() -> None:
    found = of_many(MOST_CLASSES)
    assert "a row for what is wanted" not in render("ask", found)
    assert f"mistakes: the {MISTAKES} surest of {MOST_CLASSES - 1}" in render("ask", found)
    assert max(map(len, render("ask", found).splitlines())) < 160
    assert "a row for what is wanted" in render("ask", of_many(MOST_CLASSES - 1))


@pytest.mark.parametrize("routes", [1, 15, 30, 256])
def test_any_number_of_routes_is_a_picture_of_bounded_size(routes: int) -> None:
    picture = ElementTree.fromstring(draw_evaluation("ask", of_many(routes)))
    assert float(picture.attrib["width"]) < 3500
    assert float(picture.attrib["height"]) < 4000


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_no_name_breaks_the_picture(node: str, route: str) -> None:
    taken = Judgement(route, ((route, 0.9),), 0.5, "features")
    picture = draw_evaluation(node, evaluate([route], [Judged(1, route, taken, 1.0), Judged(2, None, taken, 1.0)]))
    ElementTree.fromstring(picture.encode())
