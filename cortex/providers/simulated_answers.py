"""What the simulated provider answers, on OpenAI's wire. Pure: the same request always has the same answer."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Sequence
from random import Random

import msgspec

from cortex.chat import Json

_CREATED = 1_700_000_000  # there is no clock here
_DIMENSIONS = 8
_MAX_DIMENSIONS = 4096
_QUOTED_WORDS = 8

_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("The request is not valid", "invalid_request_error", "invalid_value"),
    401: ("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
    404: ("There is no such path", "invalid_request_error", "not_found"),
    429: ("Rate limit reached. Please try again in 2s", "requests", "rate_limit_exceeded"),
    500: ("The server had an error", "server_error", "server_error"),
    503: ("The server is overloaded", "server_error", "server_is_overloaded"),
}


def error_answer(status: int) -> Json:
    message, kind, code = _ERRORS[status]
    return {"error": {"message": f"{message} (simulated)", "type": kind, "param": None, "code": code}}


def models() -> Json:
    return {
        "object": "list",
        "data": [{"id": "simulated", "object": "model", "created": _CREATED, "owned_by": "cortex"}],
    }


class Chat:
    """A request as far as its answer depends on it. `body` is its JSON; whatever is odd in there is ignored."""

    def __init__(self, body: dict[str, Json], provider: str, text: str | None) -> None:
        model = body.get("model")
        options = body.get("stream_options")
        self.model = model if isinstance(model, str) else "simulated"
        self.stream = body.get("stream") is True
        self.include_usage = isinstance(options, dict) and options.get("include_usage") is True
        self.call = _tool_call(body)
        asked = _last_words(body.get("messages"))
        tokens = re.findall(r"\S+\s*", text if text is not None else _sentence(provider, self.model, asked))
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        self.cut_short = isinstance(limit, int) and 0 < limit < len(tokens)
        self.tokens: Sequence[str] = tokens[:limit] if self.cut_short else tokens
        digest = hashlib.sha256(msgspec.json.encode(body)).hexdigest()
        self.id = f"chatcmpl-{digest[:12]}"
        self.call_id = f"call_{digest[12:20]}"
        self.prompt_tokens = max(1, len(msgspec.json.encode(body.get("messages"))) // 4)

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.call else "length" if self.cut_short else "stop"

    @property
    def usage(self) -> Json:
        completion = len(self.call[1]) // 4 + 1 if self.call else len(self.tokens)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }

    def tool_calls(self) -> list[Json]:
        if self.call is None:
            return []
        name, arguments = self.call
        return [{"id": self.call_id, "type": "function", "function": {"name": name, "arguments": arguments}}]


def chat_answer(chat: Chat) -> Json:
    message: dict[str, Json] = {"role": "assistant", "content": None if chat.call else "".join(chat.tokens)}
    if chat.call:
        message["tool_calls"] = chat.tool_calls()
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": chat.finish_reason}
    head = {"id": chat.id, "object": "chat.completion", "created": _CREATED, "model": chat.model}
    return {**head, "choices": [choice], "usage": chat.usage}


def chat_frames(chat: Chat, tokens_at_once: int) -> list[bytes]:
    """The frames of a stream, `tokens_at_once` in one."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    if chat.call:
        deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(chat.tool_calls())]
    else:
        for start in range(0, len(chat.tokens), tokens_at_once):
            deltas.append({"content": "".join(chat.tokens[start : start + tokens_at_once])})
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": chat.finish_reason})
    head = {"id": chat.id, "object": "chat.completion.chunk", "created": _CREATED, "model": chat.model}
    chunks = [{**head, "choices": [choice]} for choice in choices]
    if chat.include_usage:
        chunks.append({**head, "choices": [], "usage": chat.usage})
    return [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


def embeddings_answer(body: dict[str, Json]) -> Json:
    """A unit vector for each input, made of its digest."""
    given = body.get("input")
    inputs = given if isinstance(given, list) and not all(isinstance(item, int) for item in given) else [given]
    asked = body.get("dimensions")
    dimensions = min(asked, _MAX_DIMENSIONS) if isinstance(asked, int) and asked > 0 else _DIMENSIONS
    vectors = [_vector(msgspec.json.encode(item), dimensions) for item in inputs]
    as_base64 = body.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": n, "embedding": _base64(vector) if as_base64 else vector}
        for n, vector in enumerate(vectors)
    ]
    tokens = len(msgspec.json.encode(given)) // 4 + 1
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": body.get("model"), "usage": usage}


def _vector(seed: bytes, dimensions: int) -> list[float]:
    random = Random(seed)
    vector = [random.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = sum(value * value for value in vector) ** 0.5
    return [value / length for value in vector]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _sentence(provider: str, model: str, asked: str) -> str:
    about = f' You asked: "{asked}".' if asked else ""
    return f"This is {model} at {provider}, simulated by Cortex without a network.{about}"


def _last_words(messages: Json) -> str:
    """The last words of the last message of a user."""
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                content = " ".join(text for text in texts if isinstance(text, str))
            return " ".join(content.split()[-_QUOTED_WORDS:]) if isinstance(content, str) else ""
    return ""


def _tool_call(body: dict[str, Json]) -> tuple[str, str] | None:
    """Name and arguments of the call that a request insists on."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    if not isinstance(tools, list) or choice in (None, "none", "auto"):
        return None
    functions = [
        tool["function"] for tool in tools if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    ]
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        functions = [each for each in functions if each.get("name") == choice["function"].get("name")]
    if not functions or not isinstance(functions[0].get("name"), str):
        return None
    return functions[0]["name"], msgspec.json.encode(_arguments(functions[0].get("parameters"))).decode()


_EXAMPLES: dict[str, Json] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "array": []}


def _arguments(schema: Json) -> dict[str, Json]:
    """An example of each property that the schema requires, one level deep."""
    if not isinstance(schema, dict):
        return {}
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    arguments: dict[str, Json] = {}
    for name in required:
        form = properties.get(name) if isinstance(name, str) else None
        if isinstance(form, dict):
            choices = form.get("enum")
            kind = form.get("type")
            example = _EXAMPLES.get(kind, {}) if isinstance(kind, str) else {}
            arguments[name] = choices[0] if isinstance(choices, list) and choices else example
    return arguments
