"""Gemini's answers → events, streamed or whole: a stream's frames are whole answers of which each holds what is new.

There is no end marker. An answer is whole when it has told why it finished, or that the prompt was blocked, and its
body has ended: a chunk after that may still bring usage, which is told anew each time for all that came before.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cortex.chat import Delta, End, Event, Finish, Json, Start, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers.faults import NOT_DECODABLE
from cortex.providers.gemini_citations import Citations
from cortex.providers.gemini_faults import classify_error
from cortex.providers.marked_stream import MarkedStreamDecoder, sse_data
from cortex.providers.openai_stream import made_up_id
from cortex.sse import SseDecoder

# Any other word says that the answer went wrong.
_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
        ),
        "content_filter",
    ),
}
_NO_USAGE = msgspec.Raw(b"null")


class _Call(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool | None = None
    function_call: _Call | None = None
    thought_signature: str | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Token(msgspec.Struct, rename="camel", gc=False):
    token: str = ""
    log_probability: float | None = None

    def as_json(self) -> dict[str, Json]:
        return {
            "token": self.token,
            "logprob": self.log_probability or 0.0,  # a certain token has none
            "bytes": list(self.token.encode("utf-8", "surrogatepass")),
        }


class _Tokens(msgspec.Struct, gc=False):
    candidates: list[_Token] | None = None


class _Logprobs(msgspec.Struct, rename="camel", gc=False):
    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Tokens] | None = None

    def as_json(self) -> Json:
        """In OpenAI's form; None if there is none."""
        chosen = self.chosen_candidates or []
        top = [tokens.candidates or [] for tokens in self.top_candidates or ()]
        top += [[]] * (len(chosen) - len(top))
        told = [
            {**token.as_json(), "top_logprobs": [each.as_json() for each in others]}
            for token, others in zip(chosen, top, strict=False)
        ]
        return {"content": told} if told else None


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs_result: _Logprobs | None = None
    citation_metadata: Any = None
    grounding_metadata: Any = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class Chunk(msgspec.Struct, rename="camel", gc=False):
    """One frame of a stream, or a whole answer."""

    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: msgspec.Raw = _NO_USAGE
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


def read_usage(value: msgspec.Raw) -> Usage | None:
    """None if there is none or it is not of the form: the answer stands without it."""
    try:
        counts = msgspec.json.decode(value, type=_Counts | None, strict=False)
    except NOT_DECODABLE:
        return None
    if counts is None:
        return None
    thoughts = counts.thoughts_token_count or 0
    return Usage(
        prompt_tokens=(counts.prompt_token_count or 0) + (counts.tool_use_prompt_token_count or 0),
        completion_tokens=(counts.candidates_token_count or 0) + thoughts,
        cached_tokens=counts.cached_content_token_count or 0,
        reasoning_tokens=thoughts,
    )


class GeminiAnswer:
    """The state of one answer."""

    def __init__(self) -> None:
        self.done = False
        self._started = False
        self._id = ""
        self._calls = 0
        self._reason: str | None = None
        self._usage = _NO_USAGE
        self._citations = Citations()

    @property
    def ended(self) -> bool:
        """Whether it has told why it finished."""
        return self._reason is not None

    def take(self, data: bytes, events: list[Event]) -> None:
        """Append what a frame adds. Raises Fault if it is no answer, or tells that something went wrong."""
        try:
            chunk = _decode(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent what is no answer: {error}") from None
        if chunk.error is not None:
            raise classify_error(chunk.error)
        if not self._started:
            self._started = True
            self._id = chunk.response_id or ""
            events.append(Start(self._id, chunk.model_version or "", 0))
        if chunk.usage_metadata is not _NO_USAGE:
            self._usage = chunk.usage_metadata
        if chunk.candidates:
            if (delta := self._delta(chunk.candidates[0])) is not None:
                events.append(delta)
        elif chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._reason = self._reason or "content_filter"

    def finish(self, events: list[Event]) -> None:
        """The body has ended with the answer. Call only where `ended`."""
        reason = self._reason or ""
        self.done = True
        if annotations := self._citations.annotations():
            events.append(Delta(annotations=annotations))
        # A tool call finishes with the word of any other answer.
        events.append(Finish("tool_calls" if reason == "stop" and self._calls else reason))
        if (usage := read_usage(self._usage)) is not None:
            events.append(usage)
        events.append(End())

    def _delta(self, candidate: _Candidate) -> Delta | None:
        if candidate.finish_reason is not None:
            self._finish(candidate.finish_reason)
        content = reasoning = ""
        calls: tuple[ToolCallDelta, ...] = ()
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if part.function_call is not None:
                    calls += (self._call(part.function_call, part.thought_signature),)
                elif not part.text:
                    continue
                elif part.thought:
                    reasoning += part.text
                else:
                    content += part.text
        if content:
            self._citations.say(content)
        if candidate.citation_metadata is not None or candidate.grounding_metadata is not None:
            self._citations.note(candidate.citation_metadata, candidate.grounding_metadata)
        logprobs = candidate.logprobs_result.as_json() if candidate.logprobs_result is not None else None
        if content or reasoning or calls or logprobs:
            return Delta(content, reasoning, "", calls, 0, logprobs)
        return None

    def _finish(self, word: str) -> None:
        reason = _REASONS.get(word)
        if reason is None:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream broke off with finishReason {word[:60]}")
        self._reason = reason

    def _call(self, call: _Call, signature: str | None) -> ToolCallDelta:
        """A call comes whole, and may come without an id."""
        if not call.name:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent a tool call without a name")
        index = self._calls
        self._calls += 1
        extra_content = {"google": {"thought_signature": signature}} if signature else None
        return ToolCallDelta(
            index, _arguments(call.args), call.id or made_up_id(self._id, index), call.name, extra_content
        )


def _arguments(value: msgspec.Raw) -> str:
    """The object as compact text, its numbers untouched."""
    try:
        text = msgspec.json.format(bytes(value), indent=-1).decode()
    except NOT_DECODABLE:
        text = ""
    if text == "null":
        return "{}"
    if not text.startswith("{"):
        raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent a tool call whose arguments are no object")
    return text


class GeminiStreamDecoder(MarkedStreamDecoder):
    """Implements cortex.providers.codec.StreamDecoder for one answer."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._gemini = GeminiAnswer()
        super().__init__(self._gemini, sse_data(self._sse))

    def end(self) -> list[Event]:
        """The body's end is the marker. A last frame may lack its blank line: a whole JSON object is no cut one."""
        events = self.feed(b"\n\n") if self._sse.rest() else []
        if self._gemini.ended and not self._over:
            self._over = True
            self._gemini.finish(events)
        return events + super().end()
