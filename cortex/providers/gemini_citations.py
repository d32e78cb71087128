"""What Gemini's answers cite: pages that they repeat (`citationMetadata`) or are grounded on (`groundingMetadata`).

Places are counted in bytes of UTF-8 from the beginning of the text. Where one cannot be told, because it is counted
from a later part or lies outside the text, the whole text cites the page. A stream tells its metadata piece by piece or
all of it again and again, so what is cited is told when the answer has ended, each page once a place.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, TypeVar

import msgspec

from cortex.chat import Json
from cortex.errors import Fault, FaultKind
from cortex.providers.citations import MAX_CITATIONS, url_citation

_MAX_WIDE_CHARS = 1024 * 1024  # past these, nothing has a place any more
_PIECE_CHARS = 4096
_T = TypeVar("_T")


class _Place(msgspec.Struct, rename="camel", frozen=True):
    """In bytes; the wire leaves a zero out."""

    start_index: int | None = None
    end_index: int | None = None
    part_index: int | None = None


class _Source(_Place, rename="camel", frozen=True):
    uri: str = ""
    title: str | None = None


class _Repeated(msgspec.Struct, rename="camel"):
    """One list, under two names."""

    citations: list[_Source] | None = None
    citation_sources: list[_Source] | None = None


class _Web(msgspec.Struct):
    uri: str = ""
    title: str | None = None


class _Page(msgspec.Struct):
    web: _Web | None = None


class _Support(msgspec.Struct, rename="camel"):
    segment: _Place | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounded(msgspec.Struct, rename="camel"):
    grounding_chunks: list[_Page] | None = None
    grounding_supports: list[_Support] | None = None


class Citations:
    """Those of one answer."""

    def __init__(self) -> None:
        self._text = _Text()
        self._sources: dict[_Source, None] = {}
        self._pages: list[_Page] = []
        self._supports: dict[tuple[_Place, int], None] = {}  # by the place and the page's index

    def say(self, text: str) -> None:
        """The answer's text goes on."""
        self._text.add(text)

    def note(self, repeated: Any, grounded: Any) -> None:
        """A frame's `citationMetadata` and `groundingMetadata`. What is not of the form is passed over."""
        if repeated is not None and (told := _converted(repeated, _Repeated)) is not None:
            self._sources |= dict.fromkeys([*(told.citations or ()), *(told.citation_sources or ())])
        if grounded is not None and (found := _converted(grounded, _Grounded)) is not None:
            self._ground(found)
        if len(self._sources) + len(self._pages) + len(self._supports) > MAX_CITATIONS:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer cites more than anyone can use")

    def _ground(self, found: _Grounded) -> None:
        """Indices count the pages of all frames."""
        pages = found.grounding_chunks or []
        told_again = pages[: len(self._pages)] == self._pages
        self._pages = pages if told_again else self._pages + pages
        for support in found.grounding_supports or ():
            place = support.segment or _Place()
            self._supports |= dict.fromkeys((place, index) for index in support.grounding_chunk_indices or ())

    def annotations(self) -> tuple[Json, ...]:
        """What the whole answer cites."""
        cited: list[tuple[_Place, str, str | None]] = [(source, source.uri, source.title) for source in self._sources]
        for place, index in self._supports:
            web = self._pages[index].web if 0 <= index < len(self._pages) else None
            if web is not None:
                cited.append((place, web.uri, web.title))
        once = dict.fromkeys((*self._text.span(place), url, title) for place, url, title in cited)
        return tuple(annotation for each in once if (annotation := url_citation(*each)) is not None)


class _Text:
    """As much of a text as turns places in bytes into places in characters: nothing of what is ASCII."""

    def __init__(self) -> None:
        self._bytes = 0
        self._chars = 0
        self._wide: list[tuple[int, int, bytes]] = []  # where a piece begins, in bytes and in characters
        self._wide_chars = 0

    def add(self, text: str) -> None:
        if not text.isascii():
            self._wide_chars += len(text)
            if self._wide_chars <= _MAX_WIDE_CHARS:
                self._add_wide(text)
                return
        self._bytes += len(text)
        self._chars += len(text)

    def _add_wide(self, text: str) -> None:
        for start in range(0, len(text), _PIECE_CHARS):
            piece = text[start : start + _PIECE_CHARS]
            encoded = piece.encode("utf-8", "replace")
            self._wide.append((self._bytes, self._chars, encoded))
            self._bytes += len(encoded)
            self._chars += len(piece)

    def span(self, place: _Place) -> tuple[int, int]:
        start, end = place.start_index or 0, place.end_index or 0
        known = self._wide_chars <= _MAX_WIDE_CHARS and not place.part_index
        return (self._at(start), self._at(end)) if known and 0 <= start < end <= self._bytes else (0, self._chars)

    def _at(self, place: int) -> int:
        index = bisect_right(self._wide, place, key=lambda piece: piece[0]) - 1
        if index < 0:
            return place
        start, chars, encoded = self._wide[index]
        before = encoded[: place - start]
        return chars + place - start - len(before) + len(before.decode("utf-8", "ignore"))


def _converted(value: Any, form: type[_T]) -> _T | None:
    try:
        return msgspec.convert(value, form)
    except msgspec.ValidationError:
        return None
