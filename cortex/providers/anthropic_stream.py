"""Anthropic's answers → events: a stream of named blocks that `message_stop` ends, or one message.

What an event is stands in its data's `type`; kinds that nobody here reads, `ping` among them, are skipped, as
Anthropic asks of clients. What OpenAI has no place for is left out: redacted thoughts, what tools on Anthropic's
servers do, and citations that lead to no URL. Whole answers take the same way as streamed ones.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cortex.chat import Delta, End, Event, Finish, Json, Start, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers.citations import MAX_CITATIONS, url_citation
from cortex.providers.faults import NOT_DECODABLE, Row, classify_error, row
from cortex.providers.openai_wire import whole_json

MAX_ARGUMENT_CHARS = 8 * 1024 * 1024
_MAX_CALLS = 4096

# What Anthropic means by statuses and words that mean something else elsewhere.
ROWS: tuple[Row, ...] = (
    row(FaultKind.QUOTA_EXHAUSTED, 400, text=r"credit balance|spend(ing)? limit|usage limits?"),
    row(
        FaultKind.QUOTA_EXHAUSTED,
        429,
        words="contract_spend_limit_reached enforced_spend_limit_reached ramp_limit_exceeded",
    ),
    row(FaultKind.TOO_LARGE_FOR_TIER, 413, words="request_too_large"),
    # What a model refuses that another provider's may take.
    row(
        FaultKind.UNSUPPORTED,
        400,
        text=r"deprecated for this model|cannot both be specified|may not be enabled|expected `thinking`",
    ),
)

_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: Any = None
    citations: Any = None


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    citation: Any = None
    stop_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    usage: Any = None


class _Frame(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: Any = None
    error: Any = None


class _Answer(msgspec.Struct):
    """A whole answer."""

    id: str = ""
    model: str = ""
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Citation(msgspec.Struct):
    """Of a page (`url`), of a search's result (`source`, which may be a URL), or of a document, which has neither."""

    url: Any = None
    source: Any = None
    title: Any = None


class _OpenCall:
    """A tool's call whose block has not stopped."""

    def __init__(self, index: int, input: Any) -> None:
        self.index = index
        self.input = input  # what its block began with
        self.pieces: list[str] = []


class AnthropicAnswer:
    """The state of one answer, whether it comes in events or whole."""

    def __init__(self) -> None:
        self.done = False
        self._started = False
        self._reason: str | None = None
        self._usage: dict[str, Any] = {}
        self._open: dict[int, _OpenCall] = {}
        self._calls = 0
        self._chars = 0
        self._said = 0  # characters of text
        self._cited_from = 0  # where the block begins that is being said
        self._cited: list[Json] = []  # in that block
        self._citations = 0

    def take(self, data: bytes, events: list[Event]) -> None:
        """Decode one event of a stream. Raises Fault if it is none, or tells an error."""
        try:
            frame = _decode_frame(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent a frame that is no event: {error}") from None
        kind = frame.type
        if kind == "content_block_delta" and frame.delta is not None:
            self._add(frame.index, frame.delta, events)
        elif kind == "content_block_start" and frame.content_block is not None:
            self._begin(frame.index, frame.content_block, events)
        elif kind == "content_block_stop":
            self._stop(frame.index, events)
        elif kind == "message_start" and frame.message is not None:
            self._start(frame.message.id, frame.message.model, frame.message.usage, events)
        elif kind == "message_delta":
            self._reason = (frame.delta and frame.delta.stop_reason) or self._reason
            self._count(frame.usage)
        elif kind == "message_stop":
            self._finish(events)
        elif kind == "error" or frame.error:
            raise classify_error(frame.error, ROWS)

    def take_whole(self, data: bytes) -> list[Event]:
        """Decode a whole answer. Raises Fault if it is none, or tells an error."""
        try:
            answer = _decode_answer(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer is not a message: {error}") from None
        if answer.error:
            raise classify_error(answer.error, ROWS)
        if answer.content is None:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has no content")
        events: list[Event] = []
        self._start(answer.id, answer.model, answer.usage, events)
        for index, block in enumerate(answer.content):
            self._begin(index, block, events)
            self._stop(index, events)
        self._reason = answer.stop_reason
        self._finish(events)
        return events

    def _start(self, id: str, model: str, usage: Any, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            self._count(usage)
            events.append(Start(id, model, 0))

    def _begin(self, index: int, block: _Block, events: list[Event]) -> None:
        if block.type == "text":
            self._cited_from = self._said
            if block.text:
                self._say(block.text, events)
            for citation in block.citations if isinstance(block.citations, list) else ():
                self._cite(citation)
        elif block.type == "thinking":
            if block.thinking:
                events.append(Delta(reasoning=block.thinking))
        elif block.type == "tool_use":
            if self._calls >= _MAX_CALLS:
                raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent more tool calls than anyone can use")
            call = self._open[index] = _OpenCall(self._calls, block.input)
            self._calls += 1
            events.append(Delta(tool_calls=(ToolCallDelta(call.index, "", block.id, block.name),)))

    def _add(self, index: int, delta: _Delta, events: list[Event]) -> None:
        if delta.text:
            self._say(delta.text, events)
        elif delta.thinking:
            events.append(Delta(reasoning=delta.thinking))
        elif delta.partial_json and (call := self._open.get(index)) is not None:
            self._chars += len(delta.partial_json)
            if self._chars > MAX_ARGUMENT_CHARS:
                raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's tool calls are larger than anyone can use")
            call.pieces.append(delta.partial_json)
            events.append(Delta(tool_calls=(ToolCallDelta(call.index, delta.partial_json),)))
        elif delta.citation is not None:
            self._cite(delta.citation)

    def _say(self, text: str, events: list[Event]) -> None:
        self._said += len(text)
        events.append(Delta(text))

    def _cite(self, citation: Any) -> None:
        self._citations += 1
        if self._citations > MAX_CITATIONS:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer cites more than anyone can use")
        self._cited.append(citation)

    def _annotate(self, events: list[Event]) -> None:
        """It is the whole block that cites, so what it cites has a place when the block ends."""
        found = [_annotation(citation, self._cited_from, self._said) for citation in self._cited]
        self._cited.clear()
        if annotations := tuple(each for each in found if each is not None):
            events.append(Delta(annotations=annotations))

    def _stop(self, index: int, events: list[Event]) -> None:
        """A call without a piece has the arguments that its block began with, which may be none."""
        if self._cited:
            self._annotate(events)
        call = self._open.get(index)
        if call is None:
            return
        if not call.pieces:
            arguments = msgspec.json.encode(call.input or {}).decode()
            events.append(Delta(tool_calls=(ToolCallDelta(call.index, arguments),)))
        elif not whole_json("".join(call.pieces)):
            return  # cut: what the stop reason makes of it is seen at the end
        del self._open[index]

    def _finish(self, events: list[Event]) -> None:
        if not self._started:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's stream ended without an answer")
        reason = _REASONS.get(self._reason or "") or ("tool_calls" if self._calls else "stop")
        if reason in ("tool_calls", "stop") and self._open:
            raise Fault(FaultKind.BROKEN, "the upstream's tool call ended inside its arguments")
        self.done = True
        self._annotate(events)
        events.append(Finish(reason))
        if (usage := read_usage(self._usage)) is not None:
            events.append(usage)
        events.append(End())

    def _count(self, usage: Any) -> None:
        """Later counts replace earlier ones; what a later one leaves out stands."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}


def _annotation(citation: Any, start: int, end: int) -> Json:
    try:
        cited = msgspec.convert(citation, _Citation)
    except msgspec.ValidationError:
        return None
    return url_citation(start, end, cited.url or cited.source, cited.title)


def read_usage(told: dict[str, Any]) -> Usage | None:
    """Tokens under Cortex's definition: Anthropic counts what its cache holds apart from the input."""
    if not told:
        return None
    try:
        usage = msgspec.convert(told, _Usage, strict=False)
    except msgspec.ValidationError:
        return None
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details or _OutputDetails()
    return Usage(
        prompt_tokens=(usage.input_tokens or 0) + cached + written,
        completion_tokens=usage.output_tokens or 0,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=details.thinking_tokens or 0,
    )


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
