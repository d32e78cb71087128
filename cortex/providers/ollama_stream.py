"""Ollama's native answers → events: lines of JSON, of which the one with `done: true` is the last, or that one alone.

Errors come inside a 200 as a line `{"error": "text"}`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from cortex.chat import Delta, End, Event, Finish, Start, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.ndjson import NdjsonDecoder
from cortex.providers.faults import NOT_DECODABLE, Row, classify_error, row
from cortex.providers.marked_stream import MarkedStreamDecoder
from cortex.providers.openai_stream import made_up_id

# What Ollama means by statuses and words that mean something else elsewhere.
ROWS: tuple[Row, ...] = (
    row(FaultKind.BAD_REQUEST, 500, text=r"^option \"|must be of type"),
    row(
        FaultKind.CONTEXT_TOO_LONG,
        400,
        500,
        text=r"prompt too long|longer than the context length|exceeds the (available )?context (length|size)",
    ),
    row(FaultKind.UNSUPPORTED, 400, 500, text=r"does not support"),
    row(FaultKind.MODEL_NOT_FOUND, 400, 404, 500, text=r"model .{1,200} not found"),
    row(FaultKind.OVERLOADED, 500, 503, text=r"server busy|maximum pending requests"),
)


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: Any = None


class _Call(msgspec.Struct, gc=False):
    function: _Function
    id: str | None = None


class _Said(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class Line(msgspec.Struct, gc=False):
    """One line of a stream, or a whole answer."""

    model: str = ""
    created_at: str = ""
    message: _Said | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Any] | None = None
    error: Any = None


class OllamaAnswer:
    """The state of one answer, whether it comes in lines or whole."""

    def __init__(self) -> None:
        self.done = False
        self._started = False
        self._calls = 0
        self._created_at = ""

    def take(self, data: bytes, events: list[Event]) -> None:
        """Append one line's events. Raises Fault if it is no line of an answer."""
        try:
            line = _decode(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent a line that is no answer: {error}") from None
        if line.error:
            raise classify_error(line.error, ROWS)
        if line.message is None and not line.done:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent a line without a message")
        if not self._started:
            self._started = True
            self._created_at = line.created_at
            events.append(Start("", line.model, _unix_s(line.created_at)))
        if line.message is not None and (delta := self._delta(line, line.message)) is not None:
            events.append(delta)
        if line.done:
            self._finish(line, events)

    def _delta(self, line: Line, said: _Said) -> Delta | None:
        calls = tuple(self._call(call) for call in said.tool_calls or ())
        logprobs = {"content": line.logprobs} if line.logprobs else None
        if said.content or said.thinking or calls or logprobs:
            return Delta(said.content or "", said.thinking or "", "", calls, logprobs=logprobs)
        return None

    def _call(self, call: _Call) -> ToolCallDelta:
        """A call comes whole. Older servers give it no id."""
        index = self._calls
        self._calls += 1
        arguments = call.function.arguments
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
        return ToolCallDelta(index, text, call.id or made_up_id(self._created_at, index), call.function.name)

    def _finish(self, line: Line, events: list[Event]) -> None:
        self.done = True
        reason = "length" if line.done_reason == "length" else "tool_calls" if self._calls else "stop"
        events.append(Finish(reason))
        if line.prompt_eval_count is not None or line.eval_count is not None:
            events.append(Usage(line.prompt_eval_count or 0, line.eval_count or 0))
        events.append(End())


class OllamaStreamDecoder(MarkedStreamDecoder):
    """Implements cortex.providers.codec.StreamDecoder for one answer."""

    def __init__(self) -> None:
        super().__init__(OllamaAnswer(), NdjsonDecoder().feed)

    def end(self) -> list[Event]:
        """A last line without its line end counts: a whole JSON object cannot be a cut one."""
        return self.feed(b"\n") + super().end()


_decode = msgspec.json.Decoder(Line).decode


def _unix_s(created_at: str) -> int:
    try:
        date = datetime.fromisoformat(created_at)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, OSError):
        return 0
