"""What a classifier says of one prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# What decided: what can be seen of the text; its vector; the node's own examples; the conversation before it; or
# nothing did, and the default is taken.
Stage: TypeAlias = Literal["features", "embedding", "examples", "affinity", "abstained"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`route` None: the default, for `reason`. `best`: up to two routes with their probabilities, likelier first."""

    route: str | None
    best: tuple[tuple[str, float], ...]
    threshold: float | None  # that the best had to reach
    stage: Stage
    reason: str | None = None
