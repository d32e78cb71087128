"""Reads a request's JSON object strictly, but no deeper than it must: values stay the bytes that came.

Everything that is wrong with the body becomes Fault(BAD_REQUEST) saying where. Nothing here knows an endpoint's
members but those that all of them share.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, TypeVar

import msgspec

from cortex.errors import Fault, bad_request

MAX_DEPTH = 64
_LONG_BYTES = 4096
_TELLING_BYTES = 64
_LONG_PART = 8  # a text is long that makes up so large a part of the body: there are no more than so many

T = TypeVar("T")


class _Message(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = msgspec.Raw()


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class ChatHead(msgspec.Struct, gc=False):
    """What Cortex itself must know of a chat request."""

    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: Any = None
    max_tokens: Any = None

    @property
    def has_parts(self) -> bool:
        """Whether the content of any message is a list: only there can an image be."""
        return any(bytes(memoryview(message.content)[:1]) == b"[" for message in self.messages)

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage is True

    @property
    def output_tokens(self) -> int | None:
        """The limit that the client sets. One that is no count is the upstream's to refuse."""
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return limit if type(limit) is int and limit > 0 else None


_HEAD = msgspec.json.Decoder(ChatHead)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGES = msgspec.json.Decoder(list[_Message])
_TEXT = msgspec.json.Decoder(str | None)
_FLAG = msgspec.json.Decoder(bool | None)
_STREAM_OPTIONS = msgspec.json.Decoder(_StreamOptions | None)

# Where the request goes and with which key is the configuration's to say: a caller's host would be asked with our
# network position.
_REFUSED = frozenset({"api_base", "base_url", "api_key"})


def read_members(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level members in their order, values byte for byte. Raises Fault(BAD_REQUEST)."""
    return _members(body, ())


def _members(body: bytes, messages: Sequence[_Message]) -> dict[str, msgspec.Raw]:
    _check_depth(body, messages)
    try:
        if not body.isascii():
            body.decode()
        members = _OBJECT.decode(body)
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is not UTF-8: {error.reason} at byte {error.start}", code="invalid_json") from None
    except msgspec.ValidationError:
        raise bad_request("the body must be a JSON object", code="invalid_json") from None
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not _REFUSED.isdisjoint(members):
        name = next(name for name in members if name in _REFUSED)
        raise bad_request(f"`{name}` cannot be set by a request", param=name)
    return members


def read_chat(body: bytes) -> tuple[dict[str, msgspec.Raw], ChatHead]:
    """`read_members` of a chat request, and what was read of it. Raises Fault(BAD_REQUEST)."""
    try:
        head = _HEAD.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        _find_fault(read_members(body))
        raise _misplaced("", error) from None  # a member that is given twice, and right the second time
    return _members(body, head.messages), head


def _find_fault(members: dict[str, msgspec.Raw]) -> None:
    """Raise what is wrong with the first member that is wrong."""
    if "messages" not in members:
        raise bad_request("`messages` is missing", param="messages")
    try:
        messages = _MESSAGES.decode(members["messages"])
    except msgspec.ValidationError as error:
        raise _misplaced("messages", error) from None
    if not messages:
        raise bad_request("`messages` is empty", param="messages")
    read_text(members, "model")
    read(members, "stream", _FLAG, "a boolean")
    read(members, "stream_options", _STREAM_OPTIONS, "an object whose `include_usage`, if it is there, is a boolean")


def read(members: dict[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[T], expected: str) -> T | None:
    """One member decoded; None if it is absent. Raises Fault(BAD_REQUEST): it must be `expected`."""
    value = members.get(name)
    if value is None:
        return None
    try:
        return decoder.decode(value)
    except msgspec.ValidationError:
        raise bad_request(f"`{name}` must be {expected}", param=name) from None


def read_text(members: dict[str, msgspec.Raw], name: str) -> str | None:
    return read(members, name, _TEXT, "a string")


def _misplaced(name: str, error: Exception) -> Fault:
    """`Expected `str`, got `int` - at `$[3].role`` → the same, in terms of the request."""
    problem, _, path = str(error).partition(" - at `$")
    param = (name + path.rstrip("`")).lstrip(".")
    return bad_request(f"`{param}`: {problem[:1].lower()}{problem[1:]}", param=param)


_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")  # what to delete to keep them
_STEP = [0] * 256
_STEP[ord("[")] = _STEP[ord("{")] = 1
_STEP[ord("]")] = _STEP[ord("}")] = -1


def _check_depth(body: bytes, messages: Sequence[_Message]) -> None:
    """Refuse what is nested too deep. No loop over the bytes is Python's; `messages` are the body's, if known."""
    if not _opens_more_often_than(MAX_DEPTH, body):
        return
    body = _without_long_texts(body, messages)
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2]).translate(None, _BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, outside_strings)), default=0) > MAX_DEPTH:
        raise bad_request(f"the body is nested deeper than {MAX_DEPTH} levels", code="invalid_json")


def _opens_more_often_than(limit: int, body: bytes) -> bool:
    """Whether there are so many opening brackets, those in strings included. Stops where the answer is known."""
    left = limit
    for bracket in (b"{", b"["):
        place = body.find(bracket)
        while place >= 0:
            left -= 1
            if left < 0:
                return True
            place = body.find(bracket, place + 1)
    return False


def _without_long_texts(body: bytes, messages: Sequence[_Message]) -> bytes:
    """Code in a prompt is full of brackets, but a string like any other. What is left is nested as deep, and short."""
    least = max(_LONG_BYTES, len(body) // _LONG_PART)
    for message in messages:
        if len(memoryview(message.content)) < least:
            continue
        text = bytes(message.content)
        if text.startswith(b'"'):
            start = body.find(text[:_TELLING_BYTES])
            if start >= 0 and body.startswith(text, start):
                body = body[:start] + b'""' + body[start + len(text) :]
    return body
