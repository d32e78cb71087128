"""What a request is told when it is given up: the first that applies, in one order of precedence.

The request's own fault, as the last candidate asked judged it; limits alone in the way; the deadline; nothing that
could be called; else failure. Knows no clock, and nothing of how the candidates were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from routing.demand import Demand
from routing.graph import Candidate
from routing.plan import ABSENCES, Skip, SkipKind
from routing.policy import Failure


class Reason(Enum):
    REQUEST_FAULT = "request_fault"
    LIMITED = "limited"
    DEADLINE = "deadline"
    NOTHING = "nothing"  # no candidate could be called
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class GiveUp:
    reason: Reason
    wait_s: float | None = None  # LIMITED: until a candidate is free again, where that is known
    detail: str | None = None  # REQUEST_FAULT without a call: the prompt fits no window


@dataclass(frozen=True, slots=True)
class Finding:
    """How one candidate of the plan stands at the end."""

    candidate: Candidate
    called: bool
    failure: Failure | None  # the last call's; None: not called, or that call was cancelled
    skip: Skip | None  # why it cannot be called now

    @property
    def absent(self) -> bool:
        """Whether it cannot take this request, however long it waits."""
        return not self.called and self.skip is not None and self.skip.kind in ABSENCES

    @property
    def unsupported(self) -> bool:
        return self.skip is not None and self.skip.kind is SkipKind.UNSUPPORTED

    @property
    def cooling(self) -> bool:
        return self.skip is not None and self.skip.kind is SkipKind.COOLING

    @property
    def limited(self) -> bool:
        return self.cooling or (self.failure is not None and self.failure.policy.limited)

    def wait_s(self, now: float) -> float | None:
        """Until it is free again, as far as that is known."""
        if self.cooling and self.skip is not None and self.skip.until is not None:
            return self.skip.until - now
        return None if self.failure is None else self.failure.retry_after_s


def judge(findings: Sequence[Finding], last_word: Failure | None, demand: Demand, now: float, *, late: bool) -> GiveUp:
    """`last_word`: what was last said of the request, if anything was. `late`: nothing more can be done in time."""
    if last_word is not None and last_word.policy.request_fault:
        return GiveUp(Reason.REQUEST_FAULT)
    if (detail := _too_long(findings, demand)) is not None:
        return GiveUp(Reason.REQUEST_FAULT, detail=detail)
    present = [finding for finding in findings if not finding.absent]
    if present and all(finding.limited for finding in present):
        waits_s = [wait_s for finding in present if (wait_s := finding.wait_s(now)) is not None]
        return GiveUp(Reason.LIMITED, min(waits_s, default=None))
    if late:
        return GiveUp(Reason.DEADLINE)
    if any(finding.called for finding in findings):
        return GiveUp(Reason.FAILED)
    return GiveUp(Reason.REQUEST_FAULT if any(finding.unsupported for finding in findings) else Reason.NOTHING)


def _too_long(findings: Sequence[Finding], demand: Demand) -> str | None:
    """Whether the prompt is too long for every candidate that is not switched off, before any is called."""
    windows: list[int] = []
    for finding in findings:
        if finding.called or finding.skip is None:
            return None
        if finding.skip.kind is SkipKind.CONTEXT:
            windows.append(finding.candidate.context_tokens or 0)
        elif finding.skip.kind is not SkipKind.OFF:
            return None
    if not windows:
        return None
    return f"the prompt needs about {demand.prompt_tokens} tokens; the largest context window has {max(windows)}"
