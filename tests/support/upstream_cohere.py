"""What Cohere's API says, version 2: whole messages, streams event by event, embeddings, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support import upstream_replies as replies
from tests.support.upstream_replies import Reply

MODEL = "command-a-plus-05-2026"
# As written on the wire: counts are floats, and more is read than billed.
USAGE = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 12.0},
    "tokens": {"input_tokens": 71.0, "output_tokens": 12.0},
    "cached_tokens": 64.0,
}
_ID = "29f14a5a"
Part = Mapping[str, Any]


def text(*pieces: str) -> list[Part]:
    """Content of text, which a stream sends in these pieces."""
    return [{"type": "text", "text": "".join(pieces), "pieces": pieces}]


def thought(words: str) -> list[Part]:
    return [{"type": "thinking", "thinking": words, "pieces": [words]}]


def plan(words: str) -> list[Part]:
    return [{"type": "plan", "plan": words}]


def call(name: str, arguments: Mapping[str, Any], *, call_id: str = "get_weather_a1b2") -> list[Part]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [{"type": "call", "call": {"id": call_id, "type": "function", "function": function}}]


def citation(start: int, end: int, **document: str) -> list[Part]:
    source = {"type": "document", "id": "doc_0", "document": document}
    return [{"type": "citation", "citation": {"start": start, "end": end, "sources": [source], "type": "TEXT_CONTENT"}}]


def message(parts: Sequence[Part], *, reason: str = "COMPLETE") -> Reply:
    content = [{name: each[name] for name in ("type", each["type"])} for each in parts if "pieces" in each]
    said: dict[str, Any] = {"role": "assistant"}
    said |= {"content": content} if content else {}
    plans = [each["plan"] for each in parts if "plan" in each]
    said |= {"tool_plan": "".join(plans)} if plans else {}
    calls = [each["call"] for each in parts if "call" in each]
    said |= {"tool_calls": calls} if calls else {}
    cited = [each["citation"] for each in parts if "citation" in each]
    said |= {"citations": cited} if cited else {}
    return replies.json({"id": _ID, "finish_reason": reason, "message": said, "usage": USAGE})


def stream(parts: Sequence[Part], *, reason: str = "COMPLETE", **ending: Any) -> Reply:
    opened = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events = [event("message-start", id=_ID, delta={"message": opened})]
    for index, part in enumerate(parts):
        events += _part(index, part)
    events.append(event("message-end", id=_ID, delta={"finish_reason": reason, "usage": USAGE, **ending}))
    return replies.sse(*events, b"data: [DONE]\n\n")


def event(kind: str, **members: Any) -> bytes:
    return replies.event(kind, {"type": kind, **members})


def embeddings(vectors: Sequence[Sequence[float]], texts: Sequence[str]) -> Reply:
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2.0}}
    told = {"id": "5807ee2e", "embeddings": {"float": vectors}, "texts": texts, "meta": meta}
    return replies.json({**told, "response_type": "embeddings_by_type"})


def error(words: str, status: int) -> Reply:
    return replies.json({"id": "7b3f", "message": words}, status)


def _part(index: int, part: Part) -> Iterator[bytes]:
    """The events of one part."""
    kind = part["type"]
    if kind == "plan":
        yield event("tool-plan-delta", delta={"message": {"tool_plan": part["plan"]}})
    elif kind == "citation":
        yield event("citation-start", index=index, delta={"message": {"citations": part["citation"]}})
        yield event("citation-end", index=index)
    elif kind == "call":
        called = dict(part["call"])
        arguments = called["function"]["arguments"]
        called["function"] = called["function"] | {"arguments": ""}
        yield event("tool-call-start", index=index, delta={"message": {"tool_calls": called}})
        for piece in (arguments[:5], arguments[5:]):
            function = {"arguments": piece}
            yield event("tool-call-delta", index=index, delta={"message": {"tool_calls": {"function": function}}})
        yield event("tool-call-end", index=index)
    else:
        yield event("content-start", index=index, delta={"message": {"content": {"type": kind, kind: ""}}})
        for piece in part["pieces"]:
            yield event("content-delta", index=index, delta={"message": {"content": {kind: piece}}})
        yield event("content-end", index=index)
