"""What an Ollama server says on its own API: answers, streams line by line, errors, tags, embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.support import upstream_replies as replies
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

MODEL = "llama3"
_CREATED_AT = "2026-11-22T15:00:00.1Z"


def line(message: Mapping[str, Any], *, model: str = MODEL, done: bool = False, **members: Any) -> dict[str, Any]:
    """One line of a stream; `message` adds to the assistant's message."""
    spoken = {"role": "assistant", "content": "", **message}
    return {"model": model, "created_at": _CREATED_AT, "message": spoken, "done": done, **members}


def last_line(message: Mapping[str, Any] | None = None, *, model: str = MODEL, reason: str = "stop") -> dict[str, Any]:
    """The terminal line, with usage: 26 tokens of prompt, 12 of answer."""
    counts = {
        "prompt_eval_count": 26,
        "prompt_eval_duration": 130_000_000,
        "eval_count": 12,
        "eval_duration": 900_000_000,
    }
    durations = {"total_duration": 1_200_000_000, "load_duration": 100_000_000}
    return line(message or {}, model=model, done=True, done_reason=reason, **durations, **counts)


def lines(tokens: Iterable[str], *, model: str = MODEL, done: bool = True) -> list[dict[str, Any]]:
    """A stream's lines: one for each token, then the terminal one."""
    spoken = [line({"content": token}, model=model) for token in tokens]
    return [*spoken, last_line(model=model)] if done else spoken


def answer(text: str, *, model: str = MODEL) -> Reply:
    return replies.json(last_line({"content": text}, model=model))


def stream(tokens: Iterable[str], *, model: str = MODEL) -> Reply:
    return replies.ndjson(*lines(tokens, model=model))


def speaking(tokens: Sequence[str], *, model: str = MODEL) -> Callable[[Request], Reply]:
    """A script of a healthy server: streams unless the request says `"stream": false`."""
    whole, streamed = answer("".join(tokens), model=model), stream(tokens, model=model)
    return lambda request: streamed if request.json.get("stream", True) else whole


def error(message: str, status: int) -> Reply:
    return replies.json({"error": message}, status=status)


def tags(*names: str) -> Reply:
    return replies.json({"models": [{"name": name, "model": name, "size": 1, "digest": "0" * 64} for name in names]})


def embeddings(vectors: Sequence[Sequence[float]], *, model: str = MODEL) -> Reply:
    return replies.json({"model": model, "embeddings": vectors, "total_duration": 1, "prompt_eval_count": 5})
