"""Answers of OpenAI's Responses API → events: a stream of named events that `response.completed` or
`response.incomplete` ends, or one response.

What an event is stands in its data's `type`; kinds that nobody here reads are skipped, and so are items of tools that
run at OpenAI. Whole answers take the same way as streamed ones, item by item.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cortex.chat import Delta, End, Event, Json, Start
from cortex.errors import Fault, FaultKind
from cortex.providers.faults import NOT_DECODABLE, classify_error, classify_error_body
from cortex.providers.openai_stream import OpenChoice
from cortex.providers.openai_wire import Call, Function, Said, read_usage

_ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_REASONS = {"completed": "stop", "incomplete": "length"}


class _Item(msgspec.Struct, gc=False):
    """A piece of the output. What `content` and `summary` hold depends on its type."""

    type: str = ""
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    content: Any = None
    summary: Any = None


class _Part(msgspec.Struct):
    """A piece of an item's content, or of its summary."""

    type: str = ""
    text: str = ""
    refusal: str = ""
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str = ""
    model: str = ""
    created_at: float | None = None
    status: str | None = None
    output: list[_Item] | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None
    service_tier: str | None = None
    usage: Any = None


class _Frame(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    output_index: int = 0
    summary_index: int = 0
    delta: Any = None
    item: _Item | None = None
    annotation: Any = None
    logprobs: list[Any] | None = None
    response: _Response | None = None
    error: Any = None


class ResponsesAnswer:
    """The state of one answer, whether it comes in events or whole."""

    def __init__(self) -> None:
        self.done = False
        self._started = False
        self._said_something = False
        self._choice = OpenChoice("")
        self._calls: dict[int, bool] = {}  # by their index in the output: whether they have arguments

    def take(self, data: bytes, events: list[Event]) -> None:
        """Decode one event of a stream. Raises Fault if it is none, or tells an error."""
        try:
            frame = _decode_frame(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent a frame that is no event: {error}") from None
        kind = frame.type
        if isinstance(frame.delta, str) and frame.delta:
            self._add(kind, frame, frame.delta, events)
        elif frame.item is not None:
            if frame.item.type == "function_call":
                take = self._call if kind == "response.output_item.added" else self._whole_call
                take(frame.output_index, frame.item, events)
        elif kind == "response.output_text.annotation.added":
            _annotate([frame.annotation], events)
        elif kind == "response.reasoning_summary_part.added" and frame.summary_index:
            events.append(Delta(reasoning="\n\n"))
        elif kind in _ENDINGS:
            self._end(kind, frame.response, events)
        elif kind == "error" or frame.error:
            raise classify_error_body(data)
        elif not kind:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent a frame that is no event of a response")
        elif frame.response is not None:
            self._start(frame.response, events)

    def take_whole(self, data: bytes) -> list[Event]:
        """Decode a whole answer. Raises Fault if it is none, or tells an error."""
        try:
            response = _decode_response(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer is not a response: {error}") from None
        if response.error and response.status is None:
            raise classify_error(response.error)
        if response.output is None:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has no output")
        events: list[Event] = []
        self._start(response, events)
        self._finish(response.status or "", response, events)
        return events

    def _start(self, response: _Response, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            if not self._calls:
                self._choice = OpenChoice(response.id)
            extra = {"service_tier": response.service_tier} if response.service_tier else None
            events.append(Start(response.id, response.model, int(response.created_at or 0), extra))

    def _add(self, kind: str, frame: _Frame, text: str, events: list[Event]) -> None:
        if kind == "response.output_text.delta":
            events.append(Delta(text, logprobs={"content": frame.logprobs} if frame.logprobs else None))
        elif kind == "response.function_call_arguments.delta":
            self._arguments(frame.output_index, text, events)
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            events.append(Delta(reasoning=text))
        elif kind == "response.refusal.delta":
            events.append(Delta(refusal=text))
        else:
            return
        self._said_something = True

    def _end(self, kind: str, response: _Response | None, events: list[Event]) -> None:
        if response is None:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's stream ended without a response")
        self._start(response, events)
        self._finish(kind.removeprefix("response."), response, events)

    def _finish(self, status: str, response: _Response, events: list[Event]) -> None:
        if status == "failed":
            raise classify_error(response.error or "the upstream failed")
        if status not in _REASONS:
            raise Fault(FaultKind.BROKEN, f"the upstream left its answer {status[:40] or 'without a status'}")
        if not self._said_something:  # it came whole
            for index, item in enumerate(response.output or ()):
                self._take_item(index, item, events)
        reason = _REASONS[status]
        if (
            reason == "length"
            and response.incomplete_details
            and response.incomplete_details.reason == "content_filter"
        ):
            reason = "content_filter"
        for index, has_arguments in list(self._calls.items()):
            if reason == "stop" and not has_arguments:
                self._arguments(index, "{}", events)
        events.append(self._choice.finish(reason, 0))
        if (usage := read_usage(response.usage)) is not None:
            events.append(usage)
        events.append(End())
        self.done = True

    def _take_item(self, index: int, item: _Item, events: list[Event]) -> None:
        if item.type == "function_call":
            self._whole_call(index, item, events)
        elif item.type == "reasoning":
            texts = [part.text for part in _parts(item.summary)] or [part.text for part in _parts(item.content)]
            if any(texts):
                events.append(Delta(reasoning="\n\n".join(texts)))
        elif item.type == "message":
            for part in _parts(item.content):
                if part.text or part.refusal:
                    logprobs = {"content": part.logprobs} if part.logprobs else None
                    events.append(Delta(part.text, refusal=part.refusal, logprobs=logprobs))
                _annotate(part.annotations or [], events)

    def _call(self, index: int, item: _Item, events: list[Event]) -> None:
        self._said_something = True
        text = item.arguments if isinstance(item.arguments, str) else ""
        self._calls[index] = bool(text)
        self._piece(Call(index, item.call_id, Function(item.name, text)), events)

    def _arguments(self, index: int, text: str, events: list[Event]) -> None:
        self._calls[index] = True
        self._piece(Call(index, None, Function(None, text)), events)

    def _whole_call(self, index: int, item: _Item, events: list[Event]) -> None:
        """What of a call has not come in pieces."""
        if index not in self._calls:
            self._call(index, item, events)
        if not self._calls[index]:
            text = item.arguments if isinstance(item.arguments, str) else ""
            self._arguments(index, text or "{}", events)

    def _piece(self, call: Call, events: list[Event]) -> None:
        events.append(Delta(tool_calls=self._choice.pieces(Said(tool_calls=[call]))))


def _parts(value: Any) -> list[_Part]:
    if not value:
        return []
    try:
        return msgspec.convert(value, list[_Part])
    except msgspec.ValidationError as error:
        raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer has an item of another form: {error}") from None


def _annotate(given: list[Any], events: list[Event]) -> None:
    """Citations of pages. Chat completions has no other."""
    annotations: list[Json] = []
    for each in given:
        if isinstance(each, dict) and each.get("type") == "url_citation":
            cited = {name: each.get(name) for name in ("start_index", "end_index", "url", "title")}
            annotations.append({"type": "url_citation", "url_citation": cited})
    if annotations:
        events.append(Delta(annotations=tuple(annotations)))


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_response = msgspec.json.Decoder(_Response).decode
