"""Decodes an upstream's answer to events and renders them in the client's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from cortex.chat import Broken, Delta, End, Event, Finish, Usage
from cortex.dialects.dialect import StreamRenderer
from cortex.errors import Fault, FaultKind
from cortex.providers.codec import StreamDecoder
from cortex.relay.tally import Tally
from cortex.sse import MAX_EVENT_BYTES

# Of the upstream's, up to and with the first content, which may come in one frame of the largest size.
MAX_HELD_BYTES = MAX_EVENT_BYTES + 1024 * 1024
_MAX_ENDING_EVENTS = 4096


class Rerender:
    """Implements cortex.relay.Relay for an upstream that speaks otherwise than the client."""

    def __init__(self, decoder: StreamDecoder, renderer: StreamRenderer, prompt_tokens: int) -> None:
        self.committed = False
        self.whole = False
        self.fault: Fault | None = None
        self.tally = Tally()
        self._decoder = decoder
        self._renderer = renderer
        self._prompt_tokens = prompt_tokens
        self._held: list[Event] = []  # until the commit
        self._ending: list[Event] = []  # until the terminal marker
        self._held_bytes = 0

    def feed(self, data: bytes) -> bytes:
        if self.whole or self.fault is not None:
            return b""
        rendered = self._take(self._decoder.feed(data))
        if not self.committed:
            self._held_bytes += len(data)
            if self._held_bytes > MAX_HELD_BYTES:
                self._fail(FaultKind.INVALID_RESPONSE, f"the upstream sent {self._held_bytes} bytes before any content")
        return rendered

    def end(self) -> bytes:
        if self.whole or self.fault is not None:
            return b""
        rendered = self._take(self._decoder.end())
        if not self.whole:
            self._fail(FaultKind.BROKEN, "the upstream's stream ended before its end marker")
        return rendered

    def _take(self, events: Sequence[Event]) -> bytes:
        ready: list[Event] = []
        for event in events:
            self.tally.note(event)
            match event:
                case Broken(fault=fault):
                    self.fault = fault
                    break
                case End():
                    ready += [*self._held, *self._ending, *self._estimate(), event]
                    self.committed = self.whole = True
                    break
                case Finish() | Usage():
                    self._ending.append(event)
                case _ if self.committed:
                    ready.append(event)
                case _:
                    self._held.append(event)
                    if isinstance(event, Delta) and event.is_content:
                        self.committed = True
                        ready += self._held
                        self._held.clear()
        if len(self._ending) > _MAX_ENDING_EVENTS and not self.whole:
            self._fail(FaultKind.INVALID_RESPONSE, "the upstream ended more often than it has choices")
        return self._renderer.render(ready) if ready else b""

    def _estimate(self) -> list[Event]:
        """Usage for the client where the upstream tells none."""
        if self.tally.usage is not None:
            return []
        self.tally.usage = self.tally.estimate(self._prompt_tokens)
        return [self.tally.usage]

    def _fail(self, kind: FaultKind, message: str) -> None:
        if self.fault is None:
            self.fault = Fault(kind, message)
