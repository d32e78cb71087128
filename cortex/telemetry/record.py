"""The record of one request: filled in on its way, handed to the telemetry once when it is settled."""

from __future__ import annotations

import msgspec

from cortex.chat import Json, Usage
from routing.semantic.judgement import Judgement


class AttemptRecord(msgspec.Struct):
    """One attempt. Times are milliseconds since the request's start, but for `connect_ms`, a duration."""

    target: str  # provider/model
    key: str  # "groq#1": provider and position, never more
    start_ms: float
    status: int | None = None  # the upstream's own
    kind: str = "ok"  # a FaultKind, "ok", or "cancelled"
    message: str | None = None  # redacted
    connect_ms: float | None = None
    first_token_ms: float | None = None
    end_ms: float | None = None
    next: str | None = None  # key, candidate, retry, stop
    calls: int = 1  # upstream calls: more than one where one cannot take the whole request

    def summary(self) -> dict[str, Json]:
        """What a client may see of it."""
        seen: dict[str, Json] = {"target": self.target, "key": self.key, "status": self.status, "kind": self.kind}
        if self.message is not None:
            seen["message"] = self.message
        return seen

    def decision(self) -> dict[str, Json]:
        return {
            **self.summary(),
            "start_ms": _ms(self.start_ms),
            "connect_ms": _ms(self.connect_ms),
            "first_token_ms": _ms(self.first_token_ms),
            "end_ms": _ms(self.end_ms),
            "next": self.next,
            **({"calls": self.calls} if self.calls > 1 else {}),
        }


class CandidateRecord(msgspec.Struct):
    """One candidate of the plan; `skip` says why it was passed over."""

    target: str
    skip: str | None = None
    until: float | None = None  # Unix time in seconds, where the reason ends by itself


class ClassifyRecord(msgspec.Struct):
    """What one `classify` node made of the request."""

    node: str
    judgement: Judgement
    took_ms: float

    def decision(self) -> dict[str, Json]:
        judged = self.judgement
        return {
            "node": self.node,
            "route": judged.route,
            "stage": judged.stage,
            "best": [{"route": route, "p": round(p, 4)} for route, p in judged.best],
            "threshold": None if judged.threshold is None else round(judged.threshold, 4),
            "reason": judged.remarks,
            "took_ms": _ms(self.took_ms),
        }


class RuleRecord(msgspec.Struct):
    """Which rule of a `rules` node held."""

    node: str
    when: str
    to: str


_FROM_CACHE = frozenset({"hit", "semantic", "coalesced"})


class RequestRecord(msgspec.Struct):
    request_id: str
    time: float  # Unix time in seconds
    started: float  # monotonic seconds
    dialect: str
    client: str | None = None  # the client key's name
    stream: bool = False
    model_asked: str | None = None
    model: str | None = None  # provider/model that answered
    upstream_model: str | None = None  # what the upstream calls it
    route: tuple[str, ...] = ()
    classify: tuple[ClassifyRecord, ...] = ()
    rules: tuple[RuleRecord, ...] = ()
    candidates: list[CandidateRecord] = []
    attempts: list[AttemptRecord] = []
    dropped: tuple[str, ...] = ()  # request members that the answering provider could not be told
    cache: str = "bypass"  # hit, semantic, coalesced, miss, bypass
    cache_reason: str | None = None
    cache_key: str | None = None  # the entry's digest
    cache_age_s: float | None = None  # of what was answered from the cache
    cache_similarity: float | None = None  # of the question that was answered
    usage: Usage | None = None
    cost_usd: float | None = None  # of an upstream's answer; of one from the cache 0
    saved_usd: float | None = None  # what an answer from the cache cost when it was new
    finish_reason: str | None = None
    outcome: str = "failed"  # completed, failed, cut (after content had gone), cancelled
    status: int = 0
    error: str | None = None  # the code that the client was told
    duration_ms: float = 0.0
    overhead_ms: float | None = None
    traceparent: str | None = None

    def gone(self) -> None:
        """The client has left before its answer was whole."""
        self.outcome, self.status, self.error = "cancelled", 499, "client_closed_request"

    def attempt_summaries(self) -> list[dict[str, Json]]:
        return [attempt.summary() for attempt in self.attempts]

    def headers(self) -> dict[str, str]:
        """What an answer's headers tell of it, as far as it is known when they go."""
        told = {
            "x-cortex-attempts": str(len(self.attempts)),
            "x-cortex-cache": self.cache,
            "x-cortex-overhead-ms": f"{self.overhead_ms or 0.0:.3f}",
        }
        if self.cache_key is not None:
            told["x-cortex-cache-key"] = self.cache_key
            if self.cache_age_s is not None:
                told["Age"] = str(int(self.cache_age_s))
            if self.cache_similarity is not None:
                told["x-cortex-cache-similarity"] = f"{self.cache_similarity:.4f}"
        if self.model is not None:
            told["x-cortex-model"] = self.model
        if self.route:
            told["x-cortex-route"] = ">".join(self.route)
        if self.dropped and self.model is not None:
            told["x-cortex-warning"] = f"dropped={','.join(self.dropped)}"
        return told

    @property
    def from_cache(self) -> bool:
        """Answered without an upstream call of its own."""
        return self.cache in _FROM_CACHE

    def _cache(self) -> dict[str, Json]:
        told: dict[str, Json] = {"result": self.cache, "reason": self.cache_reason, "key": self.cache_key}
        if self.from_cache:
            told["age_s"] = None if self.cache_age_s is None else round(self.cache_age_s, 3)
            told["saved_usd"] = self.saved_usd
        if self.cache_similarity is not None:
            told["similarity"] = round(self.cache_similarity, 4)
        return told

    def decision(self) -> dict[str, Json]:
        """The record as /api/decisions shows it."""
        return {
            "request_id": self.request_id,
            "time": self.time,
            "dialect": self.dialect,
            "client": self.client,
            "stream": self.stream,
            "model_asked": self.model_asked,
            "model": self.model,
            "upstream_model": self.upstream_model,
            "route": list(self.route),
            "classify": [each.decision() for each in self.classify],
            "rules": [{"node": rule.node, "when": rule.when, "to": rule.to} for rule in self.rules],
            "candidates": [
                {
                    "target": candidate.target,
                    **({"skip": candidate.skip} if candidate.skip else {}),
                    **({"until": round(candidate.until, 3)} if candidate.until is not None else {}),
                }
                for candidate in self.candidates
            ],
            "attempts": [attempt.decision() for attempt in self.attempts],
            "dropped": list(self.dropped),
            "cache": self._cache(),
            "usage": None if self.usage is None else self.usage.as_json(),
            "cost_usd": self.cost_usd,
            "finish_reason": self.finish_reason,
            "outcome": self.outcome,
            "status": self.status,
            "error": self.error,
            "duration_ms": _ms(self.duration_ms),
            "overhead_ms": _ms(self.overhead_ms),
        }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
