"""What an OpenAI-compatible upstream says: whole answers, streams chunk by chunk, errors, embeddings, models.

`answer(text)` and `stream(tokens)` are replies; `completion`, `chunks` and `tool_chunks` are their contents, for tests
that change them first: `sse(*chunks(["Hel", "lo"])[:2], reset)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.support import upstream_replies as replies
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

MODEL = "test-model"
CREATED = 1_764_000_000
DONE = "[DONE]"


def usage(prompt: int = 9, completion: int = 3) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def completion(
    text: str | None,
    *,
    model: str = MODEL,
    usage: Mapping[str, Any] | None = usage(),
    finish: str = "stop",
    message: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole answer. `message` adds to the assistant's message: `{"tool_calls": […]}`."""
    answer: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None, **(message or {})},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
    }
    return answer if usage is None else answer | {"usage": dict(usage)}


def delta_chunk(delta: Mapping[str, Any], *, finish: str | None = None, model: str = MODEL) -> str:
    """One chunk of a stream, as an event's data."""
    return _chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], model)


def chunks(
    tokens: Iterable[str],
    *,
    model: str = MODEL,
    usage: Mapping[str, Any] | None = None,
    finish: str | None = "stop",
    done: bool = True,
) -> list[str]:
    """A stream's events: the role, one for each token, the finish, the usage if given, the end marker."""
    return _framed([{"content": token} for token in tokens], {"content": ""}, model, usage, finish, done)


def tool_chunks(
    name: str,
    arguments: Iterable[str],
    *,
    call_id: str = "call_a",
    model: str = MODEL,
    usage: Mapping[str, Any] | None = None,
    finish: str | None = "tool_calls",
    done: bool = True,
) -> list[str]:
    """The same for one tool call, whose `arguments` come in these pieces."""
    function = {"name": name, "arguments": ""}
    first = {"content": None, "tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]}
    pieces = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in arguments]
    return _framed(pieces, first, model, usage, finish, done)


def answer(text: str, **changes: Any) -> Reply:
    """A JSON answer; `changes` as in `completion`."""
    return replies.json(completion(text, **changes))


def stream(tokens: Iterable[str], **changes: Any) -> Reply:
    """A streamed answer; `changes` as in `chunks`."""
    return replies.sse(*chunks(tokens, **changes))


def speaking(tokens: Sequence[str], *, model: str = MODEL) -> Callable[[Request], Reply]:
    """A script of a healthy upstream: a stream or a JSON answer, with usage where it is due, as each request asks.

    A probe gets the list of models.
    """

    def reply(request: Request) -> Reply:
        if request.method == "GET":
            return models(model)
        body = request.json
        if not body.get("stream"):
            return answer("".join(tokens), model=model, usage=usage(completion=len(tokens)))
        wanted = (body.get("stream_options") or {}).get("include_usage")
        return stream(tokens, model=model, usage=usage(completion=len(tokens)) if wanted else None)

    return reply


def error(message: str = "Something failed", type: str = "server_error", code: str | None = None) -> dict[str, Any]:
    """The body of an error, also of one inside a stream."""
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def embeddings(vectors: Sequence[Sequence[float] | str], *, model: str = MODEL) -> Reply:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    used = {"prompt_tokens": 5, "total_tokens": 5}
    return replies.json({"object": "list", "data": data, "model": model, "usage": used})


def models(*names: str) -> Reply:
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "test"} for name in names]
    return replies.json({"object": "list", "data": data})


def _framed(
    deltas: Iterable[Mapping[str, Any]],
    first: Mapping[str, Any],
    model: str,
    usage: Mapping[str, Any] | None,
    finish: str | None,
    done: bool,
) -> list[str]:
    frames = [delta_chunk({"role": "assistant", **first}, model=model)]
    frames += [delta_chunk(delta, model=model) for delta in deltas]
    if finish is not None:
        frames.append(delta_chunk({}, finish=finish, model=model))
    if usage is not None:
        frames.append(_chunk([], model, usage))
    if done:
        frames.append(DONE)
    return frames


def _chunk(choices: list[dict[str, Any]], model: str, usage: Mapping[str, Any] | None = None) -> str:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": choices,
    }
    return json.dumps(chunk if usage is None else chunk | {"usage": dict(usage)}, ensure_ascii=False)
