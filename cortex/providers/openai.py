"""The codec of every vendor that speaks OpenAI's wire: OpenAI itself, and the rows of `cortex.providers.vendors`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cortex.chat import ChatRequest, End, Event, Finish
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind
from cortex.providers import faults, responses_request
from cortex.providers.codec import Encoded, Model, StreamDecoder
from cortex.providers.marked_stream import MarkedStreamDecoder
from cortex.providers.openai_models import goes_to_responses
from cortex.providers.openai_request import encode_chat, encode_embeddings
from cortex.providers.openai_stream import OpenAIStreamDecoder, OpenChoice, check_error
from cortex.providers.openai_wire import Answer, Choice, decode_answer, delta_of, finish_reason, read_usage
from cortex.providers.responses_stream import ResponsesAnswer
from cortex.providers.vendors import Vendor


class OpenAICodec:
    """Implements cortex.providers.codec.Codec for one vendor."""

    max_texts: int | None = None

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def auth(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def encode_chat(self, request: ChatRequest, model: Model) -> Encoded:
        if self._vendor.responses and goes_to_responses(model.name, request.members):
            return responses_request.encode_chat(request, model)
        return encode_chat(self._vendor, request, model)

    def chat_decoder(self, call: Encoded) -> StreamDecoder:
        if call.path == responses_request.PATH:
            return MarkedStreamDecoder(ResponsesAnswer())
        return OpenAIStreamDecoder()

    def decode_chat(self, call: Encoded, body: bytes) -> list[Event]:
        if call.path == responses_request.PATH:
            return ResponsesAnswer().take_whole(body)
        answer = _decoded(body)
        if not answer.choices:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has no choices")
        events: list[Event] = [answer.start()]
        for choice in answer.choices:
            events += _whole_choice(choice, answer.id or "")
        if (usage := read_usage(answer.usage)) is not None:
            events.append(usage)
        events.append(End())
        return events

    def encode_embeddings(self, request: EmbeddingsRequest, model: Model) -> Encoded:
        return encode_embeddings(self._vendor, request, model)

    def decode_embeddings(self, call: Encoded, body: bytes) -> Embeddings:
        try:
            answer = msgspec.json.decode(body, type=_EmbeddingsAnswer)
        except faults.NOT_DECODABLE as error:
            _decoded(body)  # it may be an error that came with 200
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer holds no embeddings: {error}") from None
        rows = sorted(answer.data, key=lambda row: row.index)
        if len(rows) != call.memo:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent {len(rows)} vectors for {call.memo} inputs")
        return Embeddings(answer.model or "", [row.embedding for row in rows], read_usage(answer.usage))

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return faults.classify(status, headers, body, daily_requests=self._vendor.daily_requests)

    def probe(self) -> Encoded:
        return Encoded(self._vendor.probe_path, method="GET")


class _Row(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0


class _EmbeddingsAnswer(msgspec.Struct):
    data: list[_Row]
    model: str | None = None
    usage: object = None


def _decoded(body: bytes) -> Answer:
    try:
        answer = decode_answer(body)
    except faults.NOT_DECODABLE as error:
        raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer is not a completion: {error}") from None
    check_error(answer, body)
    return answer


def _whole_choice(choice: Choice, answer_id: str) -> list[Event]:
    said = choice.message
    if said is None:
        raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has a choice without a message")
    events: list[Event] = []
    word = choice.finish_reason or "stop"
    if said.tool_calls or said.function_call:
        state = OpenChoice(f"{answer_id}:{choice.index}")
        delta = delta_of(choice, said, state.pieces(said))
        finish = state.finish(word, choice.index)
    else:
        delta = delta_of(choice, said, ())
        finish = Finish(finish_reason(word, called=False), choice.index)
    if delta is not None:
        events.append(delta)
    events.append(finish)
    return events
