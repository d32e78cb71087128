"""The response cache: what is remembered of answers and which are under way, one a process; reloads do not empty it.

`cortex.caching.caching` looks at it with one configuration's eyes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.key import Keys
from cache.store import Bounds, Store
from cortex.caching.answer import Answer
from cortex.caching.flight import Flights
from cortex.caching.vectors import KeptVector
from cortex.config.cache import CacheConfig
from cortex.embedding.factory import EmbedderSettings

if TYPE_CHECKING:
    from cache.semantic import SemanticIndex


@dataclass(slots=True)
class CacheCounts:
    """Requests since the start, by what came of them, and what they did not cost."""

    hits: int = 0
    semantic: int = 0
    coalesced: int = 0
    misses: int = 0
    bypassed: int = 0
    saved_tokens: int = 0
    saved_usd: float = 0.0  # where the price is known


class ResponseCache:
    def __init__(self, config: CacheConfig) -> None:
        bounds = _bounds(config)
        self.keys = Keys(secrets.token_bytes(32))  # of no use outside this process
        self.store: Store[Answer | KeptVector] = Store(bounds)
        self.flights = Flights(bounds.max_entry_bytes, bounds.max_bytes)
        self.counts = CacheCounts()
        self._questions: SemanticIndex | None = None
        self._embedder: EmbedderSettings | None = None

    def questions(self, embedder: EmbedderSettings, max_entries: int) -> SemanticIndex:
        """Those whose answers are remembered, as this embedder knows them: another's vectors compare with none."""
        from cache.semantic import SemanticIndex

        if self._questions is None or self._embedder != embedder:
            self._questions, self._embedder = SemanticIndex(max_entries), embedder
        self._questions.max_entries = max_entries
        return self._questions

    def configure(self, config: CacheConfig) -> None:
        """A reload: what no longer has room goes at once."""
        bounds = self.store.bounds = _bounds(config)
        self.flights.max_bytes, self.flights.most_bytes = bounds.max_entry_bytes, bounds.max_bytes


def _bounds(config: CacheConfig) -> Bounds:
    exact = config.exact
    if not exact.enabled:
        return Bounds(0, 0, 0)
    return Bounds(exact.max_entries, exact.max_bytes, exact.max_entry_bytes)
