"""The cascade: one request's attempts, from the first to the last, with one deadline. Decides; does nothing itself.

The rules:

1. `attempts` counts every upstream call of the request. None starts at the deadline or after it.
2. Candidates are called in the order of the plan. One that cannot be called now is passed over, with the reason.
3. A failure that is the key's goes on to another key of the same candidate; a key that failed is not used again.
4. A failure that says nothing of the candidate (a stale connection) calls it again at once, but not twice in a row.
5. A prompt too long goes on to candidates with a larger window only. A window that is unknown counts as larger.
6. When every candidate has been called, those whose failure may pass are called again, in order, after a random wait.
7. Calling a candidate again (4, 6) takes one unit of the retry budget that all requests share.
8. When all that could still be called are ejected, ejection is ignored: the last one is never out.
9. A candidate that lacks what the request needs is called only where no other can ever take the request: what is known
   of models may be out of date, so then the provider judges.
10. A candidate that the request cannot be put to is passed over before anything of it is used. That is no call.
11. After content has gone to the client, after the request's own fault, after a cancellation: nothing more.

The machine: `next` → Planned → `begin` → Attempt → one of `failed`, `succeeded`, `cancelled` → `next` …; Planned →
`passed_over` → `next`; Wait → sleep → `next`; GiveUp ends it. `close` gives everything back, wherever it stopped. Knows
no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from routing.demand import Demand
from routing.graph import Candidate
from routing.keys import Lease
from routing.plan import EJECTIONS, Plan, Planned, Skip, SkipKind, needs_give_way, why_skip
from routing.policy import Failure, Next
from routing.state import RoutingState
from routing.verdict import Finding, GiveUp, Reason, judge

__all__ = ["Attempt", "Cascade", "GiveUp", "Reason", "RetryPolicy", "Wait"]

_LONGEST_WAIT = 10  # × the base


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    attempts: int = 10
    backoff_s: float = 0.025  # the base: it doubles with each retry of a candidate, and the wait is a random part of it
    budget_ratio: float = 0.2  # of the active requests
    budget_floor: int = 3


class Attempt:
    """An upstream call that has begun. Must be settled: failed, succeeded or cancelled."""

    __slots__ = ("candidate", "lease", "number", "probe", "route")

    def __init__(self, number: int, planned: Planned, lease: Lease, *, probe: bool) -> None:
        self.number = number  # from 1
        self.candidate = planned.candidate
        self.route = planned.route
        self.lease = lease
        self.probe = probe  # whether it is the one call that a half-open candidate is given


@dataclass(frozen=True, slots=True)
class Wait:
    """Sleep, then ask again."""

    seconds: float


class _Course:
    """What this request has seen of one candidate."""

    __slots__ = ("failed_keys", "forced", "last", "planned", "repeated", "retries")

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.failed_keys: set[int] = set()
        self.last: Failure | None = None  # None while it is called
        self.retries = 0  # after a wait
        self.repeated = False  # the last call repeated the one before at once
        self.forced = False  # called although it is ejected

    @property
    def may_pass(self) -> bool:
        return self.last is not None and self.last.policy.retry_same


@dataclass(slots=True)  # not frozen: one is made for each attempt
class _Move:
    """What comes next. `word` is the decision record's."""

    word: str
    planned: Planned
    forced: bool = False
    retry: bool = False  # charged to the budget
    repeat: bool = False  # a retry at once, by rule 4
    wait_s: float = 0.0


class Cascade:
    """One request's attempts. Counts as active from here on; `close` must follow."""

    __slots__ = (
        "_attempt",
        "_calls",
        "_cancelled",
        "_charged",
        "_closed",
        "_course",
        "_courses",
        "_deadline",
        "_demand",
        "_last_word",
        "_offered",
        "_over",
        "_plan",
        "_policy",
        "_refused",
        "_refused_tokens",
        "_skipped",
        "_state",
        "_verdict",
        "_wait_s",
        "_waited",
    )

    def __init__(self, plan: Plan, state: RoutingState, policy: RetryPolicy, demand: Demand, deadline: float) -> None:
        """`deadline` is monotonic seconds."""
        self._plan = plan
        self._state = state
        self._policy = policy
        self._demand = demand
        self._deadline = deadline
        self._calls = 0
        self._courses: dict[str, _Course] = {}  # of the candidates that were called
        self._skipped: dict[str, Skip] = {}
        self._refused: dict[str, Skip] = {}  # the candidates that the request cannot be put to
        self._offered: _Move | None = None  # what `next` has named, until it begins or is passed over
        self._attempt: Attempt | None = None  # on its way
        self._course: _Course | None = None  # of the candidate called last
        self._last_word: Failure | None = None  # what was last said of the request; None while a call is on its way
        self._refused_tokens = 0  # the largest window that was too small
        self._charged = False  # one unit of the retry budget is held
        self._wait_s: float | None = None  # drawn before the next retry
        self._waited = False
        self._over = False
        self._cancelled = False
        self._closed = False
        self._verdict: GiveUp | None = None
        state.retries.active += 1

    @property
    def skips(self) -> list[tuple[str, Skip]]:
        """Every candidate that was passed over and never called, with the first reason; a refusal goes before it."""
        return list((self._skipped | self._refused).items()) if self._skipped or self._refused else []

    def next(self, now: float, rng: Random) -> Planned | Wait | GiveUp:
        """What to do now: `begin` a call to this candidate unless it has to be `passed_over`, sleep, or give up.

        Raises RuntimeError while an attempt is unsettled.
        """
        if self._attempt is not None:
            raise RuntimeError(f"attempt {self._attempt.number} is not settled")
        self._offered = None
        move = self._choose(now, rng)
        if move is None:
            self._refund()
            self._over = True
            self._verdict = self._verdict or self._judge(now)
            return self._verdict
        if not move.retry:
            self._refund()
        elif not self._charged:
            self._charged = self._state.retries.take(self._policy.budget_ratio, self._policy.budget_floor)
        if move.wait_s:
            self._waited = True
            self._wait_s = None
            return Wait(move.wait_s)
        self._offered = move
        return move.planned

    def begin(self, now: float, rng: Random) -> Attempt:
        """Lease a key for the call to the candidate that `next` has named. Raises RuntimeError if it named none."""
        move, self._offered = self._offered, None
        if move is None:
            raise RuntimeError("no call is due")
        candidate = move.planned.candidate
        course = self._courses.get(candidate.name)
        if course is None:
            course = self._courses[candidate.name] = _Course(move.planned)
        lease = self._state.pools[candidate.provider].lease(candidate.model, now, rng, course.failed_keys)
        if lease is None:
            raise RuntimeError(f"{candidate.name} was chosen without a free key")
        self._calls += 1
        self._skipped.pop(candidate.name, None)
        course.last = self._last_word = None
        course.forced = move.forced
        course.repeated = move.repeat
        course.retries += move.retry and not move.repeat
        self._waited = False
        self._wait_s = None
        self._course = course
        self._state.load.begin(candidate.name)
        probe = self._state.health.begin(candidate.name, now)
        self._attempt = Attempt(self._calls, move.planned, lease, probe=probe)
        return self._attempt

    def passed_over(self, failure: Failure, reason: str) -> None:
        """The request cannot be put to the candidate that `next` has named: nothing was sent, nobody is blamed.

        `reason` is shown as it is. Raises RuntimeError if none was named.
        """
        move, self._offered = self._offered, None
        if move is None:
            raise RuntimeError("no call is due")
        self._refused[move.planned.candidate.name] = Skip(SkipKind.UNSUPPORTED, f"unsupported: {reason}")
        if failure.policy.next is Next.STOP:
            self._over = True
            self._last_word = failure

    def failed(
        self, attempt: Attempt, failure: Failure, now: float, rng: Random, *, cause: str, committed: bool = False
    ) -> str:
        """Settle a failed attempt: blame whom the failure blames. `committed`: content has gone to the client.

        Gives what follows, as things stand: "key", "candidate", "retry" or "stop". Raises ValueError if the attempt
        is settled already.
        """
        course = self._settle(attempt)
        course.last = self._last_word = failure
        candidate, policy, state = attempt.candidate, failure.policy, self._state
        state.pools[candidate.provider].apply(
            attempt.lease.index,
            policy.key,
            now,
            model=candidate.model,
            cause=cause,
            retry_after_s=failure.retry_after_s,
            model_scoped=failure.model_scoped,
        )
        if policy.ejects:
            state.health.failed(candidate.name, now, probe=attempt.probe, cause=cause)
        else:
            state.health.released(candidate.name, probe=attempt.probe)
        if policy.next is Next.CANDIDATE and not (policy.limited or policy.request_fault):
            state.load.failed(candidate.name, now, stream=self._demand.stream)
        if policy.next is Next.KEY:
            course.failed_keys.add(attempt.lease.index)
        elif policy.next is Next.LARGER:
            self._refused_tokens = max(self._refused_tokens, candidate.context_tokens or 0)
        self._over = self._over or committed or policy.next is Next.STOP
        move = self._choose(now, rng)
        return "stop" if move is None else move.word

    def succeeded(self, attempt: Attempt, now: float, *, latency_s: float) -> None:
        """Settle an answered attempt. `latency_s`: to a stream's first token, or to the end of a JSON answer.

        Raises ValueError if the attempt is settled already.
        """
        self._settle(attempt)
        self._over = True
        self._state.health.succeeded(attempt.candidate.name, probe=attempt.probe)
        self._state.load.measured(attempt.candidate.name, latency_s, now, stream=self._demand.stream)

    def cancelled(self, attempt: Attempt, now: float) -> None:
        """Settle an attempt that the client or the deadline has ended: nobody is blamed. Settled already: nothing."""
        if attempt is not self._attempt:
            return
        self._settle(attempt)
        self._over = self._cancelled = True
        self._state.health.released(attempt.candidate.name, probe=attempt.probe)

    def close(self, now: float) -> None:
        """Give back whatever is outstanding. May be called at any time and more than once."""
        if self._attempt is not None:
            self.cancelled(self._attempt, now)
        self._over = True
        self._refund()
        if not self._closed:
            self._closed = True
            self._state.retries.active -= 1

    # Choosing: changes nothing but what is told of skips, the wait that is drawn once, and needs that must give way.

    def _choose(self, now: float, rng: Random) -> _Move | None:
        if self._over or now >= self._deadline or self._calls >= self._policy.attempts:
            return None
        move = (self._calls and self._same(now)) or self._fresh(now) or self._again(now, rng)
        if move is None and self._must_do_without(now):
            self._demand = replace(self._demand, needs=frozenset())
            return self._choose(now, rng)
        return move

    def _must_do_without(self, now: float) -> bool:
        """Rule 9: whether nobody can be called but those that lack something."""
        if not self._demand.needs:
            return False
        return needs_give_way(self._skip(planned.candidate, now) for planned in self._plan.planned)

    def _same(self, now: float) -> _Move | None:
        """Rules 3 and 4: the candidate that has just failed."""
        course = self._course
        if course is None or course.last is None or course.last.policy.next not in (Next.KEY, Next.SAME):
            return None
        skip = self._skip(course.planned.candidate, now)
        if skip is not None and not (course.forced and skip.kind in EJECTIONS):
            return None
        if not self._has_key(course, now):
            return None
        if course.last.policy.next is Next.KEY:
            return _Move("key", course.planned, forced=course.forced)
        if course.repeated or not self._may_retry():
            return None
        return _Move("retry", course.planned, forced=course.forced, retry=True, repeat=True)

    def _fresh(self, now: float) -> _Move | None:
        """Rule 2: the first that was not called yet."""
        for planned in self._plan.planned:
            name = planned.candidate.name
            if name in self._courses:
                continue
            skip = self._skip(planned.candidate, now)
            if skip is None:
                return _Move("candidate", planned)
            self._skipped.setdefault(name, skip)
        return None

    def _again(self, now: float, rng: Random) -> _Move | None:
        """Rules 6 and 8, when no candidate is left that is fresh and may be called."""
        usable: list[Planned] = []
        ejected: list[Planned] = []
        for planned in self._plan.planned:
            course = self._courses.get(planned.candidate.name)
            if course is not None and not (course.may_pass and self._has_key(course, now)):
                continue
            skip = self._skip(planned.candidate, now)
            if skip is None:
                usable.append(planned)
            elif skip.kind in EJECTIONS:
                ejected.append(planned)
        forced = not usable
        usable = usable or ejected
        for planned in usable:
            if planned.candidate.name not in self._courses:
                return _Move("candidate", planned, forced=forced)
        if not usable or not self._may_retry():
            return None
        course = min((self._courses[planned.candidate.name] for planned in usable), key=lambda course: course.retries)
        wait_s = self._backoff_s(course, rng)
        if now + wait_s >= self._deadline:
            return None
        return _Move("retry", course.planned, forced=forced, retry=True, wait_s=wait_s)

    def _backoff_s(self, course: _Course, rng: Random) -> float:
        """Drawn once; none after a wait that was served, whoever is called then."""
        if self._waited:
            return 0.0
        if self._wait_s is None:
            self._wait_s = rng.uniform(0.0, self._policy.backoff_s * min(_LONGEST_WAIT, 2**course.retries))
        return self._wait_s

    def _skip(self, candidate: Candidate, now: float) -> Skip | None:
        if self._refused and (refused := self._refused.get(candidate.name)) is not None:
            return refused
        window = candidate.context_tokens
        if self._refused_tokens and window is not None and window <= self._refused_tokens:
            return Skip(SkipKind.CONTEXT, f"context: needs more than {self._refused_tokens} tokens, has {window}")
        return why_skip(candidate, self._state, self._demand, now)

    def _has_key(self, course: _Course, now: float) -> bool:
        candidate = course.planned.candidate
        return self._state.pools[candidate.provider].free(candidate.model, now, course.failed_keys)

    def _may_retry(self) -> bool:
        policy = self._policy
        return self._charged or self._state.retries.has_room(policy.budget_ratio, policy.budget_floor)

    # Giving back

    def _settle(self, attempt: Attempt) -> _Course:
        if attempt is not self._attempt or self._course is None:
            raise ValueError(f"attempt {attempt.number} is settled already")
        self._attempt = None
        self._state.pools[attempt.candidate.provider].release(attempt.lease)
        self._state.load.end(attempt.candidate.name)
        self._refund()
        return self._course

    def _refund(self) -> None:
        if self._charged:
            self._charged = False
            self._state.retries.give_back()

    def _judge(self, now: float) -> GiveUp:
        findings: list[Finding] = []
        for planned in self._plan.planned:
            course = self._courses.get(planned.candidate.name)
            failure = None if course is None else course.last
            findings.append(Finding(planned.candidate, course is not None, failure, self._skip(planned.candidate, now)))
        late = self._cancelled or now + (self._wait_s or 0.0) >= self._deadline
        return judge(findings, self._last_word, self._demand, now, late=late)
