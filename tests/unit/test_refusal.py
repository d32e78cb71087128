"""What the client is told when nothing answered."""

from __future__ import annotations

import pytest

from cortex.errors import Fault, FaultKind
from cortex.refusal import error_headers, refusal, request_error
from cortex.telemetry.record import AttemptRecord, CandidateRecord, RequestRecord
from routing.verdict import GiveUp, Reason

RECORD = RequestRecord("req_1", 0.0, 0.0, "openai", attempts=[AttemptRecord("a/m", "a#1", 0.0, status=500)])


@pytest.mark.parametrize(
    ("give_up", "last", "status", "code", "headers"),
    [
        (GiveUp(Reason.LIMITED, wait_s=3.2), None, 429, "rate_limit_exceeded", {"retry-after": "4"}),
        (
            GiveUp(Reason.LIMITED, wait_s=900.0),
            Fault(FaultKind.QUOTA_EXHAUSTED, "spent"),
            429,
            "insufficient_quota",
            {"retry-after": "30", "x-should-retry": "false"},
        ),
        (GiveUp(Reason.LIMITED), None, 429, "rate_limit_exceeded", {"x-should-retry": "false"}),
        (GiveUp(Reason.DEADLINE), None, 504, "deadline_exceeded", {"x-should-retry": "false"}),
        (GiveUp(Reason.NOTHING), None, 503, "no_candidate_available", {}),
        (
            GiveUp(Reason.FAILED),
            Fault(FaultKind.INVALID_KEY, "bad key", status=401),
            502,
            "upstream_authentication_failed",
            {"x-should-retry": "false"},
        ),
        (
            GiveUp(Reason.REQUEST_FAULT),
            Fault(FaultKind.BAD_REQUEST, "no", status=422, code="invalid_value", param="n"),
            422,
            "invalid_value",
            {"x-should-retry": "false"},
        ),
        (
            GiveUp(Reason.REQUEST_FAULT, detail="too long"),
            None,
            400,
            "context_length_exceeded",
            {"x-should-retry": "false"},
        ),
    ],
)
def test_each_reason_has_its_status(
    give_up: GiveUp, last: Fault | None, status: int, code: str, headers: dict[str, str]
) -> None:
    error = refusal(give_up, last, RECORD)
    assert (error.status, error.code) == (status, code)
    assert error_headers(error) == headers
    assert error.attempts == tuple(attempt.summary() for attempt in RECORD.attempts)


def test_the_true_wait_stands_beside_the_clamped_one() -> None:
    error = refusal(GiveUp(Reason.LIMITED, wait_s=900.0), None, RECORD)
    assert (error.retry_after_s, error.wait_s) == (30.0, 900.0)


@pytest.mark.parametrize("status", [401, 403, 407])
def test_an_upstreams_refusal_of_our_key_is_never_the_clients(status: int) -> None:
    assert request_error(Fault(FaultKind.CONTENT_FILTER, "filtered", status=status)).status == 400


def test_nothing_able_to_serve_says_why() -> None:
    record = RequestRecord("req_1", 0.0, 0.0, "openai", candidates=[CandidateRecord("a/m", "off: no key")])
    assert "a/m: off: no key" in refusal(GiveUp(Reason.NOTHING), None, record).message
