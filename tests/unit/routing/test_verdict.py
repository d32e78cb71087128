from __future__ import annotations

from cortex.errors import FaultKind
from routing.graph import Candidate
from routing.plan import Skip, SkipKind
from routing.verdict import Finding, GiveUp, Reason, judge
from tests.support.routing import DEMAND, failure

COOLING = Skip(SkipKind.COOLING, "keys cooling", until=20)
TOO_SMALL = Skip(SkipKind.CONTEXT, "context: needs ~100 tokens, has 10")
OFF = Skip(SkipKind.OFF, "off: no key")
EJECTED = Skip(SkipKind.EJECTED, "ejected", until=30)
SMALL = Candidate("a", "m", context_tokens=10)


def uncalled(skip: Skip | None) -> Finding:
    return Finding(SMALL, called=False, failure=None, skip=skip)


def called(kind: FaultKind | None, skip: Skip | None = None, retry_after_s: float | None = None) -> Finding:
    return Finding(SMALL, called=True, failure=kind and failure(kind, retry_after_s), skip=skip)


def told(*findings: Finding, late: bool = False) -> GiveUp:
    asked = [finding.failure for finding in findings if finding.called]
    return judge(findings, asked[-1] if asked else None, DEMAND, now=5, late=late)


def test_the_order_of_precedence() -> None:
    fault, limit, server = called(FaultKind.BAD_REQUEST), uncalled(COOLING), called(FaultKind.SERVER_ERROR)
    assert told(limit, fault, late=True).reason is Reason.REQUEST_FAULT
    assert told(limit, uncalled(OFF), late=True).reason is Reason.LIMITED
    assert told(limit, server, late=True).reason is Reason.DEADLINE
    assert told(uncalled(EJECTED), uncalled(OFF)).reason is Reason.NOTHING
    assert told(limit, server).reason is Reason.FAILED
    assert told().reason is Reason.NOTHING


def test_the_wait_is_the_shortest_that_is_known() -> None:
    assert told(uncalled(COOLING)).wait_s == 15
    assert told(uncalled(COOLING), called(FaultKind.RATE_LIMITED, retry_after_s=3)).wait_s == 3
    assert told(called(FaultKind.RATE_LIMITED, COOLING, retry_after_s=3)).wait_s == 15  # longer for another's sake
    assert told(called(FaultKind.TOO_LARGE_FOR_TIER)).wait_s is None


def test_a_prompt_is_too_long_only_if_nobody_was_asked_and_everybody_is_too_small() -> None:
    assert told(uncalled(TOO_SMALL), uncalled(OFF)) == GiveUp(
        Reason.REQUEST_FAULT, detail="the prompt needs about 100 tokens; the largest context window has 10"
    )
    for other in (called(FaultKind.SERVER_ERROR, TOO_SMALL), uncalled(EJECTED), uncalled(None)):
        assert told(uncalled(TOO_SMALL), other).detail is None
    assert told(uncalled(OFF)).reason is Reason.NOTHING


def test_a_call_that_failed_otherwise_counts_even_where_its_candidate_is_out_now() -> None:
    disabled = Skip(SkipKind.DISABLED, "keys disabled")
    assert told(uncalled(COOLING), called(FaultKind.INVALID_KEY, disabled)).reason is Reason.FAILED
    assert told(uncalled(COOLING), uncalled(disabled)).reason is Reason.LIMITED
