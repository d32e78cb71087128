"""Counters since the start, as /api/stats shows them. Plain integers; one event loop owns them."""

from __future__ import annotations

from cortex.chat import Json
from cortex.refusal import NOTHING_TO_ASK
from cortex.telemetry.record import RequestRecord


class Stats:
    def __init__(self, started: float) -> None:
        self.started = started  # monotonic seconds
        self.active = 0
        self.total = 0
        self.completed = 0
        self.failed = 0
        self.no_workers = 0  # nothing was able to serve: every candidate off, ejected or out of keys
        self._duration_ms = 0.0
        self._total_tokens = 0
        self._completion_tokens = 0
        self._cost_usd = 0.0
        self._unpriced = 0

    def begin(self) -> None:
        self.total += 1
        self.active += 1

    def settle(self, record: RequestRecord) -> None:
        self.active -= 1
        if record.outcome == "completed":
            self.completed += 1
        else:
            self.failed += 1
            if record.error == NOTHING_TO_ASK:
                self.no_workers += 1
        self._duration_ms += record.duration_ms
        if record.usage is not None and not record.from_cache:
            self._total_tokens += record.usage.total_tokens
            self._completion_tokens += record.usage.completion_tokens
            if record.cost_usd is None:
                self._unpriced += 1
            else:
                self._cost_usd += record.cost_usd

    def requests(self) -> dict[str, Json]:
        return {
            "total": self.total,
            "completed": self.completed,
            "failed": self.failed,
            "no_workers": self.no_workers,
            "active": self.active,
        }

    def performance(self) -> dict[str, Json]:
        settled = self.completed + self.failed
        seconds = self._duration_ms / 1000
        return {
            "average_duration_ms": round(self._duration_ms / settled, 3) if settled else 0.0,
            "total_tokens": self._total_tokens,
            "tokens_per_second": round(self._completion_tokens / seconds, 3) if seconds else 0.0,
        }

    def cost(self) -> dict[str, Json]:
        """USD of the answers whose price is known, and how many were not priced."""
        return {"usd": round(self._cost_usd, 9), "unpriced_requests": self._unpriced}
