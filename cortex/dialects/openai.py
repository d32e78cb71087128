"""OpenAI's chat completions, as clients speak them.

Requests keep every member untouched, known or not. Answers that are rendered anew follow the form that the strictest
of the known clients needs; `cortex.dialects.openai_stream` says which.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cortex.chat import ChatRequest, Event, Json
from cortex.dialects.answer import Choice, assemble
from cortex.dialects.dialect import Provenance, StreamRenderer, error_object
from cortex.dialects.members import read_chat
from cortex.dialects.openai_stream import OpenAIStreamRenderer, answer_head
from cortex.errors import ClientError


class OpenAIDialect:
    name = "openai"
    keepalive = b": ping\n\n"

    def parse(self, body: bytes) -> ChatRequest:
        """Raises Fault(BAD_REQUEST), with the member at fault as its `param`."""
        members, head = read_chat(body)
        cache = members.pop("cache", None)
        return ChatRequest(
            members,
            model=head.model,
            stream=head.stream is True,
            include_usage=head.include_usage,
            output_tokens=head.output_tokens,
            has_parts=head.has_parts,
            cache=cache,
        )

    def form(self, request: ChatRequest) -> object:
        return (request.include_usage,) if request.stream else ()

    def stream_renderer(self, request: ChatRequest, provenance: Provenance) -> StreamRenderer:
        return OpenAIStreamRenderer(provenance, include_usage=request.include_usage)

    def render_answer(self, request: ChatRequest, events: Sequence[Event], provenance: Provenance) -> bytes:
        answer = assemble(events)
        rendered = answer_head(answer.start, "chat.completion", provenance)
        rendered["choices"] = [_choice(choice, provenance.request_id) for choice in answer.choices]
        if answer.usage is not None:
            rendered["usage"] = answer.usage.as_json()
        return msgspec.json.encode(rendered)

    def render_error(self, error: ClientError, request_id: str) -> bytes:
        return msgspec.json.encode(error_object(error, request_id))

    def render_stream_error(self, error: ClientError, request_id: str) -> bytes:
        return b"data: " + self.render_error(error, request_id) + b"\n\n"


def _choice(choice: Choice, request_id: str) -> dict[str, Json]:
    message: dict[str, Json] = {"role": "assistant", "content": choice.content, "refusal": choice.refusal or None}
    if not choice.content and (choice.tool_calls or choice.refusal):
        message["content"] = None
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = choice.tool_calls.as_json(request_id, choice.index)
    if choice.annotations:
        message["annotations"] = choice.annotations
    return {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason,
    }
