"""Builds streams and answers on OpenAI's wire, and what a relay needs around them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cortex.chat import ChatRequest, Event
from cortex.dialects.dialect import Dialect, Provenance
from cortex.dialects.openai import OpenAIDialect
from cortex.providers.codec import Codec, Encoded, Model
from cortex.providers.openai_stream import OpenAIStreamDecoder
from cortex.relay import Relay, relay_for

DONE = b"data: [DONE]\n\n"
CALL = Encoded("/chat/completions", forwards="openai")
RENDERED = Encoded("/chat/completions")  # a call whose answer is rendered anew
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def frame(value: Any, **dumps: Any) -> bytes:
    return b"data: " + json.dumps(value, **{"ensure_ascii": False, **dumps}).encode() + b"\n\n"


def chunk_object(delta: Any, *, finish_reason: str | None = None, choice: int = 0, **members: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": "m",
        "choices": [{"index": choice, "delta": delta, "finish_reason": finish_reason}],
        **members,
    }


def chunk(delta: Any, **members: Any) -> bytes:
    return frame(chunk_object(delta, **members))


def text(content: str) -> bytes:
    return chunk({"content": content})


def tool(arguments: str, index: int = 0, **first: str) -> bytes:
    """A piece of a tool call; the first piece is given id and name."""
    function = {"arguments": arguments} | ({"name": first["name"]} if first else {})
    call = {"index": index, "function": function} | ({"id": first["id"], "type": "function"} if first else {})
    return chunk({"tool_calls": [call]})


def finish(reason: str = "stop", **members: Any) -> bytes:
    return chunk({}, finish_reason=reason, **members)


def usage_chunk() -> bytes:
    return frame({**chunk_object({}), "choices": [], "usage": USAGE})


def provenance(**changed: Any) -> Provenance:
    told: dict[str, Any] = {
        "request_id": "req_0123456789abcdef01234567",
        "model": "groq/openai/gpt-oss-20b",
        "route": ("auto", "coder"),
        "attempts": lambda: [{"target": "groq/openai/gpt-oss-20b", "key": "groq#1", "status": 200, "kind": "ok"}],
        "prompt_tokens": 7,
        "created": 1764000001,
    }
    return Provenance(**{**told, **changed})


def chat_request(*, include_usage: bool = False, dialect: Dialect | None = None, **members: Any) -> ChatRequest:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, **members}
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    return (dialect or OpenAIDialect()).parse(json.dumps(body).encode())


def relay(codec: Codec, dialect: Dialect | None = None, *, include_usage: bool = False) -> Relay:
    dialect = dialect or OpenAIDialect()
    request = chat_request(include_usage=include_usage, dialect=dialect)
    return relay_for(codec, codec.encode_chat(request, Model("m")), dialect, request, provenance())


def run(relay: Relay, pieces: Iterable[bytes]) -> bytes:
    """All that the client gets of an upstream that sends these pieces and closes."""
    out = b"".join([relay.feed(piece) for piece in pieces])
    return out + relay.end()


def decode(stream: bytes) -> Sequence[Event]:
    decoder = OpenAIStreamDecoder()
    return [*decoder.feed(stream), *decoder.end()]
