"""OpenAI's chat answers, streamed and whole, as types, and what their pieces mean in the canonical vocabulary.

Members that nobody here reads are skipped while decoding. What vendors differ in (reasoning under two names, content as
a list, arguments as an object) is levelled here, so that the stream and the whole answer agree.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cortex.chat import Delta, Start, ToolCallDelta, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers.faults import NOT_DECODABLE


class Piece(msgspec.Struct, gc=False):
    """An item of content that is a list: `text`, or `thinking` whose own text may be a list again."""

    type: str = "text"
    text: str = ""
    thinking: Any = None


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None

    @property
    def arguments_text(self) -> str:
        if isinstance(self.arguments, dict):
            return msgspec.json.encode(self.arguments).decode()
        return self.arguments or ""


class Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Said(msgspec.Struct, gc=False):
    """A delta, or a whole message."""

    content: str | list[Piece] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None  # the form that tool_calls replaced

    def texts(self) -> tuple[str, str]:
        """Content and reasoning."""
        reasoning = self.reasoning_content or self.reasoning
        if not isinstance(reasoning, str):
            reasoning = ""
        content = self.content
        if isinstance(content, list):
            reasoning += "".join(_thought(piece.thinking) for piece in content if piece.type == "thinking")
            content = "".join(piece.text for piece in content if piece.type == "text")
        return content or "", reasoning


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class XGroq(msgspec.Struct, gc=False):
    usage: Any = None
    error: Any = None


class Answer(msgspec.Struct, gc=False):
    """A chunk, or a whole completion."""

    id: str | None = None
    model: str | None = None
    created: Any = None
    object: str | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: XGroq | None = None
    system_fingerprint: Any = None
    service_tier: Any = None

    def start(self) -> Start:
        extra: dict[str, Any] | None = None
        if self.system_fingerprint is not None or self.service_tier is not None:
            told = {"system_fingerprint": self.system_fingerprint, "service_tier": self.service_tier}
            extra = {name: value for name, value in told.items() if value is not None}
        created = self.created if isinstance(self.created, int) else 0
        return Start(self.id or "", self.model or "", created, extra)


_decoder = msgspec.json.Decoder(Answer)
decode_answer = _decoder.decode


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


class _Usage(msgspec.Struct):
    """The Responses API says input and output where chat completions say prompt and completion."""

    prompt_tokens: int | None = None
    input_tokens: int | None = None
    completion_tokens: int | None = None
    output_tokens: int | None = None
    num_cached_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    input_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    output_tokens_details: _CompletionDetails | None = None


def read_usage(value: Any) -> Usage | None:
    """The usage member of an answer, of either of OpenAI's APIs; None if there is none or it is not of the form: the
    answer stands without it."""
    if not value:
        return None
    try:
        told = msgspec.convert(value, _Usage, strict=False)
    except msgspec.ValidationError:
        return None
    read = told.input_tokens if told.prompt_tokens is None else told.prompt_tokens
    written = told.output_tokens if told.completion_tokens is None else told.completion_tokens
    if read is None and written is None:
        return None
    prompt = told.prompt_tokens_details or told.input_tokens_details or _NO_PROMPT_DETAILS
    completion = told.completion_tokens_details or told.output_tokens_details or _NO_COMPLETION_DETAILS
    return Usage(
        prompt_tokens=read or 0,
        completion_tokens=written or 0,
        cached_tokens=prompt.cached_tokens or told.num_cached_tokens or 0,
        cache_write_tokens=prompt.cache_write_tokens or 0,
        reasoning_tokens=completion.reasoning_tokens or 0,
    )


# Words that say the answer was broken off, whatever came of it before.
ERROR_REASONS = frozenset(
    {"error", "abort", "aborted", "cancelled", "canceled", "failed", "network_error", "insufficient_system_resource"}
)
_REASONS = {"length": "length", "max_tokens": "length", "model_length": "length", "content_filter": "content_filter"}


def finish_reason(word: str, *, called: bool) -> str:
    """OpenAI's word for why a choice ended. Whether a tool was called is told by the answer, not by the word.

    Raises Fault(BROKEN) for a word that says it was broken off.
    """
    if word.lower() in ERROR_REASONS:
        raise Fault(FaultKind.BROKEN, f"the upstream broke off with finish_reason {word[:40]}")
    return _REASONS.get(word) or ("tool_calls" if called else "stop")


def whole_json(arguments: str) -> bool:
    """Whether a finished call's arguments can be used; no arguments at all are none."""
    try:
        msgspec.json.decode(arguments or "{}", type=msgspec.Raw)
    except NOT_DECODABLE:
        return False
    return True


def delta_of(choice: Choice, said: Said, calls: tuple[ToolCallDelta, ...]) -> Delta | None:
    """The event for one choice of one frame; None if it adds nothing."""
    content, reasoning = said.texts()
    refusal = said.refusal or ""
    if content or reasoning or refusal or calls or choice.logprobs:
        return Delta(content, reasoning, refusal, calls, choice.index, choice.logprobs)
    return None


def _thought(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(item["text"] for item in value if isinstance(item, dict) and isinstance(item.get("text"), str))
    return ""
