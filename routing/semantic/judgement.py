"""What a classifier says of one prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# What decided: what can be seen of the text; its vector; the node's own examples; the conversation before it; or
# nothing did, and the default is taken.
Stage: TypeAlias = Literal["features", "embedding", "examples", "affinity", "abstained"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`route` None: the default, for `reason`. `best`: up to two routes with their probabilities, likelier first.

    `no_vector`: why there was none, where one was wanted.
    """

    route: str | None
    best: tuple[tuple[str, float], ...]
    threshold: float | None  # that the best had to reach
    stage: Stage
    reason: str | None = None
    no_vector: str | None = None

    @property
    def remarks(self) -> str | None:
        """All there is to say of it."""
        return "; ".join(filter(None, (self.reason, self.no_vector))) or None


def abstained(reason: str) -> Judgement:
    """Without a look at the routes."""
    return Judgement(None, (), None, "abstained", reason)
