"""The routing graph: named nodes over providers and their models, as configured. Immutable.

A target is a node, a provider (its default model, the first listed) or `provider/model` (the provider ends at the first
slash). What a client's `model` may be is wider: see `Graph.resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model at one provider: what an attempt is made on. None: unknown."""

    provider: str
    model: str
    context_tokens: int | None = None
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider's place in the graph. `candidates[0]` is its default model; switched off, it is never planned."""

    name: str
    priority: int
    candidates: tuple[Candidate, ...]
    off: str | None = None  # why it is switched off ("no key"), or None


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Cascade:
    """Targets in the order in which they are tried."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """Targets ordered anew for each request by a strategy: the first is the choice, the rest are failover."""

    strategy: str  # a name in `routing.strategies.STRATEGIES`
    targets: tuple[Target, ...]


Node: TypeAlias = Cascade | Balance


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: Mapping[str, Node]
    providers: Mapping[str, ProviderEntry]
    default_model: str | None = None  # for requests that name none; None: every provider in order of priority
