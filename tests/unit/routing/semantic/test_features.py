"""What can be seen of a text: numbers of a known meaning, within bounds, for any text at all."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.semantic.features import BUCKETS, SHAPE_NAMES, features_of
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import FIRST_CHARS, LAST_CHARS, clipped

MOST = FIRST_CHARS + LAST_CHARS + 1

# What the shapes look for, so that texts are made that have much of it.
PIECES = st.sampled_from(
    [
        *("a", "A", "é", "ß", "İ", "1", "1.000,5", "1999", " ", "\n", "\n\n", "\t", "\u2028", "\x00", "\ud800", "🙂"),
        *("?", "!", ";", "{", "}", ":", "'", '"', "```", "=>", "f(x)", "a.b(", "snake_case", "camelCase", "main.py"),
        *("SELECT", "def ", "TypeError", "\\frac", "$x$", "2 + 2", "A) x", "- x\n", "https://x", ":-)", "5%"),
        *("write ", "what ", "python ", "solve ", "poem ", "translate ", "hello ", "i ", "you ", "资料", "слово "),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=120).map("".join) | st.text(
    alphabet=st.characters(exclude_categories=[]), max_size=MOST
)


@settings(max_examples=300)
@given(TEXTS)
def test_any_text_has_bounded_features(text: str) -> None:
    features = features_of(clipped(text))
    assert len(features.shape) == len(SHAPE_NAMES)
    for name, value in zip(SHAPE_NAMES, features.shape, strict=True):
        assert 0 <= value <= 1.5, name
    assert all(0 <= bucket < BUCKETS for bucket in features.buckets)
    assert len(set(features.buckets)) == len(features.buckets)
    assert features == features_of(clipped(text))


@pytest.mark.parametrize("piece", ["python ", "solve", "?", "\n", "1 ", "A", "; ", "$x$ ", "def \n", "you i ", "é "])
def test_the_longest_of_one_kind_is_bounded_too(piece: str) -> None:
    features = features_of(clipped(piece * MOST))
    assert max(features.shape) <= 1.5


def seen(text: str) -> dict[str, float]:
    return dict(zip(SHAPE_NAMES, features_of(text).shape, strict=True))


def test_shape_names_are_each_of_one_shape() -> None:
    assert len(set(SHAPE_NAMES)) == len(SHAPE_NAMES)
    assert [name for name in SHAPE_NAMES if name.startswith("words of ")] == [f"words of {task}" for task in TASKS]


@pytest.mark.parametrize(
    ("name", "without", "text"),
    [
        ("characters", "Hello", "Hello there"),
        ("words", "Hello", "Hello there"),
        ("word length", "a big cat", "considerable circumstances"),
        ("digits", "one", "one 12"),
        ("capitals", "one", "One"),
        ("signs", "one", "one#"),
        ("short", "one two three four five six", "one two"),
        ("one line", "one\ntwo", "one two"),
        ("ends with ?", "what", "what? "),
        ("ends with :", "this", "this:\n"),
        ("starts in lower case", "One", "one"),
        ("first person", "it is so", "i am so"),
        ("second person", "it is so", "you are so"),
        ("opens: question", "Paris", "What is Paris"),
        ("opens: make", "A poem", "Write a poem"),
        ("opens: change", "The text", "Summarize the text"),
        ("opens: work out", "The sum", "Calculate the sum"),
        ("opens: explain", "Gravity", "Explain gravity"),
        ("opens: greet", "Paul", "Hello Paul"),
        ("opens: if", "A car", "If a car"),
        ("words of coding", "a thing", "a python script"),
        ("words of math", "a thing", "the integral of a polynomial"),
        ("words of creative", "a thing", "a poem"),
        ("words of text_ops", "a thing", "summarize the paragraph"),
        ("first words of coding", "one two three four python", "python one two three four"),
        ("numbers", "x", "12 and 13"),
        ("years", "in 12", "in 1999"),
        ("percent or currency", "5", "5%"),
        ("operators", "x y", "x + y"),
        ("latex", "frac", r"\frac{1}{2}"),
        ("fences", "code", "```code"),
        ("statements", "x = 1", "x = 1;"),
        ("calls", "print x", "print(x)"),
        ("code signs", "a b", "a => b"),
        ("identifiers", "some words", "some_words"),
        ("files", "main", "main.py"),
        ("errors", "wrong", "TypeError"),
        ("sql", "select", "SELECT"),
        ("question marks", "what", "what?"),
        ("exclamation marks", "no", "no!"),
        ("quotes", "no", '"no"'),
        ("options", "Paris", "A) Paris"),
        ("list items", "Paris", "- Paris"),
        ("lines", "one", "one\ntwo"),
        ("blank lines", "one\ntwo", "one\n\ntwo"),
        ("material", "this text", "this: Text"),
        ("sentences", "One. Two", "One. Two. Three"),
        ("names", "in paris", "in Paris"),
        ("shouts", "no", "NOT"),
        ("emoji", "fine", "fine 🙂"),
        ("links", "example", "https://example.com"),
    ],
)
def test_a_shape_means_what_its_name_says(name: str, without: str, text: str) -> None:
    assert seen(text)[name] > seen(without)[name]


def test_an_empty_text_shows_nothing() -> None:
    features = features_of("")
    assert features.buckets == ()
    assert features.language is None
    told = {name for name, value in seen("").items() if value}
    assert told <= {"bias", "characters", "short", "one line", "signs"}


def test_words_and_their_neighbours_fall_into_buckets() -> None:
    one, both, turned = (set(features_of(text).buckets) for text in ("alpha", "alpha beta", "beta alpha"))
    assert one & both
    assert both & turned
    assert both != turned
    assert set(features_of("ALPHA").buckets) == one  # whatever their case


@pytest.mark.parametrize("unit", ["word ", "a", "x.y(", "1,", "$x", "\\ab", "<", ": ", "A) ", "-\n", "aB_", "é", "i "])
def test_a_long_text_takes_linear_time(unit: str) -> None:
    """Requests bring clipped texts; what is looked at once more than needed would show all the same."""
    text = unit * (2**18 // len(unit))
    began = perf_counter()
    features_of(text)
    assert perf_counter() - began < 20  # what is quadratic takes minutes
