"""A stream on OpenAI's wire → events.

It is whole at `data: [DONE]`, and not before: neither a finish reason nor the body's end proves that nothing is
missing. Whatever is not of the form, an error frame and a finish reason that names an error end it as `Broken`.
"""

from __future__ import annotations

import hashlib
import re

from cortex.chat import Broken, End, Event, Finish, ToolCallDelta
from cortex.errors import Fault, FaultKind
from cortex.providers.faults import NOT_DECODABLE, classify_error, classify_error_body
from cortex.providers.openai_wire import (
    Answer,
    Call,
    Choice,
    Function,
    Said,
    decode_answer,
    delta_of,
    finish_reason,
    read_usage,
    whole_json,
)
from cortex.sse import SseDecoder, SseEvent

MAX_ARGUMENT_CHARS = 8 * 1024 * 1024
_MAX_CALLS = 4096
_MAX_CHOICES = 1024
_NOTHING_SAID = Said()
_MARKER = re.compile(rb"data: ?\[DONE\]")


class OpenAIStreamDecoder:
    """Implements cortex.providers.codec.FrameDecoder for one answer."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._over = False
        self._started = False
        self._usage: object = None
        self._groq_usage: object = None
        self._choices: dict[int, OpenChoice] = {}

    def feed(self, data: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            frames = self._sse.feed(data)
        except Fault as fault:
            self._over = True
            return [Broken(fault)]
        return [event for frame in frames for event in self.take(frame)]

    def take(self, frame: SseEvent) -> list[Event]:
        events: list[Event] = []
        if self._over or not frame.data:
            return events
        try:
            self._over = self._take(frame.event, frame.data, events)
        except Fault as fault:
            self._over = True
            events.append(Broken(fault))
        return events

    def end(self) -> list[Event]:
        """A last `data: [DONE]` counts without its blank line: some servers end so, and nothing could be missing."""
        events = self.feed(b"\n\n") if _MARKER.fullmatch(self._sse.rest().strip()) else []
        if self._over:
            return events
        self._over = True
        return [Broken(Fault(FaultKind.BROKEN, "the upstream's stream ended before its end marker"))]

    def _take(self, name: bytes | None, data: bytes, events: list[Event]) -> bool:
        """Whether this was the end marker."""
        if data.startswith(b"[DONE]"):
            self._finish(events)
            return True
        try:
            chunk = decode_answer(data)
        except NOT_DECODABLE as error:
            raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream sent a frame that is no chunk: {error}") from None
        check_error(chunk, data, is_error=name == b"error")
        self._usage = chunk.usage or self._usage
        if chunk.x_groq is not None:
            self._groq_usage = chunk.x_groq.usage or self._groq_usage
        if chunk.choices and not self._started:
            self._started = True
            events.append(chunk.start())
        for choice in chunk.choices or ():
            self._take_choice(choice, chunk.id or "", events)
        return False

    def _take_choice(self, choice: Choice, answer_id: str, events: list[Event]) -> None:
        open_choice = self._choices.get(choice.index)
        if open_choice is None:
            if len(self._choices) >= _MAX_CHOICES:
                raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent more choices than anyone asks for")
            open_choice = self._choices[choice.index] = OpenChoice(f"{answer_id}:{choice.index}")
        said = choice.delta or _NOTHING_SAID
        calls: tuple[ToolCallDelta, ...] = ()
        if said.tool_calls or said.function_call:
            calls = open_choice.pieces(said)
        if (delta := delta_of(choice, said, calls)) is not None:
            open_choice.said_something |= delta.is_content
            events.append(delta)
        if choice.finish_reason and not open_choice.finished:
            events.append(open_choice.finish(choice.finish_reason, choice.index))

    def _finish(self, events: list[Event]) -> None:
        for index, choice in self._choices.items():
            if not choice.finished and choice.said_something:
                events.append(choice.finish("stop", index))  # the marker says that it is whole
        if not any(choice.finished for choice in self._choices.values()):
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's stream ended without an answer")
        # Where both come they count the same tokens, and Groq's own tells more.
        if (usage := read_usage(self._groq_usage or self._usage)) is not None:
            events.append(usage)
        events.append(End())


class OpenChoice:
    """What one choice has said so far, as far as later frames depend on it."""

    def __init__(self, seed: str) -> None:
        self.finished = False
        self.said_something = False
        self._seed = seed
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}
        self._chars = 0

    def pieces(self, said: Said) -> tuple[ToolCallDelta, ...]:
        pieces = [self._piece(call) for call in said.tool_calls or ()]
        if said.function_call is not None:
            pieces.append(self._piece(Call(index=0, function=said.function_call)))
        return tuple(pieces)

    def finish(self, word: str, index: int) -> Finish:
        reason = finish_reason(word, called=bool(self._calls))
        whole = not self._calls or reason not in ("tool_calls", "stop")
        if not whole and not all(whole_json(call.arguments) for call in self._calls):
            raise Fault(FaultKind.BROKEN, "the upstream's tool call ended inside its arguments")
        self.finished = True
        return Finish(reason, index)

    def _piece(self, call: Call) -> ToolCallDelta:
        function = call.function or Function()
        text = function.arguments_text
        known = self._known(call, function)
        self._chars += len(text)
        if self._chars > MAX_ARGUMENT_CHARS:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's tool calls are larger than anyone can use")
        if known is not None:
            known.pieces.append(text)
            name = None if known.named else function.name
            known.named = known.named or bool(name)
            return ToolCallDelta(known.index, text, name=name)
        opened = self._open(call)
        opened.pieces.append(text)
        opened.named = bool(function.name)
        return ToolCallDelta(opened.index, text, call.id or made_up_id(self._seed, opened.index), function.name)

    def _known(self, call: Call, function: Function) -> _OpenCall | None:
        """The call that this piece goes on with. Some vendors leave out the index, or repeat one for every call."""
        if call.index is not None:
            last = self._by_index.get(call.index)
        else:
            last = self._calls[-1] if self._calls else None
            if last is not None and function.name and not call.id:
                return None
        return None if last is None or (call.id and call.id != last.id) else last

    def _open(self, call: Call) -> _OpenCall:
        if len(self._calls) >= _MAX_CALLS:
            raise Fault(FaultKind.INVALID_RESPONSE, "the upstream sent more tool calls than anyone can use")
        opened = _OpenCall(len(self._calls), call.id)
        self._calls.append(opened)
        if call.index is not None:
            self._by_index[call.index] = opened
        return opened


class _OpenCall:
    def __init__(self, index: int, call_id: str | None) -> None:
        self.index = index
        self.id = call_id  # the upstream's, if it gave one
        self.named = False
        self.pieces: list[str] = []

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


def made_up_id(seed: str, index: int) -> str:
    """An id for a tool call that came without one, the same whenever the same answer is decoded."""
    return "call_" + hashlib.sha256(f"{seed}:{index}".encode()).hexdigest()[:8]


def check_error(answer: Answer, body: bytes, *, is_error: bool = False) -> None:
    """Raise the fault that a frame or a body tells instead of an answer."""
    if answer.error:
        raise classify_error(answer.error)
    if answer.x_groq is not None and answer.x_groq.error:
        raise classify_error(answer.x_groq.error)
    if is_error or answer.object == "error":
        raise classify_error_body(body)
    if answer.choices is None and not answer.usage:
        raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer has no choices")
