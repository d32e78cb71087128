"""The interface of a provider's codec: how one upstream speaks.

A codec is pure: no I/O, no clock. It turns a request into an `Encoded` call, the upstream's bytes into events, and its
error answers into faults. What a stream needs to remember lives in the decoder that the codec makes for one attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from cortex.chat import ChatRequest, Event
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault
from cortex.sse import SseEvent

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a provider, as configured. None: unknown."""

    name: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    target: str = ""  # provider/model


class Encoded(msgspec.Struct, frozen=True):
    """An upstream call but for host and key."""

    path: str  # below the provider's base_url, query included
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = NO_HEADERS
    dropped: tuple[str, ...] = ()  # request members that this provider cannot express
    forwards: str | None = None  # the client dialect whose bytes the answer's are (`"openai"`); None: rendered anew
    memo: Any = None  # what the decoder of this very call must know (renamed tools, say)
    then: Encoded | None = None  # the call that goes on where this one ends: two of one attempt


class StreamDecoder(Protocol):
    """Bytes of one streamed answer → events. Any chunking gives the same events."""

    def feed(self, data: bytes) -> list[Event]:
        """Decode what these bytes complete. A `Broken` or `End` event is the last that will come."""

    def end(self) -> list[Event]:
        """The body has ended. Gives `Broken` unless the answer is whole."""


class FrameDecoder(StreamDecoder, Protocol):
    """Of calls whose answers may be forwarded."""

    def take(self, frame: SseEvent) -> list[Event]:
        """As `feed`, for one frame that somebody else has cut out."""


class Codec(Protocol):
    """How one type of provider speaks. Stateless; one instance a configured provider."""

    @property
    def max_texts(self) -> int | None:
        """How many texts one embeddings call takes. None: it has no such limit, or tells it itself."""

    def auth(self, key: str | None) -> dict[str, str]:
        """The headers that carry the key; empty without one."""

    def encode_chat(self, request: ChatRequest, model: Model) -> Encoded:
        """Raises Fault(UNSUPPORTED or BAD_REQUEST) if this provider cannot express the request."""

    def chat_decoder(self, call: Encoded) -> StreamDecoder:
        """For an answer that is streamed: a `FrameDecoder` if the call `forwards`."""

    def decode_chat(self, call: Encoded, body: bytes) -> list[Event]:
        """A whole JSON answer as events, ending with `End`. Raises Fault if it is not one."""

    def encode_embeddings(self, request: EmbeddingsRequest, model: Model) -> Encoded:
        """Raises Fault(UNSUPPORTED or BAD_REQUEST) if this provider cannot express the request."""

    def decode_embeddings(self, call: Encoded, body: bytes) -> Embeddings:
        """Raises Fault if it is not an embeddings answer."""

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """An answer with an error status → its fault. Header names are lower case. Raises nothing."""

    def probe(self) -> Encoded:
        """A call that costs nothing and shows that the provider answers."""
