"""The stream of an upstream whose last event says that the answer is whole: one decoder for all such protocols.

What an event means is the answer's to say; when it is over, by the marker, a fault or the body's end, is said here.
Events are those of SSE, unless another framing is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from cortex.chat import Broken, Event
from cortex.errors import Fault, FaultKind
from cortex.sse import SseDecoder

Framing: TypeAlias = Callable[[bytes], Sequence[bytes]]  # bytes as they arrive → the data of the events they complete


class MarkedAnswer(Protocol):
    """One answer, event by event."""

    done: bool  # the marker has been seen

    def take(self, data: bytes, events: list[Event]) -> None:
        """Append what one event's data says. Raises Fault; what was appended before it stands."""


class MarkedStreamDecoder:
    """Implements cortex.providers.codec.StreamDecoder for one answer."""

    def __init__(self, answer: MarkedAnswer, framing: Framing | None = None) -> None:
        self._framing = framing or sse_data(SseDecoder())
        self._answer = answer
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        try:
            for each in self._framing(data):
                self._answer.take(each, events)
                if self._answer.done:
                    self._over = True
                    break
        except Fault as fault:
            self._over = True
            events.append(Broken(fault))
        return events

    def end(self) -> list[Event]:
        if self._over:
            return []
        self._over = True
        return [Broken(Fault(FaultKind.BROKEN, "the upstream's stream ended before its end marker"))]


def sse_data(decoder: SseDecoder) -> Framing:
    return lambda data: [frame.data for frame in decoder.feed(data) if frame.data]
