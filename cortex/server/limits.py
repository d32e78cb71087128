"""What a client may cost the server before and beside its answer. Numbers only; tests set their own."""

from __future__ import annotations

from dataclasses import dataclass

MAX_HEADER_LINE_BYTES = 16 * 1024
WRITE_HIGH_WATER_BYTES = 64 * 1024  # what is kept for a client that does not read, beside the kernel's buffer


@dataclass(frozen=True, slots=True)
class Limits:
    """None of them is a limit on an answer: that is the request's deadline."""

    head_s: float = 10.0  # from a request's first byte to the end of its headers
    body_idle_s: float = 30.0  # silence within a request's body
    keep_alive_s: float = 75.0  # an idle connection
    unread_s: float = 60.0  # a client that takes nothing of what is written to it
    linger_s: float = 2.0  # for the rest of a body that was refused unread: closing at once could lose the answer
    sweep_s: float = 1.0  # how often connections are looked at
    bodies: int = 8  # largest bodies that all requests in flight may hold together
    least_bodies_bytes: int = 256 * 1024 * 1024  # or this, where it is more

    def bodies_bytes(self, max_body_bytes: int) -> int:
        """What the bodies of all requests in flight may hold together."""
        return max(self.bodies * max_body_bytes, self.least_bodies_bytes)
