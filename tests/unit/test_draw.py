"""Drawings: goldens for the three formats, and that no name breaks a format's syntax."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.draw import FORMATS, draw
from cortex.draw.columns import columns
from cortex.draw.layout import layout
from cortex.draw.picture import picture
from routing.graph import Balance, Candidate, Cascade, Graph, ProviderEntry, Target

GOLDEN = Path(__file__).parents[1] / "golden" / "draw"
SUFFIX = {"text": "txt", "mermaid": "mmd", "svg": "svg"}


def provider(name: str, *models: str, priority: int = 10, off: str | None = None) -> ProviderEntry:
    return ProviderEntry(name, priority, tuple(Candidate(name, model) for model in models), off)


def targets(*names: str | tuple[str, float]) -> tuple[Target, ...]:
    return tuple(Target(name) if isinstance(name, str) else Target(*name) for name in names)


def graph_of(*providers: ProviderEntry, default: str | None = None, **nodes: Cascade | Balance) -> Graph:
    return Graph(nodes, {each.name: each for each in providers}, default)


SHOP = graph_of(
    provider("ollama", "llama3", "qwen3:8b", priority=10),
    provider("groq", "openai/gpt-oss-20b", priority=20, off="no key"),
    provider("mistral", "mistral-small-latest", priority=40, off="no key"),
    provider("spare", "tiny", priority=90),
    default="chat",
    chat=Cascade(targets("ollama", "fast", "mistral")),
    fast=Balance("lowest_latency", targets("groq", "mistral")),
    coder=Cascade(targets("ollama/qwen3:8b", "fast", "chat")),
    mixed=Balance("weighted", targets(("ollama", 3), ("groq/openai/gpt-oss-20b", 0.5), "chat")),
)
BARE = graph_of(provider("b", "two", priority=2), provider("a", "one", priority=1, off="no key"))
BY_PROVIDER = graph_of(provider("a", "one"), provider("b", "two"), default="b", n=Cascade(targets("a")))
GRAPHS = {"shop": SHOP, "bare": BARE, "by_provider": BY_PROVIDER}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", GRAPHS)
def test_golden(name: str, form: str) -> None:
    golden = GOLDEN / f"{name}.{SUFFIX[form]}"
    assert draw(GRAPHS[name], form) == golden.read_text(encoding="utf-8")


def test_text_draws_a_shared_node_once_and_refers_to_it_after() -> None:
    drawn = draw(SHOP, "text")
    assert len(re.findall(r"fast  balance", drawn)) == 1
    assert len(re.findall(r"fast  \(see above\)", drawn)) >= 1


def test_a_node_is_off_only_if_every_candidate_below_it_is() -> None:
    boxes = picture(SHOP).boxes
    assert boxes["fast"].off == "every candidate is off"
    assert boxes["chat"].off is None
    assert boxes["groq/openai/gpt-oss-20b"].off == "no key"


def test_two_targets_that_mean_one_candidate_are_one_arrow() -> None:
    graph = graph_of(provider("a", "one"), default="n", n=Cascade(targets("a", "a/one")))
    assert [(arrow.target, arrow.label) for arrow in picture(graph).arrows] == [("a/one", "1")]


def test_a_deep_graph_with_many_ways_is_drawn_in_all_formats() -> None:
    # 2³⁰ ways lead through these layers; a drawing must not walk each.
    layers = {f"n{i}x{j}": Cascade(targets(f"n{i + 1}x0", f"n{i + 1}x1")) for i in range(30) for j in range(2)}
    graph = graph_of(provider("a", "one"), **layers, n30x0=Cascade(targets("a")), n30x1=Cascade(targets("a")))
    assert all(draw(graph, form).count("a/one") >= 1 for form in FORMATS)


def test_svg_is_told_to_those_who_cannot_see_it() -> None:
    svg = ElementTree.fromstring(draw(SHOP, "svg"))
    names = {"s": "http://www.w3.org/2000/svg"}
    described = svg.findtext("s:desc", namespaces=names)
    assert svg.attrib["role"] == "img"
    assert svg.findtext("s:title", namespaces=names) == "Routing graph"
    assert described is not None
    assert "chat, cascade, default model: ollama/llama3 1, fast 2, mistral/mistral-small-latest 3." in described
    assert "groq/openai/gpt-oss-20b is off: no key." in described


def test_svg_boxes_do_not_overlap_and_lie_within_the_picture() -> None:
    svg = ElementTree.fromstring(draw(SHOP, "svg"))
    rects = [
        tuple(float(rect.attrib[side]) for side in ("x", "y", "width", "height"))
        for rect in svg.iter("{http://www.w3.org/2000/svg}rect")
        if "x" in rect.attrib
    ]
    assert len(rects) == len(picture(SHOP).boxes)
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    for number, (x, y, w, h) in enumerate(rects):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for x2, y2, w2, h2 in rects[number + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_no_arrow_runs_beneath_a_box() -> None:
    shop = picture(SHOP)
    laid = layout(shop, dict.fromkeys(shop.boxes, (120.0, 60.0)))
    lanes = [lane for way in laid.ways for lane in zip(way[1:-1:2], way[2:-1:2], strict=True)]
    assert len(lanes) >= 3
    for (left, y), (right, same_y) in lanes:
        assert y == same_y
        for place in laid.places.values():
            assert right <= place.x or place.x + place.width <= left or not place.y <= y <= place.y + place.height


ANY_NAME = st.text(min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_NAME, min_size=1, max_size=4, unique=True), ANY_NAME)
def test_no_name_breaks_a_drawing(models: list[str], reason: str) -> None:
    graph = graph_of(
        provider("p", *models, off=reason), default="n", n=Cascade(targets(*(f"p/{model}" for model in models)))
    )
    svg = ElementTree.fromstring(draw(graph, "svg"))
    assert sum(1 for _ in svg.iter("{http://www.w3.org/2000/svg}rect")) == 2 + len(models)

    lines = draw(graph, "mermaid").splitlines()
    labels = [line for line in lines if re.match(r"  n\d+[(\[]", line)]
    assert len(labels) == 1 + len(models)
    for label in labels:
        inside = re.fullmatch(r'  n\d+(?:\["(.*)"\]|\(\["(.*)"\]\))', label)
        assert inside is not None
        assert not re.search(r"""["'`<>&\[\]{}|\\]""", (inside[1] or inside[2]).replace("<br/>", ""))


def test_columns_are_as_wide_as_their_widest_word_and_vanish_when_empty() -> None:
    assert columns([("a", "", "long"), ("bcd", "", "x")]) == ["  a    long", "  bcd  x"]
    assert columns([]) == []
