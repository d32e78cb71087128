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
from routing.graph import (
    Balance,
    Candidate,
    Cascade,
    Case,
    Classify,
    Graph,
    Node,
    ProviderEntry,
    Route,
    Rules,
    Target,
)
from routing.rules import When

GOLDEN = Path(__file__).parents[1] / "golden" / "draw"
SUFFIX = {"text": "txt", "mermaid": "mmd", "svg": "svg"}


def provider(name: str, *models: str, priority: int = 10, off: str | None = None) -> ProviderEntry:
    return ProviderEntry(name, priority, tuple(Candidate(name, model) for model in models), off)


def targets(*names: str | tuple[str, float]) -> tuple[Target, ...]:
    return tuple(Target(name) if isinstance(name, str) else Target(*name) for name in names)


def graph_of(*providers: ProviderEntry, default: str | None = None, **nodes: Node) -> Graph:
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
CHOOSING = graph_of(
    provider("ollama", "llama3"),
    provider("groq", "big", "small", off="no key"),
    default="front",
    front=Rules(
        (
            Case(
                When(tokens_over=12_000, needs=(("tools", True),), headers=(("x-team", frozenset({"blue"})),)),
                Target("groq/big"),
            ),
            Case(When(clients=frozenset({"client#2"})), Target("groq")),  # the same candidate
            Case(When(needs=(("vision", True),)), Target("auto")),
            Case(When(languages=frozenset({"es", "pt"})), Target("ollama")),
        ),
        Target("auto"),
    ),
    auto=Classify(
        (
            Route("coding", Target("coder"), "coding"),
            Route("<leases> & |contracts|", Target("groq/small"), examples=("Is this lease valid?",)),
            Route("writing", Target("chat"), "creative"),
        ),
        Target("chat"),
    ),
    coder=Cascade(targets("groq/big", "ollama")),
    chat=Cascade(targets("ollama", "groq/small")),
)
GRAPHS = {"shop": SHOP, "choosing": CHOOSING, "bare": BARE, "by_provider": BY_PROVIDER}


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


def test_ways_of_a_node_that_chooses_are_told_by_what_leads_there_and_drawn_once() -> None:
    leaving = picture(CHOOSING).leaving
    assert {arrow.target: arrow.label for arrow in leaving["front"]} == {
        "groq/big": "over 12,000 tokens, tools, x-team: blue or client#2",
        "auto": "images or else",
        "ollama/llama3": "es|pt",
    }
    assert [(arrow.target, arrow.label) for arrow in leaving["auto"]] == [
        ("coder", "coding"),
        ("groq/small", "<leases> & |contracts|"),
        ("chat", "writing or unsure"),
    ]


def test_a_node_that_chooses_is_off_only_if_every_way_is() -> None:
    dead = Classify((Route("a", Target("groq"), "qa"),), Target("groq/small"))
    graph = graph_of(*CHOOSING.providers.values(), dead=dead, live=Rules((), Target("ollama")))
    assert picture(graph).boxes["dead"].off == "every candidate is off"
    assert picture(graph).boxes["live"].off is None


def test_svg_tells_its_labels_whole_to_those_who_cannot_see_it_or_point_at_it() -> None:
    svg = ElementTree.fromstring(draw(CHOOSING, "svg"))
    whole = "over 12,000 tokens, tools, x-team: blue or client#2"
    described = svg.findtext("{http://www.w3.org/2000/svg}desc") or ""
    assert f"front, rules, default model: groq/big {whole}, auto images or else, ollama/llama3 es|pt." in described
    assert whole in {title.text for title in svg.iter("{http://www.w3.org/2000/svg}title")}


@pytest.mark.parametrize("graph", [SHOP, CHOOSING])
def test_no_label_runs_beneath_a_box(graph: Graph) -> None:
    svg = ElementTree.fromstring(draw(graph, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        tuple(float(rect.attrib[side]) for side in ("x", "y", "width", "height"))
        for rect in svg.iter(f"{space}rect")
        if "x" in rect.attrib
    ]
    labels = [text for text in svg.findall(f"{space}text") if text.attrib.get("class") == "note"]
    assert labels
    for label in labels:
        left, y = float(label.attrib["x"]), float(label.attrib["y"])
        title = label.find(f"{space}title")
        shown = (label.text or "") if title is None else (title.tail or "")
        right = left + 6.6 * len(shown)
        for x, top, width, height in boxes:
            assert right <= x or x + width <= left or not top <= y <= top + height, shown


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


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_NAME, min_size=1, max_size=4, unique=True), ANY_NAME)
def test_no_routes_name_and_no_condition_breaks_a_drawing(names: list[str], value: str) -> None:
    graph = graph_of(
        provider("p", *(f"m{place}" for place in range(len(names) + 2))),
        default="auto",
        auto=Classify(
            tuple(Route(name, Target(f"p/m{place}"), "qa") for place, name in enumerate(names)), Target("strict")
        ),
        strict=Rules(
            (Case(When(headers=(("x-team", frozenset({value})),)), Target(f"p/m{len(names)}")),),
            Target(f"p/m{len(names) + 1}"),
        ),
    )
    svg = ElementTree.fromstring(draw(graph, "svg"))
    assert sum(1 for _ in svg.iter("{http://www.w3.org/2000/svg}path")) == 1 + len(names) + 3

    arrows = [line for line in draw(graph, "mermaid").splitlines() if "-->" in line]
    assert len(arrows) == len(names) + 3
    for arrow in arrows:
        inside = re.fullmatch(r'  n\d+ -->\|"(.*)"\| n\d+', arrow)
        assert inside is not None, arrow
        assert not re.search(r"""["'`<>&\[\]{}|\\]""", inside[1])


def test_columns_are_as_wide_as_their_widest_word_and_vanish_when_empty() -> None:
    assert columns([("a", "", "long"), ("bcd", "", "x")]) == ["  a    long", "  bcd  x"]
    assert columns([]) == []
