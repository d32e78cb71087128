"""What a human wrote in a user message: the text that tells its task.

Agents put reminders, tool results, attached files and whole background jobs around it. What they are known by stands in
`harness`; here it is taken away. Time is linear in the text, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from itertools import groupby, islice
from typing import NamedTuple

from routing.semantic.harness import (
    ASIDE_HINTS,
    ASIDES,
    BACKGROUND,
    HUMAN,
    LOOSE_HUMAN,
    LOOSE_NOISE,
    NOISE,
    OPENINGS,
    RESULT,
    TITLE,
)

FIRST_CHARS = 400
LAST_CHARS = 300
EMBEDDED_FIRST_CHARS = 160
EMBEDDED_LAST_CHARS = 100
_LONG_FENCE_LINES = 30
_ROUNDS = 8  # what is taken away can bare another mark: once in what agents send, often in what is made to harm
_MOST_MARKS = 1000  # of one text are read; what follows is left out
_LOOK_BACK_CHARS = 64
_NONE = -1


class _Kind(Enum):
    NOISE = "noise"
    HUMAN = "human"
    ASIDE = "aside"
    REQUEST = "request"
    RETRIEVAL = "retrieval"
    REST = "rest"


class _Mark(NamedTuple):
    start: int
    end: int
    kind: _Kind
    name: str = ""
    closes: bool = False
    loose: bool = False


_KINDS = {
    **dict.fromkeys(NOISE, (_Kind.NOISE, False)),
    **dict.fromkeys(LOOSE_NOISE, (_Kind.NOISE, True)),
    **dict.fromkeys(HUMAN, (_Kind.HUMAN, False)),
    **dict.fromkeys(LOOSE_HUMAN, (_Kind.HUMAN, True)),
}
# By their first letter: twice as fast.
_NAMES = "|".join(
    f"{letter}(?:{'|'.join(name[1:] for name in names)})"
    for letter, names in groupby(sorted(_KINDS), lambda name: name[0])
)
# A name in quotes or backticks is spoken of, not used.
_TAG = re.compile(
    rf"""<(?:(?<![`"']<)(?P<opens>{_NAMES})(?:[ \t][^<>\n]{{0,500}})?>"""
    rf"""|/(?P<closes>{_NAMES})(?:[ \t][^<>\n]{{0,500}})?>(?![`"']))"""
)
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([^`\n]*)$", re.MULTILINE)
_INFO_SEPARATORS = re.compile(r"[\s:=,()\"']+")
_FILE_NAME = re.compile(r"(?:[\w@-]+\.)+[A-Za-z]\w{0,7}")


def clipped(text: str) -> str:
    """What is read of a long text: a task is told at its beginning or its end."""
    if len(text) <= FIRST_CHARS + LAST_CHARS:
        return text
    return f"{text[:FIRST_CHARS]}\n{text[-LAST_CHARS:]}"


def embedded(text: str) -> str:
    """What of a clipped text is made a vector: fewer words, since each costs time."""
    if len(text) <= EMBEDDED_FIRST_CHARS + EMBEDDED_LAST_CHARS:
        return text
    return f"{text[:EMBEDDED_FIRST_CHARS]}\n{text[-EMBEDDED_LAST_CHARS:]}"


def human_text(text: str) -> str:
    """What a human wrote in one user message; "" if it is nothing but noise."""
    return _human(text, agent=False)


def human_parts(parts: Sequence[str]) -> str:
    """The same of a message that has several texts: an agent puts each of its additions into one of its own."""
    if len(parts) == 1:
        return human_text(parts[0])
    whole: list[str] = []
    for part in map(str.strip, parts):
        if whole and (header := RESULT.match(whole[-1])) and header.end() == len(whole[-1]):
            whole[-1] += f"\n{part}"
        else:
            whole.append(part)
    agent = any("<environment_details>" in part for part in whole)
    return "\n".join(filter(None, (_human(part, agent=agent) for part in whole)))


def without_torn_end(text: str) -> str:
    """The beginning of a longer text, without noise that would close in what is cut away."""
    marks = _marks(text)
    for mark, partner in zip(marks, _partners(marks), strict=True):
        if mark.kind is _Kind.NOISE and not mark.closes and partner == _NONE:
            return text[: mark.start]
    return text


def without_torn_beginning(text: str) -> str:
    """The end of a longer text, without noise and code that began in what is cut away."""
    marks = _marks(text)
    start, wrapper = 0, ""
    for mark, partner in zip(marks, _partners(marks), strict=True):
        if not mark.closes or partner != _NONE:
            continue
        if mark.kind is _Kind.NOISE:
            start, wrapper = mark.end, ""
        elif not mark.loose:
            wrapper = wrapper or f"<{mark.name}>\n"
    fences = _fences(text, start)
    if len(fences) % 2 and not fences[0][2].strip():
        start = fences[0].end()
    return wrapper + text[start:]


def _human(text: str, *, agent: bool) -> str:
    """`agent`: an agent is known to have sent it, so that what a human might have written too is the agent's."""
    text = text.strip()
    agent = agent or text.startswith(OPENINGS) or RESULT.match(text) is not None
    for _ in range(_ROUNDS):
        marks = _marks(text)
        left = _without_pasted_files(_sifted(text, marks, agent=agent) if marks else text)
        if left.startswith(BACKGROUND) and any(mark.name == "chat_history" for mark in marks):
            return ""
        if left == text:
            break
        text = left
    return "" if text.startswith(OPENINGS) or RESULT.match(text) or TITLE.match(text) else text


def _marks(text: str) -> list[_Mark]:
    """The agents' marks in their order, without those that must begin a line and do not."""
    found = [_mark_of(tag) for tag in islice(_TAG.finditer(text), _MOST_MARKS)] if "<" in text else []
    if any(hint in text for hint in ASIDE_HINTS):
        asides = islice(ASIDES.finditer(text), _MOST_MARKS)
        found += [_Mark(*aside.span(), _Kind(aside.lastgroup)) for aside in asides]
        found.sort(key=lambda mark: mark.start)
    if len(found) >= _MOST_MARKS:
        end = found[_MOST_MARKS - 1].end
        found[_MOST_MARKS:] = [_Mark(end, end, _Kind.REST)]
    marks: list[_Mark] = []
    end = 0
    for mark in found:
        anywhere = mark.closes or not (mark.loose or mark.kind is _Kind.HUMAN)
        if anywhere or _begins_line(text, mark.start, end):
            marks.append(mark)
            end = mark.end
    return marks


def _mark_of(tag: re.Match[str]) -> _Mark:
    name = tag["opens"] or tag["closes"]
    kind, loose = _KINDS[name]
    return _Mark(*tag.span(), kind, name, closes=tag["opens"] is None, loose=loose)


def _begins_line(text: str, start: int, last_end: int) -> bool:
    before = text[max(last_end, start - _LOOK_BACK_CHARS) : start].rstrip(" \t\r")
    return not before or before.endswith("\n")


def _partners(marks: Sequence[_Mark]) -> list[int]:
    """For each mark the index of that which closes it, or that it closes.

    What is opened twice and closed once is mentioned within itself: the end of the second is that of the first.
    """
    partners = [_NONE] * len(marks)
    opened: dict[str, list[int]] = {}
    for at, mark in enumerate(marks):
        if not mark.closes:
            opened.setdefault(mark.name, []).append(at)
        elif before := opened.get(mark.name):
            partners[at] = before.pop()
            partners[partners[at]] = at
    following: dict[str, int] = {}
    last_context = _NONE
    for at in reversed(range(len(marks))):
        mark = marks[at]
        if mark.closes:
            last_context = at if last_context == _NONE and mark.name == "context" else last_context
        elif mark.kind is _Kind.RETRIEVAL:
            partners[at] = last_context
        else:
            if partners[at] == _NONE and mark.name in following:
                partners[at] = partners[following[mark.name]]
            following[mark.name] = at
    return partners


def _sifted(text: str, marks: Sequence[_Mark], *, agent: bool) -> str:
    """The text without noise, or what its wrappers hold of the human's words."""
    partners = _partners(marks)
    inside, outside = _walk(text, marks, partners, loose=True)
    if outside and not agent and all(mark.loose for mark in marks):
        inside, outside = _walk(text, marks, partners, loose=False)
    return outside if inside is None else inside


def _walk(text: str, marks: Sequence[_Mark], partners: Sequence[int], *, loose: bool) -> tuple[str | None, str]:
    """What stands inside of the human's wrappers (None: there are none) and outside, noise left out.

    `loose`: whether wrappers count that a human may have written.
    """
    inside: list[str] = []
    outside: list[str] = []
    here, until, wrapped = outside, _NONE, False
    position = 0
    resumptions = _resumptions(text, marks)
    for at, (mark, partner) in enumerate(zip(marks, partners, strict=True)):
        literal = mark.loose and (partner == _NONE or (mark.kind is _Kind.HUMAN and not loose))
        if mark.start >= position and not literal:
            here.append(text[position : mark.start])
            position = mark.end
            if mark.kind is _Kind.HUMAN:
                if not mark.closes and here is outside:
                    here, until, wrapped = inside, partner, True
            elif mark.kind is _Kind.REQUEST:
                outside.clear()
            elif mark.kind is not _Kind.ASIDE and not mark.closes:
                position = resumptions[at] if partner == _NONE else marks[partner].end
        if at == until:
            here = outside
    here.append(text[position:])
    return (_joined(inside) if wrapped else None), _joined(outside)


def _resumptions(text: str, marks: Sequence[_Mark]) -> list[int]:
    """For each mark where unclosed noise that begins there ends: where a wrapper opens, or with the text."""
    places = [len(text)] * len(marks)
    place = len(text)
    for at in reversed(range(len(marks))):
        places[at] = place
        mark = marks[at]
        if mark.kind is _Kind.HUMAN and not mark.closes and not mark.loose:
            place = mark.start
    return places


def _joined(pieces: Sequence[str]) -> str:
    return "\n".join(filter(None, map(str.strip, pieces)))


def _without_pasted_files(text: str) -> str:
    """Of a fenced file its first line stays: it tells that there is code, and which."""
    pieces: list[str] = []
    position = 0
    opening: re.Match[str] | None = None
    for fence in _fences(text):
        if opening is None:
            opening = fence
        elif fence[1].startswith(opening[1]) and not fence[2].strip():
            if (first := _first_of_pasted(opening, text[opening.end() : fence.start()])) is not None:
                pieces += (text[position : opening.end()], "\n", first, "\n")
                position = fence.start()
            opening = None
    if opening is not None and (first := _first_of_pasted(opening, text[opening.end() :])) is not None:
        pieces += (text[position : opening.end()], "\n", first)
        position = len(text)
    if not pieces:
        return text
    pieces.append(text[position:])
    return "".join(pieces).strip()


def _fences(text: str, start: int = 0) -> list[re.Match[str]]:
    if "```" not in text and "~~~" not in text:
        return []
    return list(_FENCE.finditer(text, start))


def _first_of_pasted(opening: re.Match[str], body: str) -> str | None:
    """The first line of what a fence holds if it is a pasted file of more lines."""
    first, newline, _ = body.strip().partition("\n")
    if newline and (body.count("\n") > _LONG_FENCE_LINES + 1 or _names_file(opening[2])):
        return first
    return None


def _names_file(info: str) -> bool:
    words = _INFO_SEPARATORS.split(info[:300])
    return any("/" in word or "\\" in word or _FILE_NAME.fullmatch(word) is not None for word in words)
