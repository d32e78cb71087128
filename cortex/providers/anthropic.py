"""The codec of Anthropic's Messages API, under either of its versions."""

from __future__ import annotations

from collections.abc import Mapping

from cortex.chat import ChatRequest, Event
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind
from cortex.providers import faults
from cortex.providers.anthropic_request import FIRST_VERSION, encode_chat
from cortex.providers.anthropic_stream import ROWS, AnthropicAnswer
from cortex.providers.canonical import unsupported
from cortex.providers.codec import Encoded, Model, StreamDecoder
from cortex.providers.limits import passes_by_itself
from cortex.providers.marked_stream import MarkedStreamDecoder


class AnthropicCodec:
    """Implements cortex.providers.codec.Codec. `version` is what `anthropic-version` says."""

    max_texts: int | None = None

    def __init__(self, version: str = FIRST_VERSION) -> None:
        self._version = version

    def auth(self, key: str | None) -> dict[str, str]:
        return {"x-api-key": key} if key else {}

    def encode_chat(self, request: ChatRequest, model: Model) -> Encoded:
        return encode_chat(request, model, self._version)

    def chat_decoder(self, call: Encoded) -> StreamDecoder:
        return MarkedStreamDecoder(AnthropicAnswer())

    def decode_chat(self, call: Encoded, body: bytes) -> list[Event]:
        return AnthropicAnswer().take_whole(body)

    def encode_embeddings(self, request: EmbeddingsRequest, model: Model) -> Encoded:
        raise unsupported("embeddings are not available at this provider", "model")

    def decode_embeddings(self, call: Encoded, body: bytes) -> Embeddings:
        raise Fault(FaultKind.INVALID_RESPONSE, "this provider has no embeddings")

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """Its rate limits name their wait. A 429 that shows none is about money, whatever it is called."""
        fault = faults.classify(status, headers, body, rows=ROWS)
        if status == 429 and fault.kind is FaultKind.RATE_LIMITED and not passes_by_itself(headers):
            fault.kind, fault.retry_after_s = FaultKind.QUOTA_EXHAUSTED, None
        return fault

    def probe(self) -> Encoded:
        return Encoded("/v1/models?limit=1", method="GET", headers={"anthropic-version": self._version})
