"""Cohere's answers → events: a stream of named events that `message-end` ends, or one message.

What an event is stands in its data's `type`; kinds that nobody here reads are skipped. What the model plans before it
calls tools is text that it says. A citation is kept if it leads to a URL, which is all that OpenAI can say of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cortex.chat import Delta, End, Event, Json, Start, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers.citations import url_citation
from cortex.providers.faults import NOT_DECODABLE, Row, classify_error, classify_error_body, row
from cortex.providers.openai_stream import OpenChoice
from cortex.providers.openai_wire import Call, Function, Said

# What Cohere means by statuses that mean something else elsewhere.
ROWS: tuple[Row, ...] = (
    row(FaultKind.INVALID_KEY, 498, text=r"api (key|token)"),
    row(FaultKind.CONTENT_FILTER, 498),
    row(FaultKind.UNSUPPORTED, 400, 422, text=r"unknown field|not a valid (field|parameter)"),
)

_NO_NAMES: Mapping[str, str] = {}


class _Content(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    """In an event each member is one object, in a whole answer and the first event a list."""

    content: _Content | list[_Content] | None = None
    tool_plan: str | None = None
    tool_calls: _Call | list[_Call] | None = None
    citations: Any = None


class _Delta(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: Any = None
    error: Any = None


class _Frame(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    id: str | None = None
    index: int = 0
    delta: _Delta | None = None
    logprobs: Any = None


class _Answer(msgspec.Struct):
    """A whole answer."""

    id: str = ""
    finish_reason: str = ""
    message: _Message | None = None
    usage: Any = None
    logprobs: Any = None
    error: Any = None


class CohereAnswer:
    """The state of one answer, whether it comes in events or whole. `names` gives functions their names back."""

    def __init__(self, names: Mapping[str, str] | None) -> None:
        self.done = False
        self._names = names or _NO_NAMES
        self._started = False
        self._choice = OpenChoice("")
        self._bare: dict[int, bool] = {}  # calls, by the upstream's index: whether they have no arguments yet

    def take(self, data: bytes, events: list[Event]) -> None:
        """Decode one event of a stream. Raises Fault if it is none, or tells an error."""
        try:
            frame = _decode_frame(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent a frame that is no event: {error}") from None
        kind = frame.type
        if not kind or kind == "error":
            raise classify_error_body(data)
        if kind == "message-start":
            self._start(frame.id or "", events)
        elif kind == "tool-call-end":
            self._end_call(frame.index, events)
        elif frame.delta is None:
            return
        elif kind == "message-end":
            self._finish(frame.delta, events)
        elif (said := frame.delta.message) is not None:
            self._add(kind, frame, said, events)

    def take_whole(self, data: bytes) -> list[Event]:
        """Decode a whole answer. Raises Fault if it is none, or tells an error."""
        try:
            answer = _decode_answer(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer is not a message: {error}") from None
        if answer.error:
            raise classify_error(answer.error, ROWS)
        if answer.message is None:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has no message")
        events: list[Event] = []
        self._start(answer.id, events)
        self._add_whole(answer.message, answer.logprobs, events)
        self._finish(_Delta(finish_reason=answer.finish_reason, usage=answer.usage), events)
        return events

    def _start(self, id: str, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            if not self._bare:
                self._choice = OpenChoice(id)
            events.append(Start(id, "", 0))

    def _add(self, kind: str, frame: _Frame, said: _Message, events: list[Event]) -> None:
        if kind in ("content-delta", "content-start"):
            if isinstance(said.content, _Content):
                _say(said.content, frame.logprobs, events)
        elif kind == "tool-plan-delta":
            if said.tool_plan:
                events.append(Delta(said.tool_plan))
        elif kind == "tool-call-start":
            if isinstance(said.tool_calls, _Call):
                self._call(frame.index, said.tool_calls, events)
        elif kind == "tool-call-delta":
            if isinstance(said.tool_calls, _Call) and said.tool_calls.function is not None:
                self._arguments(frame.index, said.tool_calls.function.arguments, events)
        elif kind == "citation-start":
            _cite(said.citations, events)

    def _add_whole(self, said: _Message, logprobs: Any, events: list[Event]) -> None:
        if said.tool_plan:
            events.append(Delta(said.tool_plan))
        for content in said.content if isinstance(said.content, list) else ():
            _say(content, None, events)
        for index, call in enumerate(said.tool_calls if isinstance(said.tool_calls, list) else ()):
            self._call(index, call, events)
            self._end_call(index, events)
        _cite(said.citations, events)
        for item in logprobs if isinstance(logprobs, list) else ():
            _say(_Content(), item, events)

    def _call(self, index: int, call: _Call, events: list[Event]) -> None:
        function = call.function or _Function()
        name = self._names.get(function.name or "", function.name)
        self._bare[index] = not function.arguments
        self._piece(Call(index, call.id, Function(name, function.arguments)), events)

    def _arguments(self, index: int, text: str | None, events: list[Event]) -> None:
        if text:
            self._bare[index] = False
            self._piece(Call(index, None, Function(None, text)), events)

    def _end_call(self, index: int, events: list[Event]) -> None:
        if self._bare.get(index):
            self._bare[index] = False
            self._piece(Call(index, None, Function(None, "{}")), events)

    def _piece(self, call: Call, events: list[Event]) -> None:
        pieces: tuple[ToolCallDelta, ...] = self._choice.pieces(Said(tool_calls=[call]))
        events.append(Delta(tool_calls=pieces))

    def _finish(self, ending: _Delta, events: list[Event]) -> None:
        reason = ending.finish_reason or ""
        if reason in ("ERROR", "TIMEOUT") or ending.error:
            if ending.error:
                raise classify_error(ending.error, ROWS)
            raise Fault(FaultKind.BROKEN, f"the upstream broke off with finish_reason {reason}")
        if not self._started or not reason:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer ended without a finish_reason")
        for index in list(self._bare) if reason != "MAX_TOKENS" else ():
            self._end_call(index, events)
        events.append(self._choice.finish(reason.lower(), 0))
        if (usage := read_usage(ending.usage)) is not None:
            events.append(usage)
        events.append(End())
        self.done = True


class _Tokens(msgspec.Struct):
    """Counts are written as floats."""

    input_tokens: float | None = None
    output_tokens: float | None = None


class _Usage(msgspec.Struct):
    """`tokens` counts what the model read and wrote; `billed_units` leaves out what Cohere adds to the prompt."""

    tokens: _Tokens | None = None
    billed_units: _Tokens | None = None
    cached_tokens: float | None = None


def read_usage(value: Any) -> Usage | None:
    """The usage of an answer, or the `meta` of embeddings; None if there is none or it is not of the form."""
    if not value:
        return None
    try:
        told = msgspec.convert(value, _Usage, strict=False)
        counts = told.tokens or told.billed_units or _Tokens()
        if counts.input_tokens is None and counts.output_tokens is None:
            return None
        return Usage(
            prompt_tokens=int(counts.input_tokens or 0),
            completion_tokens=int(counts.output_tokens or 0),
            cached_tokens=int(told.cached_tokens or 0),
        )
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


def _say(content: _Content, logprobs: Any, events: list[Event]) -> None:
    told = _logprobs(logprobs) if logprobs is not None else None
    if content.text or content.thinking or told is not None:
        events.append(Delta(content.text, content.thinking, logprobs=told))


class _Logprobs(msgspec.Struct):
    text: str = ""
    logprobs: list[float] = msgspec.field(default_factory=list)


def _logprobs(value: Any) -> Json:
    """Tokens that came as one piece of text count as one: its probability is the product of theirs."""
    try:
        told = msgspec.convert(value, _Logprobs)
    except msgspec.ValidationError:
        return None
    if not told.logprobs:
        return None
    token = {"token": told.text, "logprob": sum(told.logprobs), "bytes": list(told.text.encode()), "top_logprobs": []}
    return {"content": [token]}


class _Source(msgspec.Struct):
    document: dict[str, Any] | None = None
    tool_output: dict[str, Any] | None = None


class _Citation(msgspec.Struct):
    start: int = 0
    end: int = 0
    sources: list[_Source] = msgspec.field(default_factory=list)
    type: str | None = None  # what is cited in: the text, the thoughts or the plan


def _cite(value: Any, events: list[Event]) -> None:
    annotations = tuple(annotation for each in _citations(value) for annotation in _annotations(each))
    if annotations:
        events.append(Delta(annotations=annotations))


def _citations(value: Any) -> list[_Citation]:
    try:
        return msgspec.convert(value if isinstance(value, list) else [value], list[_Citation])
    except msgspec.ValidationError:
        return []


def _annotations(citation: _Citation) -> Iterator[dict[str, Json]]:
    if citation.type not in (None, "TEXT_CONTENT"):
        return
    for source in citation.sources:
        found = source.document or source.tool_output or {}
        annotation = url_citation(citation.start, citation.end, found.get("url"), found.get("title"))
        if annotation is not None:
            yield annotation


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
