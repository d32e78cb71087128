"""The human's turns of a conversation, read from a request's `messages`: no more of them than a router needs.

Never raises for what `dialects.members` lets pass: what has another form holds no words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from routing.semantic.turn import human_parts, without_torn_beginning, without_torn_end

EDGE_CHARS = 32 * 1024  # of a message's text, its first and its last so many are looked at; of the system's, its first
LOOK_BYTES = 128 * 1024  # of messages: so much from the end back to the last turn, and as much from the beginning on
_INSTRUCTING = ("system", "developer")


@dataclass(frozen=True, slots=True)
class HumanTurn:
    """Texts are the human's own words, not clipped; "" where there are none."""

    text: str = ""  # of the last turn
    number: int = 0  # of the last turn, from 1; 0: no human has spoken. May be too high in a very long conversation
    first: str = ""  # of the first turn
    system: str = ""  # of all instructions before it, to tell conversations apart


class _Message(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct, gc=False):
    type: Any = None
    text: Any = None


_MESSAGES = msgspec.json.Decoder(list[_Message])
_TEXT = msgspec.json.Decoder(str)
_PARTS = msgspec.json.Decoder(list[_Part])
_RAW_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_PART = msgspec.json.Decoder(_Part)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def last_human_turn(messages: bytes) -> HumanTurn:
    """Of `messages` as OpenAI has them."""
    try:
        conversation = _MESSAGES.decode(messages)
    except _UNREADABLE:
        return HumanTurn()
    said = [message.content for message in conversation if message.role == "user"]
    text, before = "", len(said)
    for text in _heard(reversed(said)):
        before -= 1
        if text:
            break
    heard = list(_heard(said[:before]))
    turns = [words for words in heard if words]
    number = len(turns)
    if text:
        number += before - len(heard) + 1  # what was too far to be looked at counts as turns
        turns.append(text)
    if not turns:
        return HumanTurn(system=_system(conversation))
    return HumanTurn(turns[-1], number, turns[0], _system(conversation))


def _heard(contents: Iterable[msgspec.Raw]) -> Iterator[str]:
    """The human's words in each, until enough has been looked at."""
    left = LOOK_BYTES
    for content in contents:
        if left <= 0:
            return
        left -= len(memoryview(content))
        yield human_parts(_edges(_texts(content)))


def _system(conversation: Sequence[_Message]) -> str:
    texts: list[str] = []
    for message in conversation:
        if message.role not in _INSTRUCTING:
            break
        texts += _texts(message.content)
    return "\n".join(_beginning(texts))[:EDGE_CHARS]


def _texts(content: msgspec.Raw) -> list[str]:
    kind = bytes(memoryview(content)[:1])
    try:
        if kind == b'"':
            return [_TEXT.decode(content)]
        if kind == b"[":
            return [part.text for part in _parts(content) if part.type == "text" and isinstance(part.text, str)]
    except _UNREADABLE:
        pass
    return []


def _parts(content: msgspec.Raw) -> Iterable[_Part]:
    try:
        return _PARTS.decode(content)
    except msgspec.ValidationError:  # a part is no object; the others may be
        return [_PART.decode(raw) for raw in _RAW_PARTS.decode(content) if bytes(memoryview(raw)[:1]) == b"{"]


def _edges(texts: list[str]) -> list[str]:
    """Texts of no more than `EDGE_CHARS` at the beginning and as many at the end."""
    if sum(map(len, texts)) <= 2 * EDGE_CHARS:
        return texts
    *whole, last = _beginning(texts)
    return [*whole, without_torn_end(last), *_end(texts)]


def _beginning(texts: Iterable[str]) -> list[str]:
    kept: list[str] = []
    left = EDGE_CHARS
    for text in texts:
        if left <= 0:
            break
        kept.append(text[:left])
        left -= len(text)
    return kept


def _end(texts: Sequence[str]) -> list[str]:
    kept: list[str] = []
    left = EDGE_CHARS
    for text in reversed(texts):
        if left <= 0:
            break
        kept.append(text if len(text) <= left else without_torn_beginning(text[-left:]))
        left -= len(text)
    return kept[::-1]
