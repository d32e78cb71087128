"""JSON answers: nothing of one is sent before all of it has been understood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from cortex.chat import ChatRequest, Delta, End, Event, Usage
from cortex.dialects.dialect import Dialect, Provenance
from cortex.providers.codec import Codec, Encoded
from cortex.relay.tally import Tally


def whole_answer(
    codec: Codec, call: Encoded, body: bytes, dialect: Dialect, request: ChatRequest, provenance: Provenance
) -> tuple[bytes, Tally]:
    """The client's JSON answer: the upstream's own bytes if it speaks the dialect. Raises Fault."""
    if call.forwards == dialect.name:
        return body, _plain_tally(body) or _tally(codec.decode_chat(call, body))
    events = codec.decode_chat(call, body)
    tally = _tally(events)
    return dialect.render_answer(request, _with_usage(events, tally, provenance), provenance), tally


def whole_as_stream(
    codec: Codec, call: Encoded, body: bytes, dialect: Dialect, request: ChatRequest, provenance: Provenance
) -> tuple[bytes, Tally]:
    """The whole stream for a client that asked for one and an upstream that did not stream. Raises Fault."""
    events = codec.decode_chat(call, body)
    tally = _tally(events)
    return dialect.stream_renderer(request, provenance).render(_with_usage(events, tally, provenance)), tally


def stream_as_whole(
    codec: Codec, call: Encoded, data: bytes, dialect: Dialect, request: ChatRequest, provenance: Provenance
) -> bytes:
    """The JSON answer of a stream that has come whole."""
    decoder = codec.chat_decoder(call)
    events = decoder.feed(data)
    if not (events and isinstance(events[-1], End)):
        events = [*events, *decoder.end()]
    return dialect.render_answer(request, _with_usage(events, _tally(events), provenance), provenance)


class _PlainMessage(msgspec.Struct, gc=False):
    content: str | None = None
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    message: _PlainMessage
    finish_reason: Literal["stop", "length", "content_filter"]


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class _Reasoning(msgspec.Struct, gc=False):
    reasoning_tokens: int = 0


class _PlainUsage(msgspec.Struct, gc=False):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Cached | None = None
    completion_tokens_details: _Reasoning | None = None
    num_cached_tokens: None = None
    input_tokens: None = None
    output_tokens: None = None


class _PlainAnswer(msgspec.Struct, gc=False):
    """A form that has no room for anything but text: see `cortex.relay.forward`."""

    choices: Annotated[list[_PlainChoice], msgspec.Meta(min_length=1)]
    usage: _PlainUsage
    model: str
    error: None = None
    x_groq: None = None
    object: Literal["chat.completion"] | None = None


_decode_plain = msgspec.json.Decoder(_PlainAnswer).decode


def _plain_tally(body: bytes) -> Tally | None:
    """Of an OpenAI-shaped answer that brings text and usage and nothing else; None: the codec says what it is."""
    try:
        answer = _decode_plain(body)
        if not body.isascii():
            body.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    used = answer.usage
    cached, reasoning = used.prompt_tokens_details or _Cached(), used.completion_tokens_details or _Reasoning()
    usage = Usage(
        used.prompt_tokens,
        used.completion_tokens,
        cached.cached_tokens,
        cached.cache_write_tokens,
        reasoning.reasoning_tokens,
    )
    reasons = [choice.finish_reason for choice in answer.choices]
    return Tally(answer.model or None, reasons[0], usage, complete=reasons.count("stop") == len(reasons))


def _tally(events: Sequence[Event]) -> Tally:
    tally = Tally()
    for event in events:
        if not isinstance(event, Delta):
            tally.note(event)
    if tally.usage is None:  # how much was said matters only where nobody has counted it
        for event in events:
            if isinstance(event, Delta):
                tally.note(event)
    return tally


def _with_usage(events: Sequence[Event], tally: Tally, provenance: Provenance) -> Sequence[Event]:
    """The events, with an estimate before their end where the upstream tells no usage."""
    if tally.usage is not None:
        return events
    tally.usage = tally.estimate(provenance.prompt_tokens)
    return [*events[:-1], tally.usage, *events[-1:]]
