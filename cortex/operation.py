"""What a client wants done: a chat or embeddings. The attempt loop runs either; here is all in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from cortex.chat import ChatRequest
from cortex.dialects import openai_embeddings
from cortex.dialects.dialect import Dialect, Provenance
from cortex.dialects.openai import OpenAIDialect
from cortex.embeddings import EmbeddingsRequest, Fresh, Known, join, merge
from cortex.errors import ClientError
from cortex.providers.codec import Codec, Encoded, Model
from cortex.relay import Relay, Tally, relay_for, stream_as_whole, whole_answer, whole_as_stream
from routing.plan import Demand

Answered: TypeAlias = tuple[Encoded, bytes]  # a call, and the whole body of its answer

# Members that say how an answer is sent, whose it is, or what was told apart from them: nothing of what it is to be.
_BESIDES = ("stream", "stream_options", "user", "metadata", "cache", "model")
_BESIDES_INPUT = ("input", "encoding_format", "user", "cache", "model")
_NUMBER = msgspec.json.Decoder(float)


class Operation(Protocol):
    @property
    def kind(self) -> str: ...

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

    @property
    def cache(self) -> msgspec.Raw | None:
        """What the body says of the cache."""

    @property
    def body(self) -> bytes:
        """The request's, as it came."""

    @property
    def besides(self) -> Sequence[str]:
        """Members of the body that cannot make the answer another, or are told by the other properties."""

    @property
    def digests(self) -> dict[object, bytes]:
        """That the cache has made of it."""

    @property
    def form(self) -> object:
        """Requests of the same form get the same body for the same answer. None: each body is one request's own."""

    def temperature(self, unnamed: float) -> float: ...

    def encode(self, codec: Codec, model: Model) -> Encoded: ...

    def relay(self, codec: Codec, call: Encoded, provenance: Provenance) -> Relay:
        """For a streamed answer."""

    def answer(self, codec: Codec, answered: Sequence[Answered], provenance: Provenance) -> tuple[bytes, Tally]:
        """What the client gets of whole upstream bodies: JSON, or if it asked for a stream, that. Raises Fault."""

    def replay(self, codec: Codec, call: Encoded, data: bytes, provenance: Provenance) -> bytes:
        """What the client gets of a stream that has come whole."""

    def error(self, error: ClientError, request_id: str) -> bytes: ...

    def stream_error(self, error: ClientError, request_id: str) -> bytes: ...


class Chat:
    kind = "chat"
    besides = _BESIDES
    __slots__ = (
        "body",
        "demand",
        "dialect",
        "digests",
        "keepalive",
        "model",
        "provider",
        "request",
        "speaks",
        "stream",
    )

    def __init__(self, request: ChatRequest, speaks: Dialect, demand: Demand, body: bytes = b"") -> None:
        self.request = request
        self.body = body
        self.digests: dict[object, bytes] = {}  # that the cache has made of it
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

    @property
    def cache(self) -> msgspec.Raw | None:
        return self.request.cache

    @property
    def form(self) -> object:
        return self.speaks.form(self.request)

    def temperature(self, unnamed: float) -> float:
        named = self.request.members.get("temperature")
        try:
            return unnamed if named is None else _NUMBER.decode(named)
        except msgspec.ValidationError:
            return unnamed  # null, or what the upstream is going to refuse

    def encode(self, codec: Codec, model: Model) -> Encoded:
        return codec.encode_chat(self.request, model)

    def relay(self, codec: Codec, call: Encoded, provenance: Provenance) -> Relay:
        return relay_for(codec, call, self.speaks, self.request, provenance)

    def answer(self, codec: Codec, answered: Sequence[Answered], provenance: Provenance) -> tuple[bytes, Tally]:
        ((call, body),) = answered
        render = whole_as_stream if self.request.stream else whole_answer
        return render(codec, call, body, self.speaks, self.request, provenance)

    def replay(self, codec: Codec, call: Encoded, data: bytes, provenance: Provenance) -> bytes:
        if not self.stream:
            return stream_as_whole(codec, call, data, self.speaks, self.request, provenance)
        relay = self.relay(codec, call, provenance)
        body = relay.feed(data)
        return body if relay.whole else body + relay.end()

    def error(self, error: ClientError, request_id: str) -> bytes:
        return self.speaks.render_error(error, request_id)

    def stream_error(self, error: ClientError, request_id: str) -> bytes:
        return self.speaks.render_stream_error(error, request_id)


class Embed:
    """`known` are vectors of some of the items, by the provider/model that made them, and by the items' places: where
    that model is asked, it is not asked for these again."""

    __slots__ = ("_asked", "body", "demand", "digests", "fresh", "known", "model", "request")

    kind = "embeddings"
    besides = _BESIDES_INPUT
    dialect = "openai_embeddings"
    provider: str | None = None
    stream = False
    keepalive = b""
    messages: bytes | None = None
    form: object = None

    def __init__(self, request: EmbeddingsRequest, demand: Demand, body: bytes = b"") -> None:
        self.request = request
        self.body = body
        self.demand = demand
        self.model = request.model
        self.digests: dict[object, bytes] = {}
        self.known: Mapping[str, Mapping[int, Known]] = {}
        self.fresh: Fresh | None = None  # once it is answered
        self._asked: Sequence[int] = ()  # the places that the last call asked for

    @property
    def cache(self) -> msgspec.Raw | None:
        return self.request.cache

    def temperature(self, unnamed: float) -> float:
        return 0.0

    def encode(self, codec: Codec, model: Model) -> Encoded:
        """More texts than one call takes become a chain of calls."""
        known = self.known.get(model.target, {})
        self._asked = [place for place in range(len(self.request.items)) if place not in known]
        parts = self.request.only(self._asked).split(codec.max_texts)
        *earlier, call = [codec.encode_embeddings(part, model) for part in parts]
        for each in reversed(earlier):
            call = msgspec.structs.replace(each, then=call)
        return call

    def relay(self, codec: Codec, call: Encoded, provenance: Provenance) -> Relay:
        raise NotImplementedError("embeddings are never streamed")

    def replay(self, codec: Codec, call: Encoded, data: bytes, provenance: Provenance) -> bytes:
        raise NotImplementedError("embeddings are never streamed")

    def answer(self, codec: Codec, answered: Sequence[Answered], provenance: Provenance) -> tuple[bytes, Tally]:
        fresh = join([codec.decode_embeddings(call, body) for call, body in answered])
        self.fresh = Fresh(self._asked, fresh)
        known = self.known.get(provenance.model, {})
        whole = merge(self.request, self._asked, fresh, known) if known else fresh
        return openai_embeddings.render(whole, self.request), Tally(model=fresh.model, usage=fresh.usage)

    def error(self, error: ClientError, request_id: str) -> bytes:
        return OpenAIDialect().render_error(error, request_id)

    def stream_error(self, error: ClientError, request_id: str) -> bytes:
        return OpenAIDialect().render_stream_error(error, request_id)
