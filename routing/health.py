"""Outlier ejection: a candidate that fails time after time is left alone for a while, then tried with one call.

    healthy ──eject_after failures in a row──▶ ejected ──time over──▶ half-open ──one call──▶ probing
       ▲                                          ▲                                             │
       └────────────────success───────────────────┼─────────────────────────────────────────────┤
                                                  └──────────────────failure────────────────────┘

An ejection lasts `eject_for_s` × the times ejected, at most `LONGEST_S`; each success takes one off that count. While
a candidate is ejected only its probe is heard: whatever else settles had begun before, or was forced because no other
candidate was left. A probe that is released unsettled makes way for the next. Only a candidate with something to
remember takes memory. Knows no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

LONGEST_S = 300.0


class Standing(Enum):
    HEALTHY = "healthy"
    EJECTED = "ejected"
    HALF_OPEN = "half_open"  # the next call is the probe
    PROBING = "probing"  # the probe is on its way


@dataclass(frozen=True, slots=True)
class CandidateHealth:
    name: str
    standing: Standing
    failures: int  # in a row
    ejections: int  # less the successes since
    ejected_for_s: float | None = None  # how much longer
    cause: str | None = None  # of the last failure


class _Record:
    __slots__ = ("cause", "ejections", "failures", "probing", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.ejections = 0
        self.until: float | None = None  # monotonic seconds; None: not ejected
        self.probing = False
        self.cause: str | None = None

    def standing(self, now: float) -> Standing:
        if self.until is None:
            return Standing.HEALTHY
        if now < self.until:
            return Standing.EJECTED
        return Standing.PROBING if self.probing else Standing.HALF_OPEN


class Health:
    def __init__(self, *, eject_after: int = 5, eject_for_s: float = 30.0) -> None:
        self._eject_after = eject_after
        self._eject_for_s = eject_for_s
        self._records: dict[str, _Record] = {}

    def standing(self, candidate: str, now: float) -> Standing:
        record = self._records.get(candidate)
        return Standing.HEALTHY if record is None else record.standing(now)

    def ejected_until(self, candidate: str) -> float | None:
        """When its ejection ends or ended; None: it is not ejected."""
        record = self._records.get(candidate)
        return None if record is None else record.until

    def begin(self, candidate: str, now: float) -> bool:
        """A call starts. True: it is the half-open candidate's probe, and must be settled or released as that."""
        record = self._records.get(candidate)
        if record is None or record.standing(now) is not Standing.HALF_OPEN:
            return False
        record.probing = True
        return True

    def succeeded(self, candidate: str, *, probe: bool) -> None:
        record = self._records.get(candidate)
        if record is None or not (probe or record.until is None):
            return
        record.probing = False
        record.until = None
        record.failures = 0
        record.ejections = max(0, record.ejections - 1)
        if not record.ejections:
            del self._records[candidate]

    def failed(self, candidate: str, now: float, *, probe: bool, cause: str) -> None:
        """A failure that speaks against the candidate, not against the key or the request."""
        record = self._records.setdefault(candidate, _Record())
        if not (probe or record.until is None):
            return
        record.probing = False
        record.failures += 1
        record.cause = cause
        if probe or record.failures >= self._eject_after:
            self._eject(record, now)

    def released(self, candidate: str, *, probe: bool) -> None:
        """A call ended that says nothing of the candidate."""
        if probe:
            self._records[candidate].probing = False

    def probe_ok(self, candidates: Iterable[str], now: float) -> None:
        """A free call to their provider was answered: closes what is half-open. It proves too little for more."""
        for candidate in candidates:
            if self.standing(candidate, now) is Standing.HALF_OPEN:
                self.succeeded(candidate, probe=True)

    def probe_failed(self, candidates: Iterable[str], now: float, *, cause: str) -> None:
        """A free call to their provider failed: one failure of each, as good as a probe of what is half-open."""
        for candidate in candidates:
            self.failed(candidate, now, probe=self.standing(candidate, now) is Standing.HALF_OPEN, cause=cause)

    def snapshot(self, now: float) -> list[CandidateHealth]:
        """Of the candidates that failed lately; all others are healthy."""
        return [
            CandidateHealth(
                name,
                standing := record.standing(now),
                record.failures,
                record.ejections,
                record.until - now if record.until is not None and standing is Standing.EJECTED else None,
                record.cause,
            )
            for name, record in self._records.items()
        ]

    def carry_over(self, old: Health, names: Collection[str]) -> None:
        """Take what is known of `names` from before a reload. Probes on their way settle in the old one."""
        for name in names:
            if (before := old._records.get(name)) is not None:
                record = self._records[name] = _Record()
                record.failures, record.ejections = before.failures, before.ejections
                record.until, record.cause = before.until, before.cause

    def _eject(self, record: _Record, now: float) -> None:
        record.ejections += 1
        longest_s = max(LONGEST_S, self._eject_for_s)
        record.until = now + min(self._eject_for_s * record.ejections, longest_s)
