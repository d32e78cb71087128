"""What the client is told when nothing answered: the last row of the story, picked by one order of precedence.

The request's own fault → its 4xx; every candidate limited → 429; the deadline → 504; nothing to ask → 503; else 502.
An upstream's 401 or 403 is never the client's: the keys are ours.
"""

from __future__ import annotations

import math

from cortex.errors import REQUEST_FAULTS, ClientError, Fault, FaultKind, bad_request
from cortex.telemetry.record import RequestRecord
from routing.cascade import GiveUp, Reason
from routing.graph import Graph

NOTHING_TO_ASK = "no_candidate_available"  # the error's code
CUT = "upstream_stream_broken"
DEADLINE_EXCEEDED = "deadline_exceeded"
NOT_CACHED = ClientError(
    504, "no answer to this request is remembered", "invalid_request_error", "not_cached", should_retry=False
)
MAX_RETRY_AFTER_S = 30.0  # official SDKs sleep for as long as they are told, or give up above a limit of their own


def refusal(give_up: GiveUp, last: Fault | None, record: RequestRecord) -> ClientError:
    """`last` is the last attempt's fault, if an attempt was made."""
    attempts = tuple(attempt.summary() for attempt in record.attempts)
    match give_up.reason:
        case Reason.REQUEST_FAULT if last is not None and last.kind in REQUEST_FAULTS:
            return request_error(last, attempts)
        case Reason.REQUEST_FAULT:
            fault = Fault(
                FaultKind.CONTEXT_TOO_LONG, give_up.detail or "the prompt fits no candidate", param="messages"
            )
            return request_error(fault, attempts)
        case Reason.LIMITED:
            return _limited(give_up.wait_s, last, attempts)
        case Reason.DEADLINE:
            return ClientError(
                504,
                f"the deadline passed after {_calls(record)}",
                "server_error",
                DEADLINE_EXCEEDED,
                should_retry=False,
                attempts=attempts,
            )
        case Reason.NOTHING:
            return ClientError(503, _nothing(record), "server_error", NOTHING_TO_ASK, attempts=attempts)
        case Reason.FAILED:
            return _failed(last, record, attempts)


def unknown_name(graph: Graph, asked: str, what: str = "model") -> Fault:
    """A model, or a pinned provider, that is not configured."""
    nearest = graph.nearest(asked)
    hint = f"did you mean {', '.join(nearest)}?" if nearest else "GET /v1/models or `cortex graph` lists all there are"
    message = f"the {what} {asked[:200]!r} is not configured; {hint}"
    return bad_request(message, status=404, code=f"{what}_not_found", param=what)


def request_error(fault: Fault, attempts: tuple[dict[str, object], ...] = ()) -> ClientError:
    """The request's own fault, judged here or by an upstream."""
    rule = fault.rule
    told = fault.status if fault.status is not None and 400 <= fault.status < 500 else rule.status
    return ClientError(
        rule.status if told in (401, 403, 407) else told,
        fault.message,
        rule.type,
        fault.code or rule.code,
        param=fault.param,
        should_retry=False,
        attempts=attempts,
    )


def cut_error(fault: Fault, record: RequestRecord) -> ClientError:
    """The answer broke after content had gone: what ends its stream."""
    return ClientError(
        502,
        f"the answer was cut: {fault.message}",
        "server_error",
        DEADLINE_EXCEEDED if fault.kind is FaultKind.DEADLINE else CUT,
        should_retry=False,
        attempts=tuple(attempt.summary() for attempt in record.attempts),
    )


def error_headers(error: ClientError) -> dict[str, str]:
    """Retry-After in whole seconds and x-should-retry, where they are known."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    return headers


def _limited(wait_s: float | None, last: Fault | None, attempts: tuple[dict[str, object], ...]) -> ClientError:
    quota = last is not None and last.kind is FaultKind.QUOTA_EXHAUSTED
    short = wait_s is not None and wait_s <= MAX_RETRY_AFTER_S
    when = "" if wait_s is None else f"; the next is free in {math.ceil(wait_s)} s"
    return ClientError(
        429,
        f"every candidate is out of rate limit or quota{when}",
        "insufficient_quota" if quota else "rate_limit_error",
        "insufficient_quota" if quota else "rate_limit_exceeded",
        retry_after_s=None if wait_s is None else min(wait_s, MAX_RETRY_AFTER_S),
        wait_s=wait_s,
        should_retry=None if short else False,
        attempts=attempts,
    )


def _failed(last: Fault | None, record: RequestRecord, attempts: tuple[dict[str, object], ...]) -> ClientError:
    code = "all_candidates_failed" if last is None else last.rule.code
    cause = "" if last is None else f"; the last said: {last.message}"
    return ClientError(
        502,
        f"every candidate failed after {_calls(record)}{cause}",
        "server_error",
        code,
        should_retry=False,  # the gateway has retried already
        attempts=attempts,
    )


def _nothing(record: RequestRecord) -> str:
    reasons = "; ".join(f"{candidate.target}: {candidate.skip}" for candidate in record.candidates if candidate.skip)
    return f"no candidate is able to serve this request ({reasons})" if reasons else "no candidate is able to serve"


def _calls(record: RequestRecord) -> str:
    count = len(record.attempts)
    return "1 upstream call" if count == 1 else f"{count} upstream calls"
