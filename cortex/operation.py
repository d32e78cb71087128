"""What a client wants done: a chat or embeddings. The attempt loop runs either; here is all in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from msgspec import structs

from cortex.chat import ChatRequest
from cortex.dialects import openai_embeddings
from cortex.dialects.dialect import Dialect, Provenance
from cortex.dialects.openai import OpenAIDialect
from cortex.embeddings import EmbeddingsRequest, join
from cortex.errors import ClientError
from cortex.providers.codec import Codec, Encoded, Model
from cortex.relay import Relay, Tally, relay_for, whole_answer, whole_as_stream
from routing.plan import Demand

Answered: TypeAlias = tuple[Encoded, bytes]  # a call, and the whole body of its answer


class Operation(Protocol):
    @property
    def dialect(self) -> str: ...

    @property
    def model(self) -> str | None:
        """Asked for."""

    @property
    def provider(self) -> str | None:
        """Pinned."""

    @property
    def stream(self) -> bool: ...

    @property
    def demand(self) -> Demand: ...

    @property
    def messages(self) -> bytes | None:
        """Of a chat, as they came."""

    @property
    def keepalive(self) -> bytes:
        """A frame that says nothing, for a stream that is silent."""

    def encode(self, codec: Codec, model: Model) -> Encoded: ...

    def relay(self, codec: Codec, call: Encoded, provenance: Provenance) -> Relay:
        """For a streamed answer."""

    def answer(self, codec: Codec, answered: Sequence[Answered], provenance: Provenance) -> tuple[bytes, Tally]:
        """What the client gets of whole upstream bodies: JSON, or if it asked for a stream, that. Raises Fault."""

    def error(self, error: ClientError, request_id: str) -> bytes: ...

    def stream_error(self, error: ClientError, request_id: str) -> bytes: ...


class Chat:
    __slots__ = ("demand", "dialect", "keepalive", "model", "provider", "request", "speaks", "stream")

    def __init__(self, request: ChatRequest, speaks: Dialect, demand: Demand) -> None:
        self.request = request
        self.speaks = speaks
        self.demand = demand
        self.dialect = speaks.name
        self.model = request.model
        self.provider = request.provider
        self.stream = request.stream
        self.keepalive = speaks.keepalive

    @property
    def messages(self) -> bytes | None:
        messages = self.request.members.get("messages")
        return None if messages is None else bytes(messages)

    def encode(self, codec: Codec, model: Model) -> Encoded:
        return codec.encode_chat(self.request, model)

    def relay(self, codec: Codec, call: Encoded, provenance: Provenance) -> Relay:
        return relay_for(codec, call, self.speaks, self.request, provenance)

    def answer(self, codec: Codec, answered: Sequence[Answered], provenance: Provenance) -> tuple[bytes, Tally]:
        ((call, body),) = answered
        render = whole_as_stream if self.request.stream else whole_answer
        return render(codec, call, body, self.speaks, self.request, provenance)

    def error(self, error: ClientError, request_id: str) -> bytes:
        return self.speaks.render_error(error, request_id)

    def stream_error(self, error: ClientError, request_id: str) -> bytes:
        return self.speaks.render_stream_error(error, request_id)


@dataclass(frozen=True, slots=True)
class Embed:
    request: EmbeddingsRequest
    demand: Demand
    dialect: str = "openai_embeddings"
    provider: str | None = None
    stream: bool = False
    keepalive: bytes = b""
    messages: bytes | None = None

    @property
    def model(self) -> str | None:
        return self.request.model

    def encode(self, codec: Codec, model: Model) -> Encoded:
        """More texts than one call takes become a chain of calls."""
        parts = self.request.split(codec.max_texts)
        *earlier, call = [codec.encode_embeddings(part, model) for part in parts]
        for each in reversed(earlier):
            call = structs.replace(each, then=call)
        return call

    def relay(self, codec: Codec, call: Encoded, provenance: Provenance) -> Relay:
        raise NotImplementedError("embeddings are never streamed")

    def answer(self, codec: Codec, answered: Sequence[Answered], provenance: Provenance) -> tuple[bytes, Tally]:
        embeddings = join([codec.decode_embeddings(call, body) for call, body in answered])
        tally = Tally(model=embeddings.model, usage=embeddings.usage)
        return openai_embeddings.render(embeddings, self.request), tally

    def error(self, error: ClientError, request_id: str) -> bytes:
        return OpenAIDialect().render_error(error, request_id)

    def stream_error(self, error: ClientError, request_id: str) -> bytes:
        return OpenAIDialect().render_stream_error(error, request_id)
