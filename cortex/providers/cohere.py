"""The codec of Cohere's own API, version 2: chat, streamed and whole, and embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cortex.chat import ChatRequest, Event
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind
from cortex.providers import faults
from cortex.providers.codec import Encoded, Model, StreamDecoder
from cortex.providers.cohere_request import encode_chat, encode_embeddings
from cortex.providers.cohere_stream import ROWS, CohereAnswer, read_usage
from cortex.providers.marked_stream import MarkedStreamDecoder


class CohereCodec:
    """Implements cortex.providers.codec.Codec."""

    max_texts: int | None = 96

    def auth(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def encode_chat(self, request: ChatRequest, model: Model) -> Encoded:
        return encode_chat(request, model)

    def chat_decoder(self, call: Encoded) -> StreamDecoder:
        return MarkedStreamDecoder(CohereAnswer(call.memo))

    def decode_chat(self, call: Encoded, body: bytes) -> list[Event]:
        return CohereAnswer(call.memo).take_whole(body)

    def encode_embeddings(self, request: EmbeddingsRequest, model: Model) -> Encoded:
        return encode_embeddings(request, model)

    def decode_embeddings(self, call: Encoded, body: bytes) -> Embeddings:
        try:
            answer = msgspec.json.decode(body, type=_EmbedAnswer)
        except faults.NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer holds no embeddings: {error}") from None
        vectors = answer.embeddings.float_
        if len(vectors) != call.memo:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent {len(vectors)} vectors for {call.memo} inputs")
        return Embeddings(_model_asked(call), vectors, read_usage(answer.meta))

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.classify(status, headers, body, rows=ROWS)

    def probe(self) -> Encoded:
        """Not the list of models: calls of a trial key are counted by the month."""
        return Encoded("/v1/check-api-key")


class _ByType(msgspec.Struct):
    float_: list[list[float]] = msgspec.field(default_factory=list, name="float")


class _EmbedAnswer(msgspec.Struct):
    embeddings: _ByType
    meta: object = None


class _Asked(msgspec.Struct):
    model: str = ""


def _model_asked(call: Encoded) -> str:
    """The answer does not name its model."""
    return msgspec.json.decode(call.body or b"{}", type=_Asked).model
