"""Every way a request can fail, and the one table that says what follows.

A `Fault` is the only exception that crosses rooms. Its kind picks a row of `TABLE`: where the request goes next, what
happens to the key and the candidate, and which status the client gets if nothing else is left. Rooms differ in what
they know, not in how they react.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from routing.policy import Failure, KeyEffect, Next, Policy

MAX_COOLDOWN_S = 24 * 3600.0


class FaultKind(StrEnum):
    # The way to the upstream.
    CONNECT = "connect"  # refused, unreachable, DNS, TLS, connect time-out
    STALE_CONNECTION = "stale_connection"  # a pooled connection that the upstream had closed
    TIMEOUT = "timeout"  # no headers, no first token, or a silence between tokens
    BROKEN = "broken"  # reset, cut body, bad framing, end without the terminal marker
    # What the upstream says.
    INVALID_RESPONSE = "invalid_response"  # not what its protocol promises: HTML, garbage, no choices, a redirect
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    TOO_LARGE_FOR_TIER = "too_large_for_tier"  # the request alone exceeds the account's limit
    INVALID_KEY = "invalid_key"
    NO_PERMISSION = "no_permission"
    MODEL_NOT_FOUND = "model_not_found"
    UNSUPPORTED = "unsupported"  # this provider cannot express the request
    CONTEXT_TOO_LONG = "context_length_exceeded"
    CONTENT_FILTER = "content_filter"
    BAD_REQUEST = "bad_request"
    # Ours and the client's.
    DEADLINE = "deadline"
    CLIENT_GONE = "client_gone"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: routing's part, and the client's if this is the error that it gets."""

    policy: Policy
    status: int
    type: str
    code: str


_CANDIDATE = Policy(Next.CANDIDATE, ejects=True, retry_same=True)
_STOP = Policy(Next.STOP)
_REQUEST = Policy(Next.STOP, request_fault=True)

TABLE: dict[FaultKind, Rule] = {
    FaultKind.CONNECT: Rule(_CANDIDATE, 502, "server_error", "upstream_unreachable"),
    FaultKind.STALE_CONNECTION: Rule(
        Policy(Next.SAME, retry_same=True), 502, "server_error", "upstream_connection_closed"
    ),
    FaultKind.TIMEOUT: Rule(_CANDIDATE, 502, "server_error", "upstream_timeout"),
    FaultKind.BROKEN: Rule(_CANDIDATE, 502, "server_error", "upstream_broken"),
    FaultKind.INVALID_RESPONSE: Rule(_CANDIDATE, 502, "server_error", "upstream_invalid_response"),
    FaultKind.OVERLOADED: Rule(_CANDIDATE, 502, "server_error", "upstream_overloaded"),
    FaultKind.SERVER_ERROR: Rule(_CANDIDATE, 502, "server_error", "upstream_error"),
    FaultKind.RATE_LIMITED: Rule(
        Policy(Next.KEY, key=KeyEffect.COOL, limited=True), 429, "rate_limit_error", "rate_limit_exceeded"
    ),
    FaultKind.QUOTA_EXHAUSTED: Rule(
        Policy(Next.KEY, key=KeyEffect.PARK, limited=True), 429, "insufficient_quota", "insufficient_quota"
    ),
    FaultKind.TOO_LARGE_FOR_TIER: Rule(
        Policy(Next.CANDIDATE, limited=True), 429, "rate_limit_error", "request_too_large_for_tier"
    ),
    FaultKind.INVALID_KEY: Rule(
        Policy(Next.KEY, key=KeyEffect.DISABLE), 502, "server_error", "upstream_authentication_failed"
    ),
    FaultKind.NO_PERMISSION: Rule(
        Policy(Next.KEY, key=KeyEffect.DISABLE), 502, "server_error", "upstream_permission_denied"
    ),
    FaultKind.MODEL_NOT_FOUND: Rule(Policy(Next.CANDIDATE), 502, "server_error", "upstream_model_not_found"),
    FaultKind.UNSUPPORTED: Rule(
        Policy(Next.CANDIDATE, request_fault=True), 400, "invalid_request_error", "unsupported_parameter"
    ),
    FaultKind.CONTEXT_TOO_LONG: Rule(
        Policy(Next.LARGER, request_fault=True), 400, "invalid_request_error", "context_length_exceeded"
    ),
    FaultKind.CONTENT_FILTER: Rule(_REQUEST, 400, "invalid_request_error", "content_filter"),
    FaultKind.BAD_REQUEST: Rule(_REQUEST, 400, "invalid_request_error", "invalid_request"),
    FaultKind.DEADLINE: Rule(_STOP, 504, "server_error", "deadline_exceeded"),
    FaultKind.CLIENT_GONE: Rule(_STOP, 499, "server_error", "client_closed_request"),
}

# The request's own fault: the client can mend it, and no other candidate would take the request as it is.
REQUEST_FAULTS = frozenset(kind for kind, rule in TABLE.items() if rule.policy.request_fault)


class Fault(Exception):
    """An upstream call, or a client's request, that cannot be completed.

    `message` is for a person; it may quote the upstream and is redacted where it leaves the process.
    `status` is the upstream's own, if it answered at all; for a request fault it is what the client gets.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        model_scoped: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.model_scoped = model_scoped

    @property
    def rule(self) -> Rule:
        return TABLE[self.kind]

    @property
    def failure(self) -> Failure:
        return Failure(self.rule.policy, self.retry_after_s, self.model_scoped)


@dataclass(frozen=True, slots=True)
class ClientError:
    """What the client is told, before its dialect gives it a shape."""

    status: int
    message: str
    type: str
    code: str
    param: str | None = None
    retry_after_s: float | None = None  # what may stand in Retry-After; at most 30
    wait_s: float | None = None  # the true wait
    should_retry: bool | None = None  # `x-should-retry`: False where a retry cannot help
    attempts: tuple[dict[str, object], ...] = ()


def bad_request(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> Fault:
    """The client's request cannot be taken as it is."""
    return Fault(FaultKind.BAD_REQUEST, message, status=status, param=param, code=code)
