"""How each provider's wire says the same things: an answer whole or streamed, an error, garbage, nothing at all.

A fault test is written once and runs on every row. A new provider is one more row; what its wire does not have is None.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.support import upstream_ollama as ollama
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Framing, Reply, Step

Json = Any
TOKENS = ("Hel", "lo", " wör", "ld")
TEXT = "".join(TOKENS)


def sse(value: Json, name: str | None = None) -> bytes:
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def line(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Wire:
    """One provider type's wire. Frames are bytes, ready to be sent."""

    type: str  # as a configuration names it
    base_path: str  # what follows the host in its base_url
    model: str
    stream_type: str
    frame: Callable[[Json], bytes]
    opening: tuple[bytes, ...]  # what a stream begins with; no content
    token: Callable[[str], bytes]
    ending: tuple[bytes, ...]  # what makes a stream whole, usage included
    ending_without_usage: tuple[bytes, ...]
    whole: Callable[[str], Json]  # an answer's body
    without_usage: Callable[[str], Json]
    error: Callable[[str, str], Json]  # an error's body: its message, and a code where the wire has one
    error_frame: Callable[[str], bytes]  # the same inside a stream: the server is overloaded
    garbage: bytes  # a frame that is not JSON
    hollow: tuple[Json, ...]  # bodies and frames that hold no answer
    filtered: Json | None  # a whole answer that a filter has withheld
    filtered_frames: tuple[bytes, ...] | None
    wants_stream: Callable[[Request], bool]
    aborted: tuple[tuple[bytes, ...], ...] = ()  # endings that say that the answer went wrong
    cut_call: tuple[bytes, ...] | None = None  # a tool call that ends inside its arguments, as if it were whole
    marker: bool = True  # a frame ends the answer; without one the body's end does

    def frames(self, tokens: Sequence[str] = TOKENS) -> list[bytes]:
        """The beginning of a stream, up to and with these tokens."""
        return [*self.opening, *map(self.token, tokens)]

    def streamed(self, *steps: Step, framing: Framing = "chunked", status: int = 200) -> Reply:
        """A stream of exactly these frames and actions."""
        return replies.stream(*steps, content_type=self.stream_type, framing=framing, status=status)

    def stream(self, tokens: Sequence[str] = TOKENS) -> Reply:
        return self.streamed(*self.frames(tokens), *self.ending)

    def body(self, text: str = TEXT) -> bytes:
        """A JSON answer's."""
        return json.dumps(self.whole(text)).encode()

    def answer(self, text: str) -> Reply:
        return replies.json(self.whole(text))

    def speaking(self, tokens: Sequence[str] = TOKENS) -> Callable[[Request], Reply]:
        """A script of a healthy upstream: a stream or a JSON answer, as each request asks."""
        whole, streamed = self.answer("".join(tokens)), self.stream(tokens)
        return lambda request: streamed if self.wants_stream(request) else whole

    def refusal(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Reply:
        return replies.json(self.error(message, code), status=status, headers=headers)


def _asks_stream(request: Request) -> bool:
    return bool(request.json.get("stream"))


# OpenAI


def _openai_chunk(delta: Json, finish: str | None = None) -> bytes:
    return f"data: {openai.delta_chunk(delta, finish=finish)}\n\n".encode()


_DONE = b"data: [DONE]\n\n"
_OPENAI_USAGE = sse({**json.loads(openai.delta_chunk({})), "choices": [], "usage": openai.usage()})
_OPENAI_CALL = [f"data: {each}\n\n".encode() for each in openai.tool_chunks("get_weather", ['{"city":', '"Os'])]

OPENAI = Wire(
    type="openai_compatible",
    base_path="/v1",
    model="test-model",
    stream_type="text/event-stream",
    frame=sse,
    opening=(_openai_chunk({"role": "assistant", "content": ""}),),
    token=lambda text: _openai_chunk({"content": text}),
    ending=(_openai_chunk({}, "stop"), _OPENAI_USAGE, _DONE),
    ending_without_usage=(_openai_chunk({}, "stop"), _DONE),
    whole=openai.completion,
    without_usage=lambda text: openai.completion(text, usage=None),
    error=lambda message, code: openai.error(message, code=code or None),
    error_frame=lambda message: sse(openai.error(message, "overloaded_error")),
    garbage=b'data: {"choices": [{"delta"\n\n',
    hollow=(None, {}, [], {"choices": None}, {"choices": []}),
    filtered=openai.completion("", finish="content_filter"),
    filtered_frames=(
        _openai_chunk({"role": "assistant", "content": ""}),
        _openai_chunk({}, "content_filter"),
        _DONE,
    ),
    wants_stream=_asks_stream,
    aborted=((_openai_chunk({}, "abort"), _DONE), (_openai_chunk({}, "error"), _DONE)),
    cut_call=tuple(_OPENAI_CALL),
)

# The same frames, but rendered anew for every client.
MISTRAL = replace(OPENAI, type="mistral")


# Ollama


def _ollama_token(text: str) -> bytes:
    return line(ollama.line({"content": text}))


_OLLAMA_UNCOUNTED = ollama.line({}, done=True, done_reason="stop")

OLLAMA = Wire(
    type="ollama",
    base_path="",
    model=ollama.MODEL,
    stream_type="application/x-ndjson",
    frame=line,
    opening=(_ollama_token(""),),
    token=_ollama_token,
    ending=(line(ollama.last_line()),),
    ending_without_usage=(line(_OLLAMA_UNCOUNTED),),
    whole=lambda text: ollama.last_line({"content": text}),
    without_usage=lambda text: {**_OLLAMA_UNCOUNTED, "message": {"role": "assistant", "content": text}},
    error=lambda message, code: {"error": message},
    error_frame=lambda message: line({"error": message}),
    garbage=b'{"message": {"content"\n',
    hollow=(None, {}, [], ollama.line({"content": ""}) | {"message": None}),
    filtered=None,
    filtered_frames=None,
    wants_stream=lambda request: bool(request.json.get("stream", True)),
)


# Gemini


def _gemini_said(text: str | None, finish: str | None = None) -> Json:
    candidate: Json = {"index": 0}
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text}]}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "test-model", "responseId": "r1"}


_GEMINI_USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
_GEMINI_BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}

GEMINI = Wire(
    type="gemini",
    base_path="",
    model="gemini-test",
    stream_type="text/event-stream",
    frame=sse,
    opening=(sse(_gemini_said("")),),
    token=lambda text: sse(_gemini_said(text)),
    ending=(sse({**_gemini_said("", "STOP"), "usageMetadata": _GEMINI_USAGE}),),
    ending_without_usage=(sse(_gemini_said("", "STOP")),),
    whole=lambda text: {**_gemini_said(text, "STOP"), "usageMetadata": _GEMINI_USAGE},
    without_usage=lambda text: _gemini_said(text, "STOP"),
    error=lambda message, code: {"error": {"code": 500, "message": message, "status": code or "INTERNAL"}},
    error_frame=lambda message: sse({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}),
    garbage=b'data: {"candidates": [{"content"\n\n',
    hollow=(None, {}, [], {"candidates": None}, {"candidates": []}, _gemini_said("")),
    filtered=_GEMINI_BLOCKED,
    filtered_frames=(sse(_GEMINI_BLOCKED),),
    wants_stream=lambda request: "streamGenerateContent" in request.path,
    aborted=((sse(_gemini_said(None, "OTHER")),), (sse(_gemini_said(None, "MALFORMED_FUNCTION_CALL")),)),
    marker=False,
)


# Anthropic


def _anthropic(kind: str, **members: Json) -> bytes:
    return sse({"type": kind, **members}, kind)


def _anthropic_delta(kind: str, name: str, text: str) -> bytes:
    return _anthropic("content_block_delta", index=0, delta={"type": kind, name: text})


def _anthropic_message(content: Json, reason: str | None, usage: Json = None) -> Json:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "test-model", "content": content}
    return {**message, "stop_reason": reason, **({"usage": usage} if usage else {})}


def _anthropic_end(reason: str, usage: Json = None) -> tuple[bytes, ...]:
    counted = {"usage": usage} if usage else {}
    return (
        _anthropic("content_block_stop", index=0),
        _anthropic("message_delta", delta={"stop_reason": reason}, **counted),
        _anthropic("message_stop"),
    )


_ANTHROPIC_USAGE = {"input_tokens": 9, "output_tokens": 3}
_ANTHROPIC_START = _anthropic("message_start", message=_anthropic_message([], None))
_ANTHROPIC_CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}

ANTHROPIC = Wire(
    type="anthropic",
    base_path="",
    model="claude-test",
    stream_type="text/event-stream",
    frame=sse,
    opening=(
        _ANTHROPIC_START,
        _anthropic("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ),
    token=lambda text: _anthropic_delta("text_delta", "text", text),
    ending=_anthropic_end("end_turn", _ANTHROPIC_USAGE),
    ending_without_usage=_anthropic_end("end_turn"),
    whole=lambda text: _anthropic_message([{"type": "text", "text": text}], "end_turn", _ANTHROPIC_USAGE),
    without_usage=lambda text: _anthropic_message([{"type": "text", "text": text}], "end_turn"),
    error=lambda message, code: {"type": "error", "error": {"type": code or "api_error", "message": message}},
    error_frame=lambda message: _anthropic("error", error={"type": "overloaded_error", "message": message}),
    garbage=b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta"\n\n',
    hollow=(None, {}, [], {"content": None}),
    filtered=_anthropic_message([], "refusal", _ANTHROPIC_USAGE),
    filtered_frames=(_ANTHROPIC_START, *_anthropic_end("refusal", _ANTHROPIC_USAGE)[1:]),
    wants_stream=_asks_stream,
    cut_call=(
        _ANTHROPIC_START,
        _anthropic("content_block_start", index=0, content_block=_ANTHROPIC_CALL),
        _anthropic_delta("input_json_delta", "partial_json", '{"city":'),
        _anthropic_delta("input_json_delta", "partial_json", '"Os'),
        *_anthropic_end("tool_use", _ANTHROPIC_USAGE),
    ),
)


# Cohere


def _cohere(kind: str, **members: Json) -> bytes:
    return sse({"type": kind, **members}, kind)


def _cohere_said(kind: str, message: Json) -> bytes:
    return _cohere(kind, index=0, delta={"message": message})


def _cohere_end(reason: str, **members: Json) -> tuple[bytes, ...]:
    return (_cohere("content-end", index=0), _cohere("message-end", delta={"finish_reason": reason, **members}))


def _cohere_answer(text: str, **members: Json) -> Json:
    message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return {"id": "c1", "finish_reason": "COMPLETE", "message": message, **members}


_COHERE_USAGE = {"tokens": {"input_tokens": 9, "output_tokens": 3}}
_COHERE_START = _cohere("message-start", id="c1", delta={"message": {"role": "assistant", "content": []}})
_COHERE_CALL = {"id": "w_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}

COHERE = Wire(
    type="cohere",
    base_path="",
    model="command-test",
    stream_type="text/event-stream",
    frame=sse,
    opening=(_COHERE_START, _cohere_said("content-start", {"content": {"type": "text", "text": ""}})),
    token=lambda text: _cohere_said("content-delta", {"content": {"text": text}}),
    ending=_cohere_end("COMPLETE", usage=_COHERE_USAGE),
    ending_without_usage=_cohere_end("COMPLETE"),
    whole=lambda text: _cohere_answer(text, usage=_COHERE_USAGE),
    without_usage=_cohere_answer,
    error=lambda message, code: {"message": message},
    error_frame=lambda message: _cohere("message-end", delta={"finish_reason": "ERROR", "error": message}),
    garbage=b'event: content-delta\ndata: {"type": "content-delta", "delta"\n\n',
    hollow=(None, {}, [], {"message": None}),
    filtered=None,
    filtered_frames=None,
    wants_stream=_asks_stream,
    aborted=(_cohere_end("ERROR"), _cohere_end("TIMEOUT")),
    cut_call=(
        _COHERE_START,
        _cohere_said("tool-call-start", {"tool_calls": _COHERE_CALL}),
        _cohere_said("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"city":"Os'}}}),
        _cohere("tool-call-end", index=0),
        _cohere("message-end", delta={"finish_reason": "TOOL_CALL", "usage": _COHERE_USAGE}),
    ),
)

WIRES = (OPENAI, MISTRAL, OLLAMA, GEMINI, ANTHROPIC, COHERE)
