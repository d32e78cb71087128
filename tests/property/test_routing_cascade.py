"""Requests that fail over at the same time, on one routing state and one virtual clock, in any order of events."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cortex.errors import FaultKind
from routing.cascade import Attempt, Cascade, GiveUp, RetryPolicy, Wait
from routing.graph import Candidate
from routing.health import Standing
from routing.plan import ABSENCES, Demand, Planned, why_skip
from routing.policy import Next
from tests.support.routing import failure, graph, plan, provider, state

WINDOWS = {"a": 1000, "b": None, "c": 4000}
LACKS = {"a": {"vision"}, "b": set[str](), "c": {"vision", "tools"}}
GRAPH = graph(
    providers=[
        *(
            provider(name, Candidate(name, "m", context_tokens=window, lacks=frozenset(LACKS[name])))
            for name, window in WINDOWS.items()
        ),
        provider("off", "m", off="no key"),
    ]
)


# One of each row of behaviour, the likely ones twice.
KINDS = [
    *(FaultKind.SERVER_ERROR, FaultKind.RATE_LIMITED) * 2,
    FaultKind.STALE_CONNECTION,
    FaultKind.QUOTA_EXHAUSTED,
    FaultKind.TOO_LARGE_FOR_TIER,
    FaultKind.INVALID_KEY,
    FaultKind.MODEL_NOT_FOUND,
    FaultKind.UNSUPPORTED,
    FaultKind.CONTEXT_TOO_LONG,
    FaultKind.BAD_REQUEST,
]


class Request:
    def __init__(self, cascade: Cascade, demand: Demand, deadline: float) -> None:
        self.cascade = cascade
        self.demand = demand
        self.refused: set[str] = set()  # the candidates that it cannot be put to
        self.deadline = deadline
        self.attempt: Attempt | None = None
        self.attempts = 0
        self.moves = 0
        self.spent: set[str] = set()  # keys that failed by their own fault
        self.over = False  # from here on it may only give up
        self.refused_tokens = 0
        self.promise: str | None = None  # the word of the last failure, while nothing has happened since
        self.called: list[str] = []


class CascadeMachine(RuleBasedStateMachine):
    @initialize(
        keys=st.integers(1, 3),
        attempts=st.integers(1, 6),
        floor=st.integers(0, 2),
        ratio=st.sampled_from([0.0, 0.2, 1.0]),
        backoff_s=st.sampled_from([0.0, 0.025, 5.0]),
        eject_after=st.integers(1, 3),
    )
    def start(self, keys: int, attempts: int, floor: int, ratio: float, backoff_s: float, eject_after: int) -> None:
        self.state = state(GRAPH, keys, eject_after=eject_after)
        self.policy = RetryPolicy(attempts, backoff_s, ratio, floor)
        self.now = 0.0
        self.rng = Random(1)
        self.requests: list[Request] = []

    @precondition(lambda self: len(self.requests) < 5)
    @rule(
        lasts_s=st.sampled_from([0.0, 1.0, 60.0]),
        prompt_tokens=st.sampled_from([10, 2000, 9000]),
        needs=st.sampled_from([(), ("vision",), ("tools",), ("vision", "tools")]),
    )
    def arrive(self, lasts_s: float, prompt_tokens: int, needs: tuple[str, ...]) -> None:
        demand = Demand(prompt_tokens, stream=True, needs=frozenset(needs))
        deadline = self.now + lasts_s
        planned = plan(GRAPH, "m", self.state, demand, self.now)
        self.requests.append(Request(Cascade(planned, self.state, self.policy, demand, deadline), demand, deadline))

    def idle(self) -> list[Request]:
        return [request for request in self.requests if request.attempt is None]

    def calling(self) -> list[Request]:
        return [request for request in self.requests if request.attempt is not None]

    @precondition(lambda self: self.idle())
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.idle()))
        held = self.state.retries.retrying
        move = request.cascade.next(self.now, self.rng)
        request.moves += 1
        if self.state.retries.retrying > held:
            most = max(self.policy.budget_floor, self.policy.budget_ratio * self.state.retries.active)
            assert self.state.retries.retrying <= most
        self.keeps(request, move)
        match move:
            case GiveUp():
                request.over = True
            case Wait():
                assert 0 < move.seconds <= 10 * self.policy.backoff_s
                assert self.now + move.seconds < request.deadline
                request.promise = None
            case Planned() if move.candidate.name not in request.called and data.draw(st.integers(0, 3)) == 0:
                self.refuses(request, move, data.draw(st.sampled_from([FaultKind.UNSUPPORTED, FaultKind.BAD_REQUEST])))
            case Planned():
                self.begins(request, request.cascade.begin(self.now, self.rng))
        # A wait is followed by no other wait; what is given up stays so.
        assert request.over or request.moves <= 2 * self.policy.attempts + len(request.refused)

    def refuses(self, request: Request, move: Planned, kind: FaultKind) -> None:
        assert move.candidate.name not in request.refused
        request.cascade.passed_over(failure(kind), "as the test wants it")
        request.refused.add(move.candidate.name)
        request.over = kind is FaultKind.BAD_REQUEST
        request.promise = None

    def keeps(self, request: Request, move: Planned | Wait | GiveUp) -> None:
        """What `failed` said would follow does, if nothing happened in between."""
        last = request.called[-1] if request.called else None
        match request.promise:
            case "key":
                assert isinstance(move, Planned)
                assert move.candidate.name == last
            case "candidate":
                assert isinstance(move, Planned)
                assert move.candidate.name not in request.called
            case "retry":
                assert isinstance(move, Wait) or (isinstance(move, Planned) and move.candidate.name in request.called)
            case "stop":
                assert isinstance(move, GiveUp)

    def begins(self, request: Request, attempt: Attempt) -> None:
        candidate = attempt.candidate
        assert not request.over
        assert self.now < request.deadline
        request.attempts += 1
        assert attempt.number == request.attempts <= self.policy.attempts
        assert candidate.provider != "off"
        assert candidate.name not in request.refused
        if request.demand.needs & candidate.lacks:
            self.nobody_else_can(request)
        assert candidate.context_tokens is None or candidate.context_tokens > request.refused_tokens
        (key,) = [
            key
            for key in self.state.pools[candidate.provider].snapshot(self.now, ["m"])
            if key.name == attempt.lease.name
        ]
        assert key.status == "available"
        assert attempt.lease.name not in request.spent
        request.attempt = attempt
        request.called.append(candidate.name)
        for each in self.requests:
            each.promise = None

    def nobody_else_can(self, request: Request) -> None:
        """Those that lack nothing are out for good."""
        for name, lacks in LACKS.items():
            if not request.demand.needs & lacks and f"{name}/m" not in request.refused:
                candidate = GRAPH.providers[name].candidates[0]
                too_small = candidate.context_tokens is not None and candidate.context_tokens <= request.refused_tokens
                skip = why_skip(candidate, self.state, request.demand, self.now)
                assert too_small or (skip is not None and skip.kind in ABSENCES)

    @precondition(lambda self: self.calling())
    @rule(
        data=st.data(),
        kind=st.sampled_from(KINDS),
        committed=st.sampled_from([False, False, False, True]),
        retry_after_s=st.sampled_from([None, 0.0, 5.0]),
    )
    def fail(self, data: st.DataObject, kind: FaultKind, committed: bool, retry_after_s: float | None) -> None:
        request = data.draw(st.sampled_from(self.calling()))
        attempt = request.attempt
        assert attempt is not None
        failed = failure(kind, retry_after_s)
        for each in self.requests:
            each.promise = None
        request.promise = request.cascade.failed(attempt, failed, self.now, self.rng, cause=kind, committed=committed)
        request.attempt = None
        request.over = committed or failed.policy.next is Next.STOP
        if failed.policy.next is Next.KEY:
            request.spent.add(attempt.lease.name)
        if failed.policy.next is Next.LARGER:
            request.refused_tokens = max(request.refused_tokens, attempt.candidate.context_tokens or 0)

    @precondition(lambda self: self.calling())
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.calling()))
        assert request.attempt is not None
        request.cascade.succeeded(request.attempt, self.now, latency_s=1.0)
        self.leave(request)

    @precondition(lambda self: self.calling())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.calling()))
        assert request.attempt is not None
        request.cascade.cancelled(request.attempt, self.now)
        request.attempt = None
        request.over = True
        request.promise = "stop"

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), times=st.integers(1, 2))
    def close(self, data: st.DataObject, times: int) -> None:
        self.leave(data.draw(st.sampled_from(self.requests)), times)

    def leave(self, request: Request, times: int = 1) -> None:
        for _ in range(times):
            request.cascade.close(self.now)
        self.requests.remove(request)
        for each in self.requests:
            each.promise = None

    @rule(passes_s=st.sampled_from([0.01, 1.0, 30.0, 1000.0]))
    def wait(self, passes_s: float) -> None:
        self.now += passes_s
        for request in self.requests:
            request.promise = None

    @invariant()
    def what_is_out_is_what_is_on_its_way(self) -> None:
        attempts = [request.attempt for request in self.requests if request.attempt is not None]
        for name in WINDOWS:
            of = [attempt for attempt in attempts if attempt.candidate.provider == name]
            assert sum(key.in_flight for key in self.state.pools[name].snapshot(self.now)) == len(of)
            assert self.state.load.in_flight(f"{name}/m") == len(of)
            probes = sum(attempt.probe for attempt in of)
            assert probes == (self.state.health.standing(f"{name}/m", self.now) is Standing.PROBING)

    @invariant()
    def budgets_are_kept(self) -> None:
        retries = self.state.retries
        assert retries.active == len(self.requests)
        assert 0 <= retries.retrying <= len(self.requests)

    def teardown(self) -> None:
        for request in getattr(self, "requests", []):
            request.cascade.close(self.now)
        if hasattr(self, "state"):
            assert (self.state.retries.active, self.state.retries.retrying) == (0, 0)
            assert not any(pool._leases for pool in self.state.pools.values())


TestCascade = CascadeMachine.TestCase
TestCascade.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
