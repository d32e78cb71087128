"""Puts the events of one answer together again, for dialects that render it whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cortex.chat import Delta, Event, Finish, Json, Start, ToolCallDelta, Usage
from cortex.dialects.dialect import made_up_call_id


class ToolCalls:
    """The tool calls of one choice, from their pieces."""

    def __init__(self) -> None:
        self._calls: dict[int, _ToolCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, pieces: Iterable[ToolCallDelta]) -> None:
        for piece in pieces:
            call = self._calls.setdefault(piece.index, _ToolCall())
            call.id = call.id or piece.id
            call.name = call.name or piece.name
            call.extra_content = call.extra_content or piece.extra_content
            call.arguments.append(piece.arguments)

    def as_json(self, request_id: str, choice: int) -> list[Json]:
        """OpenAI's `tool_calls` of a whole message, in the order of their indices."""
        return [
            call.as_json(call.id or made_up_call_id(request_id, choice, index))
            for index, call in sorted(self._calls.items())
        ]


@dataclass(slots=True)
class _ToolCall:
    id: str | None = None
    name: str | None = None
    arguments: list[str] = field(default_factory=list)
    extra_content: Json = None

    def as_json(self, call_id: str) -> dict[str, Json]:
        function = {"name": self.name or "", "arguments": "".join(self.arguments)}
        told: dict[str, Json] = {"id": call_id, "type": "function", "function": function}
        if self.extra_content is not None:
            told["extra_content"] = self.extra_content
        return told


@dataclass(slots=True)
class Choice:
    """One choice of a whole answer."""

    index: int
    finish_reason: str | None = None
    tool_calls: ToolCalls = field(default_factory=ToolCalls)
    logprobs: dict[str, Json] | None = None
    annotations: list[Json] = field(default_factory=list)
    _content: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _refusal: list[str] = field(default_factory=list)

    def add(self, delta: Delta) -> None:
        self._content.append(delta.content)
        self._reasoning.append(delta.reasoning)
        self._refusal.append(delta.refusal)
        self.tool_calls.add(delta.tool_calls)
        self.annotations += delta.annotations
        if isinstance(delta.logprobs, dict):
            self._add_logprobs(delta.logprobs)

    def _add_logprobs(self, logprobs: dict[str, Json]) -> None:
        """Each delta brings lists of its own tokens: `content`, `refusal`."""
        known = self.logprobs = self.logprobs or {}
        for name, tokens in logprobs.items():
            before = known.get(name)
            if isinstance(before, list) and isinstance(tokens, list):
                before.extend(tokens)
            else:
                known[name] = [*tokens] if isinstance(tokens, list) else tokens

    @property
    def content(self) -> str:
        return "".join(self._content)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def refusal(self) -> str:
        return "".join(self._refusal)


@dataclass(slots=True)
class Answer:
    """A whole answer. `choices` has at least the first."""

    start: Start
    choices: Sequence[Choice]
    usage: Usage | None


def assemble(events: Iterable[Event]) -> Answer:
    start = Start("", "", 0)
    usage: Usage | None = None
    choices: dict[int, Choice] = {0: Choice(0)}
    for event in events:
        match event:
            case Start():
                start = event
            case Delta(choice=index):
                choices.setdefault(index, Choice(index)).add(event)
            case Finish(reason=reason, choice=index):
                choices.setdefault(index, Choice(index)).finish_reason = reason
            case Usage():
                usage = event
    return Answer(start, [choices[index] for index in sorted(choices)], usage)
