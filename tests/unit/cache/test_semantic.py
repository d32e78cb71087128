from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cache.semantic import SemanticIndex

SCOPE = b"scope"
DIMENSIONS = 8


def vector(angle: float, dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """Unit vectors of one plane: the cosine of two is that of the angle between them, in radians."""
    found = np.zeros(dimensions, np.float32)
    found[:2] = np.cos(angle), np.sin(angle)
    return found


def index_of(*texts: str, max_entries: int = 100) -> SemanticIndex:
    index = SemanticIndex(max_entries)
    for place, text in enumerate(texts):
        index.add(SCOPE, b"%d" % place, text, vector(0.0))
    return index


def test_the_same_question_in_other_words_is_found() -> None:
    index = index_of("What is the capital of France?")
    match = index.find(SCOPE, "what's france's capital", vector(0.1), 0.9)
    assert match is not None
    assert (match.key, match.refused) == (b"0", None)
    assert match.similarity == pytest.approx(np.cos(0.1))


def test_a_refused_question_is_told_with_the_reason() -> None:
    match = index_of("How do I boil 2 eggs?").find(SCOPE, "How do I boil 3 eggs?", vector(0.0), 0.9)
    assert match is not None
    assert match.refused == "number: 3 / 2"


def test_what_is_not_near_enough_is_told_as_such() -> None:
    match = index_of("How do I boil eggs?").find(SCOPE, "How do I boil eggs?", vector(1.0), 0.9)
    assert match is not None
    assert match.refused == "not similar enough"


def test_a_nearer_question_that_is_refused_does_not_hide_one_that_is_not() -> None:
    index = SemanticIndex(10)
    index.add(SCOPE, b"near", "Who wrote 12 Monkeys?", vector(0.0))
    index.add(SCOPE, b"same", "Who is the author of Dune?", vector(0.2))
    match = index.find(SCOPE, "Who wrote Dune?", vector(0.0), 0.9)
    assert match is not None
    assert (match.key, match.refused) == (b"same", None)


def test_words_that_only_one_has_need_more_similarity() -> None:
    kept = "Write a long letter to my landlord about the broken boiler in the kitchen of our flat"
    asked = "Write a long letter to my landlord about the broken window in the kitchen of our flat"
    index = index_of(kept)
    for angle, hit in ((0.1, True), (0.5, False)):
        match = index.find(SCOPE, asked, vector(angle), 0.5)
        assert match is not None
        assert (match.refused is None) == hit


def test_two_that_are_as_near_and_ask_different_things_are_no_answer() -> None:
    asked = "Please tell the Lisbon office about the delayed parcel of our customer in Porto"
    index = SemanticIndex(10)
    index.add(
        SCOPE, b"a", "Please tell the Lisbon office about the delayed letter of our customer in Porto", vector(0.0)
    )
    index.add(
        SCOPE, b"b", "Please tell the Lisbon office about the delayed refund of our customer in Porto", vector(0.6)
    )
    match = index.find(SCOPE, asked, vector(0.3), 0.5)
    assert match is not None
    assert match.refused == "another kept question is as near, and asks something else"


def test_scopes_know_nothing_of_each_other() -> None:
    index = index_of("What is the capital of France?")
    assert index.find(b"another", "What is the capital of France?", vector(0.0), 0.5) is None


def test_the_oldest_goes_first() -> None:
    index = SemanticIndex(2)
    for place, text in enumerate(("Who wrote Dune?", "Who painted Guernica?", "Who invented dynamite?")):
        index.add(b"%d" % (place % 2), b"%d" % place, text, vector(float(place)))
    assert len(index) == 2
    match = index.find(b"0", "Who wrote Dune?", vector(0.0), 0.5)
    assert match is not None
    assert match.key == b"2"


def test_a_key_is_replaced_and_is_then_the_newest() -> None:
    index = SemanticIndex(2)
    index.add(SCOPE, b"a", "Who wrote Dune?", vector(0.0))
    index.add(SCOPE, b"b", "Who painted Guernica?", vector(1.0))
    index.add(SCOPE, b"a", "Who invented dynamite?", vector(2.0))
    index.add(SCOPE, b"c", "Who built the Eiffel Tower?", vector(3.0))
    match = index.find(SCOPE, "Who invented dynamite?", vector(2.0), 0.9)
    assert match is not None
    assert (match.key, match.refused) == (b"a", None)
    assert len(index) == 2


def test_fewer_entries_take_effect_at_once() -> None:
    index = index_of("a b c", "d e f", "g h i")
    index.max_entries = 1
    assert len(index) == 1


def test_room_for_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SemanticIndex(0)


def test_vectors_of_another_embedder_compare_with_nothing_and_replace_all() -> None:
    index = index_of("What is the capital of France?")
    assert index.find(SCOPE, "What is the capital of France?", vector(0.0, 16), 0.5) is None
    index.add(SCOPE, b"new", "Who wrote Dune?", vector(0.0, 16))
    assert len(index) == 1
    assert index.find(SCOPE, "Who wrote Dune?", vector(0.0), 0.5) is None
    match = index.find(SCOPE, "Who wrote Dune?", vector(0.0, 16), 0.5)
    assert match is not None
    assert match.key == b"new"


def test_memory_is_told_and_given_back() -> None:
    index = SemanticIndex(1000)
    empty = index.size_bytes
    for place in range(1000):
        index.add(b"%d" % (place % 7), b"%d" % place, f"What is the meaning of number {place}?", vector(place / 100))
    full = index.size_bytes
    assert full > empty + 1000 * DIMENSIONS * 4
    for place in range(1000, 3000):
        index.add(b"%d" % (place % 7), b"%d" % place, f"What is the meaning of number {place}?", vector(place / 100))
    assert len(index) == 1000
    assert index.size_bytes < 1.6 * full
    for place in range(3000):
        index.discard(b"%d" % place)
    assert (len(index), index.size_bytes) == (0, empty)
    index.add(SCOPE, b"a", "Who wrote Dune?", vector(0.0))
    index.clear()
    assert (len(index), index.size_bytes) == (0, empty)
