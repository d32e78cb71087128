"""The vocabulary of an embeddings call, in OpenAI's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TypeAlias

import msgspec

from cortex.chat import Json, Usage
from cortex.errors import Fault, FaultKind

Item: TypeAlias = str | list[int]  # a text, or its token ids
MAX_TEXTS = 2048  # of a request that is split: as many as OpenAI takes in one call


@dataclass(frozen=True)
class EmbeddingsRequest:
    """`members` keeps every top-level member with its value's bytes untouched."""

    members: Mapping[str, msgspec.Raw]
    model: str | None
    base64: bool  # whether the client asked for base64 instead of numbers
    cache: msgspec.Raw | None = None  # what it says of the gateway's cache, as it came

    @cached_property
    def body(self) -> dict[str, Json]:
        return {name: msgspec.json.decode(raw) for name, raw in self.members.items()}

    @cached_property
    def prompt_tokens(self) -> int:
        """An estimate, four bytes a token."""
        return len(bytes(self.members["input"])) // 4

    @cached_property
    def items(self) -> Sequence[Item]:
        """What is to be embedded, one vector each."""
        given = self.body["input"]
        one = isinstance(given, str) or isinstance(given[0], int)
        return [given] if one else given

    def only(self, places: Sequence[int]) -> EmbeddingsRequest:
        """A request for these of the items, in this order."""
        if len(places) == len(self.items):
            return self
        return replace(self, members={**self.members, "input": _raw([self.items[place] for place in places])})

    def split(self, most: int | None) -> Sequence[EmbeddingsRequest]:
        """Requests of at most this many texts each, in their order. One text in token ids stays one.

        Raises Fault(UNSUPPORTED) for more than `MAX_TEXTS`.
        """
        if most is None:
            return [self]
        texts = self.body["input"]
        if isinstance(texts, str) or len(texts) <= most or isinstance(texts[0], int):
            return [self]
        if len(texts) > MAX_TEXTS:
            message = f"this provider takes {most} texts at once, and no more than {MAX_TEXTS} are put to it in parts"
            raise Fault(FaultKind.UNSUPPORTED, message, status=400, code="unsupported_parameter", param="input")
        parts = [texts[start : start + most] for start in range(0, len(texts), most)]
        return [replace(self, members={**self.members, "input": _raw(part)}) for part in parts]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector an input, in the order of the inputs: numbers, or the upstream's base64 of little-endian float32."""

    model: str
    vectors: Sequence[Sequence[float] | str]
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Known:
    """A vector that was made before, and about how many tokens its text had."""

    vector: Sequence[float] | str
    tokens: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """What an upstream gave for the items at these places."""

    places: Sequence[int]
    embeddings: Embeddings

    def tokens(self, request: EmbeddingsRequest) -> Sequence[int]:
        """Each item's part of what the upstream counted, by its length; of an estimate, where it told nothing."""
        lengths = [len(request.items[place]) for place in self.places]
        usage, whole = self.embeddings.usage, sum(lengths) or 1
        counted = request.prompt_tokens if usage is None else usage.prompt_tokens
        ends = [counted * part // whole for part in accumulate(lengths, initial=0)]
        return [end - start for start, end in pairwise(ends)]


def merge(
    request: EmbeddingsRequest, places: Sequence[int], fresh: Embeddings, known: Mapping[int, Known]
) -> Embeddings:
    """Fresh vectors, of the items at `places`, and those known of all others, in the order of the items."""
    vectors = {**{place: each.vector for place, each in known.items()}, **dict(zip(places, fresh.vectors, strict=True))}
    usage = fresh.usage
    if usage is not None:
        usage = Usage(usage.prompt_tokens + sum(each.tokens for each in known.values()), usage.completion_tokens)
    return Embeddings(fresh.model, [vectors[place] for place in range(len(request.items))], usage)


def join(parts: Sequence[Embeddings]) -> Embeddings:
    """The answer to a request of the answers to its parts. It has usage only if every part tells its own."""
    if len(parts) == 1:
        return parts[0]
    used = [part.usage for part in parts if part.usage is not None]
    total = Usage(sum(each.prompt_tokens for each in used), sum(each.completion_tokens for each in used))
    vectors = [vector for part in parts for vector in part.vectors]
    return Embeddings(parts[0].model, vectors, total if len(used) == len(parts) else None)


def _raw(value: Json) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
