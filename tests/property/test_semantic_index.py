"""An index of questions finds what a plain search of all its entries would, whatever came and went before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cache.guards import compare
from cache.reading import read
from cache.semantic import SemanticIndex

ROOM = 5
_SOME = """who wrote dune 3 three not isn't March Rome `x` from to "a b" my your best é 😀"""
_WORDS = st.lists(st.sampled_from(_SOME.split(" ")))
TEXTS = st.one_of(st.text(max_size=60), _WORDS.map(" ".join))
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 8), st.integers(0, 6)), max_size=60)


def vector(step: int) -> np.ndarray:
    return np.array([np.cos(step / 4), np.sin(step / 4), 0, 0], np.float32)


@given(STEPS)
def test_it_agrees_with_a_plain_search(steps: list[tuple[bool, int, int, int]]) -> None:
    index = SemanticIndex(ROOM)
    kept: dict[bytes, tuple[bytes, int]] = {}
    for adds, scope, key, step in steps:
        name = b"%d" % key
        kept.pop(name, None)
        if adds:
            kept[name] = (b"%d" % scope, step)
            if len(kept) > ROOM:
                del kept[next(iter(kept))]
            index.add(b"%d" % scope, name, "Who wrote Dune?", vector(step))
        else:
            index.discard(name)
        assert len(index) == len(kept)
        for asked in (b"0", b"1", b"2"):
            there = {name: step for name, (scope_, step) in kept.items() if scope_ == asked}
            match = index.find(asked, "Who is the author of Dune?", vector(2), -1.0)
            if match is None:
                assert not there
            else:
                assert match.refused is None
                assert abs(there[match.key] - 2) == min(abs(step - 2) for step in there.values())
    index.clear()
    assert index.size_bytes == 0


@given(TEXTS, TEXTS)
def test_guards_read_any_text_and_are_alike_both_ways(one: str, other: str) -> None:
    a, b = read(one), read(other)
    assert (compare(a, b).refused is None) == (compare(b, a).refused is None)
    assert compare(a, b).similarity == compare(b, a).similarity
    assert compare(a, read(one)).refused is None
