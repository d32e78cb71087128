"""The codec of Gemini's own API: generateContent, streamed and whole, and batchEmbedContents."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from cortex.chat import ChatRequest, Event
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind
from cortex.providers import gemini_faults
from cortex.providers.codec import Encoded, Model, StreamDecoder
from cortex.providers.faults import NOT_DECODABLE
from cortex.providers.gemini_request import VERSION, encode_chat, encode_embeddings, model_in
from cortex.providers.gemini_stream import GeminiAnswer, GeminiStreamDecoder, read_usage

_MAX_SLANT = 1e-3  # of a length from 1 that is rounding and no more


class GeminiCodec:
    """Implements cortex.providers.codec.Codec."""

    max_texts: int | None = 100

    def auth(self, key: str | None) -> dict[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def encode_chat(self, request: ChatRequest, model: Model) -> Encoded:
        return encode_chat(request, model)

    def chat_decoder(self, call: Encoded) -> StreamDecoder:
        return GeminiStreamDecoder()

    def decode_chat(self, call: Encoded, body: bytes) -> list[Event]:
        answer = GeminiAnswer()
        events: list[Event] = []
        answer.take(body, events)
        if not answer.ended:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has no candidate that finished")
        answer.finish(events)
        return events

    def encode_embeddings(self, request: EmbeddingsRequest, model: Model) -> Encoded:
        return encode_embeddings(request, model)

    def decode_embeddings(self, call: Encoded, body: bytes) -> Embeddings:
        try:
            answer = msgspec.json.decode(body, type=_EmbedAnswer)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer holds no embeddings: {error}") from None
        if answer.error is not None:
            raise gemini_faults.classify_error(answer.error)
        if len(answer.embeddings) != call.memo:
            got = len(answer.embeddings)
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent {got} vectors for {call.memo} inputs")
        vectors = [_of_length_one(row.values) for row in answer.embeddings]
        return Embeddings(model_in(call.path), vectors, read_usage(answer.usage_metadata))

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return gemini_faults.classify(status, headers, body)

    def probe(self) -> Encoded:
        return Encoded(f"{VERSION}/models?pageSize=1", method="GET")


class _Row(msgspec.Struct):
    values: list[float]


class _EmbedAnswer(msgspec.Struct, rename="camel"):
    embeddings: list[_Row] = msgspec.field(default_factory=list)
    usage_metadata: msgspec.Raw = msgspec.Raw(b"null")
    error: object = None


def _of_length_one(vector: list[float]) -> list[float]:
    """As every vector of OpenAI's is. Gemini's are not where fewer dimensions are asked for than the model has."""
    length = math.hypot(*vector)
    if not length or abs(length - 1) < _MAX_SLANT or not math.isfinite(length):
        return vector
    return [number / length for number in vector]
