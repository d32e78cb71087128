"""JSON answers: nothing of one is sent before all of it has been understood."""

from __future__ import annotations

from collections.abc import Sequence

from cortex.chat import ChatRequest, Delta, Event
from cortex.dialects.dialect import Dialect, Provenance
from cortex.providers.codec import Codec, Encoded
from cortex.relay.tally import Tally


def whole_answer(
    codec: Codec, call: Encoded, body: bytes, dialect: Dialect, request: ChatRequest, provenance: Provenance
) -> tuple[bytes, Tally]:
    """The client's JSON answer: the upstream's own bytes if it speaks the dialect. Raises Fault."""
    events = codec.decode_chat(call, body)
    tally = _tally(events)
    if call.forwards == dialect.name:
        return body, tally
    return dialect.render_answer(request, _with_usage(events, tally, provenance), provenance), tally


def whole_as_stream(
    codec: Codec, call: Encoded, body: bytes, dialect: Dialect, request: ChatRequest, provenance: Provenance
) -> tuple[bytes, Tally]:
    """The whole stream for a client that asked for one and an upstream that did not stream. Raises Fault."""
    events = codec.decode_chat(call, body)
    tally = _tally(events)
    return dialect.stream_renderer(request, provenance).render(_with_usage(events, tally, provenance)), tally


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
