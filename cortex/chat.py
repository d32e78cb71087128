"""The vocabulary of a chat: the request as the client sent it, and the events that an answer is made of.

The canonical form is OpenAI's chat completion: clients speak it, most upstreams do, and every codec translates to and
from it. Events are msgspec structs because a translated stream builds one for each token.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import msgspec

from cortex.errors import Fault

Json: TypeAlias = Any  # a decoded JSON value
_T = TypeVar("_T")
_NOTHING: frozenset[str] = frozenset()
_IMAGE = b'"image_url"'
_PROMPT = ("messages", "tools", "input")


class ChatRequest:
    """One chat request. `members` keeps every top-level member with its value's bytes untouched.

    A codec that forwards joins `members` again; one that translates reads `body`, decoded at first use.
    """

    def __init__(
        self,
        members: Mapping[str, msgspec.Raw],
        *,
        model: str | None,
        stream: bool,
        include_usage: bool,
        provider: str | None = None,
        output_tokens: int | None = None,
        has_parts: bool = True,
        cache: msgspec.Raw | None = None,
    ) -> None:
        self.members = members
        self.model = model
        self.stream = stream
        self.include_usage = include_usage  # whether the client asked for usage in the stream
        self.provider = provider  # pinned by /api/chat
        self.output_tokens = output_tokens  # the most that the client wants; None: it named no limit
        self.cache = cache  # what it says of the gateway's cache, as it came
        self.has_parts = has_parts  # whether a message's content may be a list of parts, and so hold images

    @cached_property
    def body(self) -> dict[str, Json]:
        """The whole request as Python objects."""
        return {name: msgspec.json.decode(raw) for name, raw in self.members.items()}

    def needs(self) -> frozenset[str]:
        """What a model must be able to do for it: words of routing.demand.CAPABILITIES."""
        members, found = self.members, _NOTHING
        if (tools := members.get("tools")) is not None and _asks_for_tools(bytes(tools)):
            found |= {"tools"}
        if self.has_parts and (messages := members.get("messages")) is not None and _shows_images(bytes(messages)):
            found |= {"vision"}
        if (form := members.get("response_format")) is not None and _asks_for_schema(bytes(form)):
            found |= {"json_schema"}
        return found

    def prompt_tokens(self) -> int:
        """An estimate, four bytes a token, of messages and tools; data URLs count nothing."""
        size = 0
        for name in _PROMPT:
            if (raw := self.members.get(name)) is not None:
                size += _text_bytes(bytes(raw)) if self.has_parts else len(memoryview(raw))
        return size // 4


class _Typed(msgspec.Struct):
    type: str = ""


class _Content(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"null")


def _asks_for_tools(raw: bytes) -> bool:
    return raw.strip() not in (b"null", b"[]")


def _shows_images(raw: bytes) -> bool:
    """Quotes are escaped inside strings, so what is found is a string of its own; the parts tell whether it is one's
    type."""
    if _IMAGE not in raw:
        return False
    contents = [_decoded(message.content, list[_Typed]) for message in _decoded(raw, list[_Content]) or ()]
    return any(part.type == "image_url" for parts in contents for part in parts or ())


def _asks_for_schema(raw: bytes) -> bool:
    if b'"json_schema"' not in raw:
        return False
    asked = _decoded(raw, _Typed)
    return asked is not None and asked.type == "json_schema"


def _decoded(raw: bytes | msgspec.Raw, form: type[_T]) -> _T | None:
    """None: it has another form, which is for those to refuse who take the request."""
    try:
        return msgspec.json.decode(raw, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


_DATA_URL = b'"data:'


def _text_bytes(raw: bytes) -> int:
    size = len(raw)
    start = raw.find(_DATA_URL)
    while start >= 0:
        end = raw.find(b'"', start + 1)
        if end < 0:
            break
        size -= end - start
        start = raw.find(_DATA_URL, end)
    return size


class ToolCallDelta(msgspec.Struct, frozen=True):
    """A piece of one tool call. `id` and `name` come once, in the first piece.

    `extra_content` is what the upstream wants to see again with the call in the next turn, as OpenAI-shaped clients
    that know it keep it: `{"google": {"thought_signature": "…"}}`.
    """

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    extra_content: Json = None


class Delta(msgspec.Struct, frozen=True):
    """What one upstream frame adds to one choice."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    choice: int = 0
    logprobs: Json = None
    annotations: tuple[Json, ...] = ()  # as OpenAI has them: what the text cites

    @property
    def is_content(self) -> bool:
        """Whether this is something a client would miss: the point of no return."""
        return bool(self.content or self.reasoning or self.refusal or self.tool_calls)


class Start(msgspec.Struct, frozen=True):
    """What the upstream calls its answer. Comes first, once."""

    id: str
    model: str
    created: int
    extra: Json = None  # top-level members worth keeping, as system_fingerprint and service_tier


class Finish(msgspec.Struct, frozen=True, gc=False):
    """One choice is complete. `reason` is OpenAI's word: stop, length, tool_calls, content_filter."""

    reason: str
    choice: int = 0


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens under one definition: prompt includes cached, completion includes reasoning."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def as_json(self) -> dict[str, Json]:
        """In OpenAI's terms, with `estimated` where the upstream did not tell."""
        told: dict[str, Json] = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "cache_write_tokens": self.cache_write_tokens,
            },
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }
        if self.estimated:
            told["estimated"] = True
        return told


class End(msgspec.Struct, frozen=True, gc=False):
    """The upstream's terminal marker: the answer is whole."""


class Broken(msgspec.Struct, frozen=True):
    """The answer failed here; what came before it stands. Nothing follows."""

    fault: Fault


Event: TypeAlias = Start | Delta | Finish | Usage | End | Broken
