"""What OpenAI's Responses API says: whole responses and streams, event by event."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support import upstream_replies as replies
from tests.support.upstream_replies import Reply

MODEL = "gpt-6-luna"
USAGE = {
    "input_tokens": 71,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 83,
}
Item = Mapping[str, Any]


def text(*pieces: str) -> list[Item]:
    """A message, which a stream sends in these pieces."""
    part = {"type": "output_text", "text": "".join(pieces), "annotations": []}
    return [{"id": "msg_1", "type": "message", "role": "assistant", "content": [part], "pieces": pieces}]


def call(name: str, arguments: Mapping[str, Any], *, call_id: str = "call_a1") -> list[Item]:
    made = {"id": "fc_1", "type": "function_call", "call_id": call_id, "name": name, "status": "completed"}
    return [made | {"arguments": json.dumps(arguments)}]


def thought(words: str) -> list[Item]:
    return [{"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": words}]}]


def whole(items: Sequence[Item], *, status: str = "completed", **members: Any) -> Reply:
    return replies.json(_response(items, status, members))


def stream(items: Sequence[Item], *, status: str = "completed", **members: Any) -> Reply:
    numbers = itertools.count()
    frames = [{"type": "response.created", "response": _response([], "in_progress", {"usage": None})}]
    for index, item in enumerate(items):
        frames += [{"output_index": index, **each} for each in _events(item)]
    frames.append({"type": f"response.{status}", "response": _response(items, status, members)})
    return replies.sse(*(replies.event(each["type"], {"sequence_number": next(numbers), **each}) for each in frames))


def _response(items: Sequence[Item], status: str, members: Mapping[str, Any]) -> dict[str, Any]:
    output = [{name: item[name] for name in item if name != "pieces"} for item in items]
    head = {"id": "resp_1", "object": "response", "created_at": 1764000000, "model": MODEL, "status": status}
    return head | {"output": output, "usage": USAGE, **members}


def _events(item: Item) -> Iterator[dict[str, Any]]:
    """The events of one item, but for its index."""
    done = {name: item[name] for name in item if name != "pieces"}
    place = {"item_id": item["id"], "content_index": 0}
    if item["type"] == "function_call":
        yield {"type": "response.output_item.added", "item": done | {"arguments": "", "status": "in_progress"}}
        for piece in (item["arguments"][:5], item["arguments"][5:]):
            yield {"type": "response.function_call_arguments.delta", "item_id": item["id"], "delta": piece}
    elif item["type"] == "reasoning":
        yield {"type": "response.output_item.added", "item": done | {"summary": []}}
        words = item["summary"][0]["text"]
        yield {
            "type": "response.reasoning_summary_text.delta",
            "item_id": item["id"],
            "summary_index": 0,
            "delta": words,
        }
    else:
        yield {"type": "response.output_item.added", "item": done | {"content": []}}
        for piece in item["pieces"]:
            yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_item.done", "item": done}
