"""Places in bytes as places in characters, and what of Gemini's metadata is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.errors import Fault, FaultKind
from cortex.providers import gemini_citations
from cortex.providers.citations import MAX_CITATIONS
from cortex.providers.gemini_citations import Citations

URL = "https://a.example"


def citations(*text: str) -> Citations:
    made = Citations()
    for piece in text:
        made.say(piece)
    return made


def places(made: Citations) -> list[tuple[int, int]]:
    return [(each["url_citation"]["start_index"], each["url_citation"]["end_index"]) for each in made.annotations()]


def repeated(*places: tuple[int, int], **members: Any) -> dict[str, Any]:
    return {"citationSources": [{"startIndex": start, "endIndex": end, "uri": URL, **members} for start, end in places]}


@given(st.lists(st.text(max_size=6) | st.sampled_from(["é" * 5000, "a" * 5000, "🙂"]), max_size=6), st.data())
def test_a_place_is_the_same_in_bytes_and_in_characters(pieces: list[str], data: st.DataObject) -> None:
    pieces = [piece.encode("utf-8", "replace").decode() for piece in pieces]
    text = "".join(pieces)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    made = citations(*pieces)
    made.note(repeated((len(text[:start].encode()), len(text[:end].encode()))), None)
    assert places(made) == [(start, end) if start < end else (0, len(text))]


@pytest.mark.parametrize("place", [(3, 3), (3, 2), (-1, 2), (0, 6)])
def test_a_place_outside_the_text_is_all_of_it(place: tuple[int, int]) -> None:
    made = citations("Héll")
    made.note(repeated(place), None)
    assert places(made) == [(0, 4)]


def test_of_a_later_part_no_place_is_known() -> None:
    made = citations("Hello")
    support = {"segment": {"partIndex": 1, "endIndex": 2}, "groundingChunkIndices": [0]}
    made.note(None, {"groundingChunks": [{"web": {"uri": URL}}], "groundingSupports": [support]})
    assert places(made) == [(0, 5)]


def test_a_text_that_is_too_long_has_no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_citations, "_MAX_WIDE_CHARS", 6)
    made = citations("éé", "aaaa", "éééé")
    made.note(repeated((0, 2)), None)
    assert places(made) == [(0, 1)]
    made.say("éé")
    assert places(made) == [(0, 12)]


def test_what_is_told_again_is_told_once() -> None:
    made = citations("Hello")
    for _ in range(3):
        made.note(repeated((0, 2)), None)
        made.note({"citations": [{"endIndex": 2, "uri": URL}]}, None)
    assert places(made) == [(0, 2)]


@pytest.mark.parametrize("value", [5, [], {"citationSources": 5}, {"citationSources": [{"uri": 5}]}, {"citations": []}])
def test_what_is_of_another_form_cites_nothing(value: Any) -> None:
    made = citations("Hello")
    made.note(value, value)
    made.note(None, {"groundingSupports": [{"groundingChunkIndices": [0, -1]}], "groundingChunks": [{}]})
    assert made.annotations() == ()


def test_more_than_anyone_can_use_is_a_fault() -> None:
    made = citations("Hello")
    made.note(repeated(*((n, n + 1) for n in range(MAX_CITATIONS))), None)
    with pytest.raises(Fault) as caught:
        made.note(repeated((0, 4)), None)
    assert caught.value.kind is FaultKind.INVALID_RESPONSE
