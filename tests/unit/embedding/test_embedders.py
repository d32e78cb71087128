"""What every embedder that Cortex ships must do, on the real files."""

from __future__ import annotations

import numpy as np
import pytest

from cortex.embedding.embedder import Embedder
from cortex.embedding.factory import EmbedderSettings, make_embedder

FAMILIES = (
    ("How do I sort a list in Python?", "sort an array in python", "Python: ordering the elements of a list"),
    ("What is the capital of France?", "Which city is France's capital?", "France capital city name"),
    ("Write a poem about the ocean", "compose some verses on the sea", "a short poem on waves and the ocean"),
    ("My credit card was declined", "the payment with my card did not go through", "my card has been refused"),
)
ODD = (
    "",
    " \n\t ",
    "\x00\x01\x02",
    "a\u0300\u0301\u0302 Z\u0351\u036b\u0343",
    "\ud800 a lone surrogate \udfff",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\u202eright to left\u202c",
    "日本の首都はどこですか",
    "ﷺ ﬃ ① Ⅷ",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "x" * 5000,
    "word " * 200_000,
)


@pytest.fixture(scope="module", params=["builtin", "static"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    embedder: Embedder = request.getfixturevalue(request.param)
    return embedder


@pytest.mark.parametrize(("kind", "dimensions"), [("builtin", 384), ("static", 128)])
def test_the_factory_makes_it(kind: str, dimensions: int) -> None:
    embedder = make_embedder(EmbedderSettings(kind))  # type: ignore[arg-type]
    assert embedder.dimensions == dimensions
    assert kind == "builtin" or "static" in embedder.name


def test_rows_are_float32_of_length_one_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = [text for family in FAMILIES for text in family]
    vectors = embedder.embed(texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), embedder.dimensions), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(embedder.embed([text])[0], vector, atol=1e-3)


def test_no_texts_are_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_what_means_the_same_is_nearer_than_what_does_not(embedder: Embedder) -> None:
    vectors = embedder.embed([text for family in FAMILIES for text in family])
    cosines = vectors @ vectors.T
    family = np.repeat(np.arange(len(FAMILIES)), len(FAMILIES[0]))
    same = family[:, None] == family
    for row in range(len(vectors)):
        assert cosines[row][same[row]].min() > cosines[row][~same[row]].max(), row


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text[:12]))
def test_any_text_has_a_vector(embedder: Embedder, text: str) -> None:
    (vector,) = embedder.embed([text])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_case_and_accents_do_not_count(embedder: Embedder) -> None:
    one, other = embedder.embed(["Où est le CAFÉ", "ou est le cafe"])
    np.testing.assert_array_equal(one, other)


def test_only_the_beginning_of_a_long_text_counts(embedder: Embedder) -> None:
    long = "The ship sailed on through the night. " * 60
    one, other = embedder.embed([long, long + "SELECT * FROM orders; " * 100])
    np.testing.assert_array_equal(one, other)
