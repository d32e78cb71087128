"""What a request asks of a candidate, in the few facts that routing needs."""

from __future__ import annotations

from dataclasses import dataclass

CAPABILITIES = ("tools", "vision", "json_schema")  # what a model may lack, and a request may need


@dataclass(slots=True)  # not frozen: that would double what one costs a request
class Demand:
    prompt_tokens: int  # an estimate
    stream: bool
    output_tokens: int | None = None  # the most that the client wants; None: it named no limit
    needs: frozenset[str] = frozenset()  # of CAPABILITIES
