"""What Anthropic's Messages API says: whole messages, streams event by event, errors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.support import upstream_replies as replies
from tests.support.upstream_replies import Reply

MODEL = "claude-haiku-5-5"
Block = Mapping[str, Any]


def text(*pieces: str) -> list[Block]:
    """A block of text, which a stream sends in these pieces."""
    return [{"type": "text", "text": "".join(pieces), "pieces": pieces}]


def call(name: str, arguments: Mapping[str, Any], *, call_id: str = "toolu_01B") -> list[Block]:
    return [{"type": "tool_use", "id": call_id, "name": name, "input": arguments}]


def thought(words: str) -> list[Block]:
    return [{"type": "thinking", "thinking": words, "signature": "EqQBsig=="}]


def message(blocks: Sequence[Block], *, model: str = MODEL, stop: str = "end_turn") -> Reply:
    content = [{name: block[name] for name in block if name != "pieces"} for block in blocks]
    return replies.json(_head(model) | {"content": content, "stop_reason": stop, "usage": _usage(12)})


def stream(blocks: Sequence[Block], *, model: str = MODEL, stop: str = "end_turn") -> Reply:
    events: list[bytes] = [replies.event("message_start", _started(model)), replies.event("ping", {"type": "ping"})]
    for index, block in enumerate(blocks):
        events += [replies.event(each["type"], {"index": index, **each}) for each in _block(block)]
    ending = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}}
    events.append(replies.event("message_delta", ending | {"usage": {"output_tokens": 12}}))
    events.append(replies.event("message_stop", {"type": "message_stop"}))
    return replies.sse(*events)


def error(type: str, message: str, status: int) -> Reply:
    return replies.json({"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}, status)


def _head(model: str) -> dict[str, Any]:
    return {"id": "msg_01A", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}


def _usage(output: int) -> dict[str, int]:
    return {
        "input_tokens": 20,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 100,
        "output_tokens": output,
    }


def _started(model: str) -> dict[str, Any]:
    return {"type": "message_start", "message": _head(model) | {"content": [], "stop_reason": None, "usage": _usage(1)}}


def _block(block: Block) -> Iterable[dict[str, Any]]:
    """The events of one block, but for its index."""
    deltas: list[dict[str, Any]]
    if block["type"] == "text":
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in block["pieces"]]
    elif block["type"] == "tool_use":
        empty = dict(block) | {"input": {}}
        arguments = json.dumps(block["input"])
        pieces = ("", arguments[:5], arguments[5:])
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    else:
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    yield {"type": "content_block_start", "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}
