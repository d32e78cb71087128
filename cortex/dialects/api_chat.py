"""`POST /api/chat`: the simplest way to talk to a model.

The request is OpenAI's, but that it streams unless told otherwise and may pin a `provider`. The answer is one stream
of small objects, or one flat JSON object, for one choice:

    data: {"content": "…"}            a token; likewise {"reasoning": "…"} and {"refusal": "…"}
    data: {"tool_calls": […]}         all calls of the answer, whole, once, before the end
    event: done
    data: {"done": true, "finish_reason", "model", "usage", "request_id", "route", "attempts"}

A tool call is told once it is complete, so that a client never assembles pieces and never acts on half a call.
`logprobs` stand beside the content where the client asked for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from cortex.chat import ChatRequest, Delta, End, Event, Finish, Json, Usage
from cortex.dialects.answer import ToolCalls, assemble
from cortex.dialects.dialect import Provenance, StreamRenderer, error_object
from cortex.dialects.members import read, read_chat, read_text
from cortex.errors import ClientError

_encode = msgspec.json.encode

_ONE = msgspec.json.Decoder(Literal[1] | None)
_BOOLEANS = {True: msgspec.Raw(b"true"), False: msgspec.Raw(b"false")}


class ApiChatDialect:
    name = "api_chat"
    keepalive = b": ping\n\n"

    def parse(self, body: bytes) -> ChatRequest:
        """Raises Fault(BAD_REQUEST), with the member at fault as its `param`."""
        members, head = read_chat(body)
        provider = read_text(members, "provider")
        members.pop("provider", None)
        cache = members.pop("cache", None)
        read(members, "n", _ONE, "1: an answer here has one choice")
        stream = head.stream is not False
        members["stream"] = _BOOLEANS[stream]  # upstreams do not stream unless told to
        return ChatRequest(
            members,
            model=head.model,
            stream=stream,
            include_usage=True,
            provider=provider,
            output_tokens=head.output_tokens,
            has_parts=head.has_parts,
            cache=cache,
        )

    def form(self, request: ChatRequest) -> object:
        return None  # each answer tells its request's id

    def stream_renderer(self, request: ChatRequest, provenance: Provenance) -> StreamRenderer:
        return _StreamRenderer(provenance)

    def render_answer(self, request: ChatRequest, events: Sequence[Event], provenance: Provenance) -> bytes:
        answer = assemble(events)
        choice = answer.choices[0]
        rendered: dict[str, Json] = {"content": choice.content}
        if choice.reasoning:
            rendered["reasoning"] = choice.reasoning
        if choice.refusal:
            rendered["refusal"] = choice.refusal
        if choice.tool_calls:
            rendered["tool_calls"] = choice.tool_calls.as_json(provenance.request_id, 0)
        if choice.logprobs is not None:
            rendered["logprobs"] = choice.logprobs
        rendered["finish_reason"] = choice.finish_reason
        rendered["model"] = provenance.model
        rendered["usage"] = None if answer.usage is None else answer.usage.as_json()
        rendered["request_id"] = provenance.request_id
        return _encode(rendered)

    def render_error(self, error: ClientError, request_id: str) -> bytes:
        return _encode(error_object(error, request_id))

    def render_stream_error(self, error: ClientError, request_id: str) -> bytes:
        return b"event: error\ndata: " + self.render_error(error, request_id) + b"\n\n"


class _StreamRenderer:
    """One answer; what comes of other choices than the first is left out."""

    def __init__(self, provenance: Provenance) -> None:
        self._provenance = provenance
        self._tool_calls = ToolCalls()
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def render(self, events: Sequence[Event]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            match event:
                case Delta(choice=0):
                    frames.append(self._delta(event))
                case Finish(choice=0):
                    self._finish_reason = event.reason
                case Usage():
                    self._usage = event
                case End():
                    frames.append(self._end())
        return b"".join(frames)

    def _delta(self, delta: Delta) -> bytes:
        self._tool_calls.add(delta.tool_calls)
        if delta.content and not (delta.reasoning or delta.refusal) and delta.logprobs is None:
            return b'data: {"content":' + _encode(delta.content) + b"}\n\n"
        members = {"content": delta.content, "reasoning": delta.reasoning, "refusal": delta.refusal}
        told: dict[str, Json] = {name: text for name, text in members.items() if text}
        if delta.logprobs is not None:
            told["logprobs"] = delta.logprobs
        return b"data: " + _encode(told) + b"\n\n" if told else b""

    def _end(self) -> bytes:
        provenance = self._provenance
        done = {
            "done": True,
            "finish_reason": self._finish_reason,
            "model": provenance.model,
            "usage": None if self._usage is None else self._usage.as_json(),
            "request_id": provenance.request_id,
            "route": ">".join(provenance.route),
            "attempts": provenance.attempts(),
        }
        tool_calls = b""
        if self._tool_calls:
            calls = self._tool_calls.as_json(provenance.request_id, 0)
            tool_calls = b"data: " + _encode({"tool_calls": calls}) + b"\n\n"
        return tool_calls + b"event: done\ndata: " + _encode(done) + b"\n\n"
