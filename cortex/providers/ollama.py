"""The codec of Ollama's native API, which can do what its OpenAI layer cannot: refuse a prompt that is too long, set
the context window, and switch thinking."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cortex.chat import ChatRequest, Event, Usage
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind
from cortex.providers import faults
from cortex.providers.codec import Encoded, Model, StreamDecoder
from cortex.providers.ollama_request import encode_chat, encode_embeddings
from cortex.providers.ollama_stream import ROWS, OllamaAnswer, OllamaStreamDecoder


class OllamaCodec:
    """Implements cortex.providers.codec.Codec."""

    max_texts: int | None = None

    def auth(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def encode_chat(self, request: ChatRequest, model: Model) -> Encoded:
        return encode_chat(request, model)

    def chat_decoder(self, call: Encoded) -> StreamDecoder:
        return OllamaStreamDecoder()

    def decode_chat(self, call: Encoded, body: bytes) -> list[Event]:
        answer = OllamaAnswer()
        events: list[Event] = []
        answer.take(body, events)
        if not answer.done:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer is not done")
        return events

    def encode_embeddings(self, request: EmbeddingsRequest, model: Model) -> Encoded:
        return encode_embeddings(request, model)

    def decode_embeddings(self, call: Encoded, body: bytes) -> Embeddings:
        try:
            answer = msgspec.json.decode(body, type=_EmbedAnswer)
        except faults.NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer holds no embeddings: {error}") from None
        if answer.error:
            raise faults.classify_error(answer.error, ROWS)
        if len(answer.embeddings) != call.memo:
            got = len(answer.embeddings)
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent {got} vectors for {call.memo} inputs")
        usage = None if answer.prompt_eval_count is None else Usage(answer.prompt_eval_count, 0)
        return Embeddings(answer.model, answer.embeddings, usage)

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.classify(status, headers, body, rows=ROWS)

    def probe(self) -> Encoded:
        return Encoded("/api/version", method="GET")


class _EmbedAnswer(msgspec.Struct):
    model: str = ""
    embeddings: list[list[float]] = msgspec.field(default_factory=list)
    prompt_eval_count: int | None = None
    error: object = None
