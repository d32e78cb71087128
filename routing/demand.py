"""What a request asks of a candidate, in the few numbers that routing needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    prompt_tokens: int  # an estimate
    stream: bool
    output_tokens: int | None = None  # the most that the client wants; None: it named no limit
