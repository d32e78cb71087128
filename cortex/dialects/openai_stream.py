"""Renders a chat completion's stream anew, in the one form that all known clients of the dialect take:

- A frame is one line `data: {json}`, LF, and a blank line. Every chunk has `choices`.
- The first delta of a choice tells the role. The first piece of a tool call tells index, id, type and name, later ones
  index and arguments only: clients concatenate an id or name that comes twice.
- What the upstream wants to see again with a tool call goes with its first piece, as `extra_content`.
- A choice ends with one chunk of its own, whose delta is empty. Usage has a chunk of its own with no choices, only if
  the client asked for it. `[DONE]` comes last.
- Reasoning stands in `reasoning_content`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cortex.chat import Delta, End, Event, Finish, Json, Start, ToolCallDelta, Usage
from cortex.dialects.dialect import Provenance, made_up_call_id

_encode = msgspec.json.encode

_DONE = b"data: [DONE]\n\n"
_RESERVED = frozenset({"id", "object", "created", "model", "choices", "usage"})


def answer_head(start: Start, kind: str, provenance: Provenance) -> dict[str, Json]:
    """The members in front of `choices`: what the upstream calls its answer, made up where it does not say."""
    head: dict[str, Json] = {
        "id": start.id or f"chatcmpl-{provenance.request_id}",
        "object": kind,
        "created": start.created or provenance.created,
        "model": start.model or provenance.model,
    }
    if isinstance(start.extra, dict):
        head.update((name, value) for name, value in start.extra.items() if name not in _RESERVED)
    return head


class OpenAIStreamRenderer:
    """One answer. Holds what was told once and must not be told again."""

    def __init__(self, provenance: Provenance, *, include_usage: bool) -> None:
        self._provenance = provenance
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._opened: set[int] = set()  # choices whose role was told
        self._finished: set[int] = set()
        self._named: dict[tuple[int, int], bool] = {}  # by choice and index of a tool call: whether its name was told
        self._start(Start("", "", 0))

    def render(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            match event:
                case Delta():
                    frames.append(self._delta(event))
                case Start():
                    self._start(event)
                case Finish():
                    frames.append(self._finish(event))
                case Usage():
                    self._usage = event
                case End():
                    frames.append(self._end())
        return b"".join(frames)

    def _start(self, start: Start) -> None:
        head = _encode(answer_head(start, "chat.completion.chunk", self._provenance))
        # All that the frames of a stream have in common is encoded once.
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._content_head = self._head + b'{"index":0,"delta":{"content":'

    def _delta(self, delta: Delta) -> bytes:
        plain = not (delta.choice or delta.reasoning or delta.refusal or delta.tool_calls or delta.annotations)
        plain = plain and delta.logprobs is None
        if plain and delta.content and 0 in self._opened:
            return self._content_head + _encode(delta.content) + b'},"finish_reason":null}]}\n\n'
        members = self._members(delta)
        if not members and delta.logprobs is None:
            return b""
        return self._chunk(delta.choice, members, delta.logprobs, None)

    def _members(self, delta: Delta) -> dict[str, Json]:
        members: dict[str, Json] = {}
        if delta.choice not in self._opened:
            self._opened.add(delta.choice)
            members["role"] = "assistant"
            members["content"] = None if delta.tool_calls else ""
        if delta.content:
            members["content"] = delta.content
        if delta.reasoning:
            members["reasoning_content"] = delta.reasoning
        if delta.refusal:
            members["refusal"] = delta.refusal
        if pieces := [self._piece(delta.choice, piece) for piece in delta.tool_calls]:
            members["tool_calls"] = pieces
        if delta.annotations:
            members["annotations"] = delta.annotations
        return members

    def _piece(self, choice: int, piece: ToolCallDelta) -> dict[str, Json]:
        call = (choice, piece.index)
        function = {"name": piece.name or "", "arguments": piece.arguments}
        if (named := self._named.get(call)) is not None:
            if named or not piece.name:
                del function["name"]
            self._named[call] = named or bool(piece.name)
            return {"index": piece.index, "function": function}
        self._named[call] = bool(piece.name)
        opened: dict[str, Json] = {
            "index": piece.index,
            "id": piece.id or made_up_call_id(self._provenance.request_id, choice, piece.index),
            "type": "function",
            "function": function,
        }
        if piece.extra_content is not None:
            opened["extra_content"] = piece.extra_content
        return opened

    def _finish(self, finish: Finish) -> bytes:
        if finish.choice in self._finished:
            return b""
        self._finished.add(finish.choice)
        opening = b"" if finish.choice in self._opened else self._delta(Delta(choice=finish.choice))
        return opening + self._chunk(finish.choice, {}, None, finish.reason)

    def _chunk(self, choice: int, delta: dict[str, Json], logprobs: Json, finish_reason: str | None) -> bytes:
        rendered: dict[str, Json] = {"index": choice, "delta": delta}
        if logprobs is not None:
            rendered["logprobs"] = logprobs
        rendered["finish_reason"] = finish_reason
        return self._head + _encode(rendered) + b"]}\n\n"

    def _end(self) -> bytes:
        if self._usage is None or not self._include_usage:
            return _DONE
        return self._head + b'],"usage":' + _encode(self._usage.as_json()) + b"}\n\n" + _DONE
