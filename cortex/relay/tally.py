"""What is counted of an answer on its way to the client."""

from __future__ import annotations

import msgspec

from cortex.chat import Delta, Event, Finish, Start, Usage

_BYTES_A_TOKEN = 4
_BY_ITSELF = ("stop", "tool_calls")


class Tally(msgspec.Struct, gc=False):
    """`usage` is the upstream's, or the estimate that the client was told in its place; None where neither was."""

    model: str | None = None  # what the upstream calls it
    finish_reason: str | None = None  # the first choice's that finished
    usage: Usage | None = None
    output_bytes: int = 0  # about how much text was generated, UTF-8; of a whole answer with usage it is not counted
    complete: bool = False  # every choice that finished did so by itself: not cut for length, not filtered
    frames: int = 0  # about how many pieces it came in

    def note(self, event: Event) -> None:
        if isinstance(event, Delta):
            self.frames += 1
            self.output_bytes += text_bytes(event)
        elif isinstance(event, Finish):
            self.complete = event.reason in _BY_ITSELF and (self.complete or self.finish_reason is None)
            self.finish_reason = self.finish_reason or event.reason
        elif isinstance(event, Start):
            self.model = event.model or None
        elif isinstance(event, Usage):
            self.usage = event

    def estimate(self, prompt_tokens: int) -> Usage:
        """Usage where the upstream tells none."""
        return Usage(prompt_tokens, -(-self.output_bytes // _BYTES_A_TOKEN), estimated=True)


def text_bytes(delta: Delta) -> int:
    """How much of a delta was generated, in bytes of UTF-8."""
    size = len(delta.content.encode())
    if delta.reasoning or delta.refusal:
        size += len(delta.reasoning.encode()) + len(delta.refusal.encode())
    for piece in delta.tool_calls:
        size += len(piece.arguments.encode()) + len(piece.name or "")
    return size
