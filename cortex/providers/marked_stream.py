"""The stream of an upstream whose last event says that the answer is whole: one decoder for all such protocols.

What an event means is the answer's to say; when it is over, by the marker, a fault or the body's end, is said here.
"""

from __future__ import annotations

from typing import Protocol

from cortex.chat import Broken, Event
from cortex.errors import Fault, FaultKind
from cortex.sse import SseDecoder


class MarkedAnswer(Protocol):
    """One answer, event by event."""

    done: bool  # the marker has been seen

    def take(self, data: bytes, events: list[Event]) -> None:
        """Append what one SSE event's data says. Raises Fault; what was appended before it stands."""


class MarkedStreamDecoder:
    """Implements cortex.providers.codec.StreamDecoder for one answer."""

    def __init__(self, answer: MarkedAnswer) -> None:
        self._sse = SseDecoder()
        self._answer = answer
        self._over = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        try:
            for frame in self._sse.feed(data):
                if frame.data:
                    self._answer.take(frame.data, events)
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
