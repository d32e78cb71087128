"""What Gemini says on its own API: answers, streams chunk by chunk, tool calls, blocked prompts, errors, embeddings.

`answer(*parts)` and `stream(*chunks_of_parts)` are replies; a part is a str or the mapping that stands on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tests.support import upstream_replies as replies
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

MODEL = "gemini-3.5-flash"
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 16}

Part: TypeAlias = str | Mapping[str, Any]


def call(name: str, args: Mapping[str, Any], *, id: str | None = None, signature: str | None = None) -> dict[str, Any]:
    """A part that calls a tool."""
    told: dict[str, Any] = {"functionCall": {"name": name, "args": dict(args)}}
    if id is not None:
        told["functionCall"]["id"] = id
    return told | ({} if signature is None else {"thoughtSignature": signature})


def chunk(*parts: Part, finish: str | None = None, usage: Mapping[str, Any] | None = USAGE) -> dict[str, Any]:
    """A whole answer, or one chunk of a stream."""
    told = [{"text": part} if isinstance(part, str) else dict(part) for part in parts]
    candidate: dict[str, Any] = {"content": {"parts": told, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    whole = {"candidates": [candidate], "modelVersion": MODEL, "responseId": "r1"}
    return whole if usage is None else whole | {"usageMetadata": dict(usage)}


def answer(*parts: Part, finish: str = "STOP") -> Reply:
    return replies.json(chunk(*parts, finish=finish))


def stream(*chunks: Part | Sequence[Part], finish: str = "STOP") -> Reply:
    """One chunk for each; the last one tells the finish."""
    *first, last = [[each] if isinstance(each, str | Mapping) else each for each in chunks]
    frames = [chunk(*parts) for parts in first]
    return replies.sse(*frames, chunk(*last, finish=finish), newline="\r\n")


def saying(*parts: Part) -> Callable[[Request], Reply]:
    """A script of a healthy upstream: says these parts, in one chunk each where a stream is asked for."""
    return lambda request: stream(*parts) if ":streamGenerateContent?alt=sse" in request.path else answer(*parts)


def blocked(reason: str = "PROHIBITED_CONTENT") -> dict[str, Any]:
    """The answer to a prompt that is refused: no candidates."""
    usage = {"promptTokenCount": 7, "totalTokenCount": 7}
    return {"promptFeedback": {"blockReason": reason}, "usageMetadata": usage, "responseId": "r2"}


def error(message: str, status: int, word: str, *details: Mapping[str, Any]) -> Reply:
    told = {"code": status, "message": message, "status": word, "details": list(details)}
    return replies.json({"error": told}, status=status)


def embeddings(*vectors: Sequence[float]) -> Reply:
    return replies.json({"embeddings": [{"values": list(vector)} for vector in vectors]})
