"""The same answer as an upstream streams it that does not speak OpenAI's protocol: one row a type of provider. Pure.

Promises that a client of OpenAI's protocol gets the text and the number of events that it gets in the scenario
`stream`. Each row sends what its vendor does, spaces and line ends included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.exchange import PIECES

# The role is told with the first text, not in an event of its own: one more piece makes up for it.
_SPOKEN = (PIECES[0][:3], PIECES[0][3:], *PIECES[1:])
_READ, _WRITTEN = 24, 62  # tokens
_COMPACT = (",", ":")


@dataclass(frozen=True, slots=True)
class Wire:
    path: bytes  # that a streamed chat is asked for at, in lower case
    content_type: str
    frames: tuple[bytes, ...]


def _anthropic() -> Iterator[bytes]:
    def event(type_: str, **members: Any) -> bytes:
        data = json.dumps({"type": type_, **members}, separators=_COMPACT)
        return f"event: {type_}\ndata: {data}\n\n".encode()

    usage = {"input_tokens": _READ, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench", "content": []}
    yield event("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for piece in _SPOKEN:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield event("content_block_stop", index=0)
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=ending, usage={"output_tokens": _WRITTEN})
    yield event("message_stop")


def _gemini() -> Iterator[bytes]:
    def frame(text: str, place: int, **members: Any) -> bytes:
        counted = {"promptTokenCount": _READ, "candidatesTokenCount": place, "totalTokenCount": _READ + place}
        chunk = {
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **members, "index": 0}],
            "usageMetadata": {**counted, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": _READ}]},
            "modelVersion": "bench",
            "responseId": "bench",
        }
        return f"data: {json.dumps(chunk, separators=(',', ': '))}\r\n\r\n".encode()

    for place, piece in enumerate(_SPOKEN):
        yield frame(piece, place)
    yield frame("", _WRITTEN, finishReason="STOP")


def _cohere() -> Iterator[bytes]:
    def event(type_: str, **members: Any) -> bytes:
        data = json.dumps({"type": type_, **members}, separators=_COMPACT)
        return f"event: {type_}\ndata: {data}\n\n".encode()

    message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", id="bench", delta={"message": message})
    yield event("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}})
    for piece in _SPOKEN:
        yield event("content-delta", index=0, delta={"message": {"content": {"text": piece}}})
    yield event("content-end", index=0)
    counted = {"input_tokens": _READ, "output_tokens": _WRITTEN}
    usage = {"billed_units": counted, "tokens": counted, "cached_tokens": 0}
    yield event("message-end", delta={"finish_reason": "COMPLETE", "usage": usage})


def _ollama() -> Iterator[bytes]:
    def line(text: str, **members: Any) -> bytes:
        said = {"role": "assistant", "content": text}
        named = {"model": "bench", "created_at": "2025-11-24T16:00:00.123456789Z", "message": said}
        return json.dumps({**named, **members}, separators=_COMPACT).encode() + b"\n"

    for piece in _SPOKEN:
        yield line(piece, done=False)
    took = {"total_duration": 1_200_000_000, "load_duration": 100_000_000, "eval_duration": 900_000_000}
    counted = {"prompt_eval_count": _READ, "eval_count": _WRITTEN}
    yield line("", done=True, done_reason="stop", **took, **counted)


def _wire(path: bytes, frames: Iterable[bytes], content_type: str = "text/event-stream") -> Wire:
    return Wire(path, content_type, tuple(frames))


WIRES = {
    "anthropic": _wire(b"/v1/messages", _anthropic()),
    "gemini": _wire(b"/v1beta/models/bench:streamgeneratecontent?alt=sse", _gemini()),
    "cohere": _wire(b"/v2/chat", _cohere()),
    "ollama": _wire(b"/api/chat", _ollama(), "application/x-ndjson"),
}
