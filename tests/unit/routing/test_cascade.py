"""The cascade as a dialogue: what it hands out, what it is told, what it hands out next."""

from __future__ import annotations

from random import Random

import pytest

from cortex.errors import FaultKind
from routing.cascade import Attempt, Cascade, GiveUp, Reason, RetryPolicy, Wait
from routing.graph import Candidate, Graph
from routing.health import Health
from routing.keys import KeyPool, KeySlot
from routing.plan import Demand, Planned
from routing.policy import Failure, KeyEffect
from routing.state import RoutingState
from tests.support.routing import DEMAND, cascade, failure, graph, plan, provider, state

RNG = Random(1)
DEADLINE = 100.0


class Request:
    """One request on a virtual clock."""

    def __init__(
        self,
        of: Graph | None = None,
        known: RoutingState | None = None,
        *,
        asked: str = "m",
        demand: Demand = DEMAND,
        **policy: float,
    ) -> None:
        of = of or graph()
        self.state = known or state(of)
        self.now = 0.0
        self.cascade = Cascade(
            plan(of, asked, self.state, demand),
            self.state,
            RetryPolicy(**policy),  # type: ignore[arg-type]
            demand,
            DEADLINE,
        )

    def next(self) -> Attempt | Wait | GiveUp:
        """What follows; a candidate that is named is called at once."""
        move = self.cascade.next(self.now, RNG)
        return self.cascade.begin(self.now, RNG) if isinstance(move, Planned) else move

    def named(self) -> str:
        """The provider to call next, which is not called."""
        move = self.cascade.next(self.now, RNG)
        assert isinstance(move, Planned), move
        return move.candidate.provider

    def attempt(self) -> Attempt:
        """The next attempt, after the wait before it if there is one."""
        move = self.next()
        if isinstance(move, Wait):
            self.now += move.seconds
            move = self.next()
        assert isinstance(move, Attempt), move
        return move

    def fail(self, attempt: Attempt, kind: FaultKind | Failure, *, committed: bool = False) -> str:
        failed = kind if isinstance(kind, Failure) else failure(kind)
        return self.cascade.failed(attempt, failed, self.now, RNG, cause="cause", committed=committed)

    def run(self, *kinds: FaultKind) -> list[str]:
        """Fail one attempt after another: "key>word" of each."""
        told = []
        for kind in kinds:
            attempt = self.attempt()
            told.append(f"{attempt.lease.name}>{self.fail(attempt, kind)}")
        return told

    def give_up(self) -> GiveUp:
        move = self.next()
        assert isinstance(move, GiveUp), move
        return move


SERVER, LIMIT, KEY = FaultKind.SERVER_ERROR, FaultKind.RATE_LIMITED, FaultKind.INVALID_KEY
STALE, UNSUPPORTED, MODEL = FaultKind.STALE_CONNECTION, FaultKind.UNSUPPORTED, FaultKind.MODEL_NOT_FOUND
TOO_LONG, BAD, TIER = FaultKind.CONTEXT_TOO_LONG, FaultKind.BAD_REQUEST, FaultKind.TOO_LARGE_FOR_TIER


def test_candidates_are_called_in_order() -> None:
    request = Request()
    assert request.run(SERVER, MODEL) == ["a#1>candidate", "b#1>candidate"]
    attempt = request.attempt()
    assert (attempt.number, attempt.candidate.name, attempt.route) == (3, "c/m", ())
    request.cascade.succeeded(attempt, 1, latency_s=0.5)
    assert request.state.load.latency_s("c/m", stream=True) == 0.5
    assert request.state.load.in_flight("c/m") == 0


def test_a_key_s_fault_goes_to_another_key_first() -> None:
    of = graph(providers="ab")
    request = Request(of, state(of, keys={"a": 3}))
    assert request.run(LIMIT, KEY, FaultKind.QUOTA_EXHAUSTED, SERVER) == [
        "a#1>key",
        "a#2>key",
        "a#3>candidate",
        "b#1>retry",
    ]
    assert [key.status for key in request.state.pools["a"].snapshot(0)] == ["cooling", "disabled", "parked"]


def test_a_key_that_failed_is_not_used_again_even_if_it_is_free() -> None:
    of = graph(providers="ab")
    request = Request(of, state(of, keys={"a": 2}))
    attempt = request.attempt()
    assert request.fail(attempt, failure(LIMIT, 0)) == "key"
    attempt = request.attempt()
    assert attempt.lease.name == "a#2"
    assert request.fail(attempt, SERVER) == "candidate"
    request.run(MODEL)
    assert request.attempt().lease.name == "a#2"  # again, with the key that did not fail


def test_keys_of_one_account_are_not_tried_after_another() -> None:
    of = graph(providers="ab")
    pools = {
        "a": KeyPool("a", [KeySlot("1", "org"), KeySlot("2", "org"), KeySlot("3")]),
        "b": KeyPool("b", [KeySlot("4")]),
    }
    request = Request(of, RoutingState(of, pools, Health()))
    assert request.run(LIMIT, LIMIT) == ["a#1>key", "a#3>candidate"]


def test_attempts_count_every_call() -> None:
    of = graph(providers="ab")
    request = Request(of, state(of, keys=5), attempts=3)
    assert request.run(LIMIT, LIMIT, LIMIT) == ["a#1>key", "a#2>key", "a#3>stop"]
    assert request.give_up().reason is Reason.FAILED  # b was not asked: not all are limited


def test_a_stale_connection_is_tried_again_at_once_but_not_twice_in_a_row() -> None:
    request = Request(graph(providers="ab"))
    assert request.run(STALE, STALE, SERVER) == ["a#1>retry", "a#1>candidate", "b#1>retry"]
    assert request.now == 0
    assert request.run(STALE, STALE) == ["a#1>retry", "a#1>retry"]  # after a wait, and again at once; then b


def test_without_budget_a_stale_connection_goes_on() -> None:
    request = Request(graph(providers="ab"), budget_floor=0)
    assert request.run(STALE, STALE) == ["a#1>candidate", "b#1>stop"]
    assert request.give_up().reason is Reason.FAILED


def test_when_the_list_is_at_its_end_what_may_pass_is_called_again_in_order_after_a_wait() -> None:
    request = Request(backoff_s=4)
    assert request.run(SERVER, MODEL, SERVER) == ["a#1>candidate", "b#1>candidate", "c#1>retry"]
    seen = []
    for longest_s in (4, 4, 8, 8, 16, 16, 32):
        wait = request.next()
        assert isinstance(wait, Wait)
        assert 0 < wait.seconds <= longest_s
        assert request.state.retries.retrying == 1  # held during the wait, so that it is not in vain
        attempt = request.next()
        assert isinstance(attempt, Attempt)
        seen.append(attempt.candidate.provider)
        request.fail(attempt, SERVER)
        assert request.state.retries.retrying == 0
    assert seen == ["a", "c", "a", "c", "a", "c", "a"]
    assert request.give_up().reason is Reason.FAILED  # ten calls


def test_the_wait_grows_to_ten_times_the_base() -> None:
    request = Request(graph(providers="a"), state(graph(providers="a"), eject_after=99), backoff_s=1, attempts=60)
    request.run(SERVER)
    waits = []
    for _ in range(50):
        wait = request.next()
        assert isinstance(wait, Wait)
        waits.append(wait.seconds)
        attempt = request.next()
        assert isinstance(attempt, Attempt)
        request.fail(attempt, SERVER)
    assert 5 < max(waits) <= 10


def test_no_base_no_wait() -> None:
    request = Request(graph(providers="a"), backoff_s=0)
    assert request.run(SERVER, SERVER, STALE) == ["a#1>retry"] * 3


def test_a_wait_beyond_the_deadline_gives_up() -> None:
    request = Request(graph(providers="a"), backoff_s=1e9)
    attempt = request.attempt()
    assert request.fail(attempt, SERVER) == "stop"
    assert request.give_up() == GiveUp(Reason.DEADLINE)


def test_retries_share_one_budget() -> None:
    of = graph(providers="a")
    known = state(of, eject_after=99)
    requests = [Request(of, known, budget_floor=1, budget_ratio=0.5) for _ in range(4)]
    for request in requests:
        assert request.run(SERVER) == ["a#1>retry"]
    assert isinstance(requests[0].next(), Wait)
    assert isinstance(requests[1].next(), Wait)  # half of four
    assert requests[2].give_up().reason is Reason.FAILED
    requests[0].cascade.close(0)
    requests[1].cascade.close(0)
    assert (known.retries.active, known.retries.retrying) == (2, 0)
    assert isinstance(requests[3].next(), Wait)


def test_the_deadline_ends_it() -> None:
    request = Request()
    attempt = request.attempt()
    request.now = DEADLINE
    assert request.fail(attempt, SERVER) == "stop"
    assert request.give_up() == GiveUp(Reason.DEADLINE)


def test_the_request_s_own_fault_ends_it() -> None:
    request = Request()
    assert request.run(SERVER, BAD) == ["a#1>candidate", "b#1>stop"]
    assert request.give_up() == GiveUp(Reason.REQUEST_FAULT)
    assert request.give_up() == GiveUp(Reason.REQUEST_FAULT)


def test_what_one_provider_cannot_express_the_next_may() -> None:
    request = Request(graph(providers="ab"))
    assert request.run(UNSUPPORTED, UNSUPPORTED) == ["a#1>candidate", "b#1>stop"]
    assert request.give_up().reason is Reason.REQUEST_FAULT
    request = Request(graph(providers="ab"))
    request.run(UNSUPPORTED, MODEL)
    assert request.give_up().reason is Reason.FAILED  # the last judged otherwise


def test_after_the_commit_there_is_nothing_more() -> None:
    request = Request()
    attempt = request.attempt()
    assert request.fail(attempt, FaultKind.BROKEN, committed=True) == "stop"
    assert request.give_up().reason is Reason.FAILED


def windows(**tokens: int | None) -> Graph:
    return graph(providers=[provider(name, Candidate(name, "m", context_tokens=size)) for name, size in tokens.items()])


def test_a_prompt_too_long_goes_to_larger_windows_only() -> None:
    request = Request(windows(a=2000, b=1000, c=2000, d=None, e=4000))
    assert request.run(TOO_LONG, TOO_LONG) == ["a#1>candidate", "d#1>candidate"]
    attempt = request.attempt()
    assert attempt.candidate.provider == "e"
    assert [(name, skip.reason) for name, skip in request.cascade.skips] == [
        ("b/m", "context: needs more than 2000 tokens, has 1000"),
        ("c/m", "context: needs more than 2000 tokens, has 2000"),
    ]
    assert request.fail(attempt, TOO_LONG) == "stop"
    assert request.give_up() == GiveUp(Reason.REQUEST_FAULT)


def test_a_smaller_window_is_not_tried_again_either() -> None:
    request = Request(windows(a=1000, b=2000))
    assert request.run(SERVER, TOO_LONG) == ["a#1>candidate", "b#1>stop"]


def test_a_prompt_that_fits_no_window_is_the_request_s_fault_and_told_in_numbers() -> None:
    of = graph(
        providers=[
            provider("a", Candidate("a", "m", 1000)),
            provider("b", Candidate("b", "m", 3000)),
            provider("c", "m", off="no key"),
        ]
    )
    request = Request(of, demand=Demand(5000, stream=False))
    assert request.give_up() == GiveUp(
        Reason.REQUEST_FAULT, detail="the prompt needs about 5000 tokens; the largest context window has 3000"
    )
    assert [skip.reason for _, skip in request.cascade.skips] == [
        "context: needs ~5000 tokens, has 1000",
        "context: needs ~5000 tokens, has 3000",
        "off: no key",
    ]


def block(of: RoutingState, name: str, effect: KeyEffect = KeyEffect.COOL, retry_after_s: float = 60) -> None:
    of.pools[name].apply(0, effect, 0, model="m", cause="cause", retry_after_s=retry_after_s)


def test_everything_cooling_is_limited_until_the_first_is_free() -> None:
    request = Request(graph(providers="ab"))
    block(request.state, "a", retry_after_s=50)
    block(request.state, "b", retry_after_s=20)
    assert request.give_up() == GiveUp(Reason.LIMITED, wait_s=20)
    assert [(name, skip.until) for name, skip in request.cascade.skips] == [("a/m", 50), ("b/m", 20)]


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        ((LIMIT, LIMIT, LIMIT), Reason.LIMITED),
        ((LIMIT, TIER, LIMIT), Reason.LIMITED),
        ((LIMIT, MODEL, LIMIT), Reason.FAILED),
        ((LIMIT, LIMIT, KEY), Reason.FAILED),
        ((KEY, KEY, KEY), Reason.FAILED),
        ((LIMIT, LIMIT, BAD), Reason.REQUEST_FAULT),
    ],
)
def test_the_reason_when_all_have_failed(kinds: tuple[FaultKind, ...], reason: Reason) -> None:
    request = Request()
    request.run(*kinds)
    assert request.give_up().reason is reason


def test_limits_in_a_call_and_before_it_are_both_limits() -> None:
    request = Request(graph(providers="ab"))
    block(request.state, "a", retry_after_s=50)
    attempt = request.attempt()
    request.fail(attempt, failure(LIMIT, 7))
    assert request.give_up() == GiveUp(Reason.LIMITED, wait_s=7)


def test_one_key_disabled_and_the_other_cooling_is_limited_in_either_order() -> None:
    of = graph(providers="a")
    for kinds in ((LIMIT, KEY), (KEY, LIMIT)):
        request = Request(of, state(of, keys=2))
        request.run(*kinds)
        assert request.give_up() == GiveUp(Reason.LIMITED, wait_s=900)


def test_who_can_never_serve_does_not_hide_that_the_rest_is_limited() -> None:
    of = graph(
        providers=[
            provider("a", "m", off="no key"),
            provider("b", Candidate("b", "m", context_tokens=1)),
            provider("c", "m"),
            provider("d", "m"),
        ]
    )
    request = Request(of)
    block(request.state, "c", KeyEffect.DISABLE)
    block(request.state, "d")
    assert request.give_up().reason is Reason.LIMITED


def test_nothing_that_could_be_called() -> None:
    request = Request(graph(providers=[provider("a", "m", off="no key"), provider("b", "m")]))
    block(request.state, "b", KeyEffect.DISABLE)
    assert request.give_up() == GiveUp(Reason.NOTHING)


def eject(of: RoutingState, *names: str) -> None:
    for name in names:
        of.health.failed(f"{name}/m", 0, probe=False, cause="cause")


def test_the_ejected_are_passed_over_unless_nothing_else_is_left() -> None:
    of = graph()
    known = state(of, eject_after=1)
    eject(known, "a", "b")
    request = Request(of, known)
    attempt = request.attempt()
    assert attempt.candidate.provider == "c"
    assert [skip.reason for _, skip in request.cascade.skips] == ["ejected", "ejected"]
    assert request.fail(attempt, MODEL) == "candidate"  # c is out of the question: the ejected are all there is
    forced = request.attempt()
    assert (forced.candidate.provider, forced.probe) == ("a", False)
    assert [name for name, _ in request.cascade.skips] == ["b/m"]


def test_the_last_healthy_one_is_not_given_up_for_the_ejected() -> None:
    of = graph(providers="ab")
    known = state(of, eject_after=2)
    eject(known, "a", "a")
    request = Request(of, known)
    assert request.run(SERVER) == ["b#1>retry"]  # b is not ejected yet
    assert request.run(SERVER) == ["b#1>candidate"]  # now both are: plan order
    assert request.attempt().candidate.provider == "a"


def test_another_key_is_tried_where_a_candidate_was_called_although_ejected() -> None:
    of = graph(providers="a")
    known = state(of, keys=2, eject_after=1)
    eject(known, "a")
    request = Request(of, known)
    assert request.run(LIMIT) == ["a#1>key"]
    assert request.attempt().lease.name == "a#2"


def test_half_open_gives_one_probe_and_the_others_go_on() -> None:
    of = graph(providers="ab")
    known = state(of, eject_after=1)
    eject(known, "a")
    first, second = Request(of, known), Request(of, known)
    first.now = second.now = 30
    attempt = first.attempt()
    assert (attempt.candidate.provider, attempt.probe) == ("a", True)
    assert second.attempt().candidate.provider == "b"
    assert [skip.reason for _, skip in second.cascade.skips] == ["probing"]
    first.cascade.close(30)
    third = Request(of, known)
    third.now = 30
    assert third.attempt().probe  # the probe that was given up makes way


def test_a_probe_that_meets_a_limit_takes_the_next_key() -> None:
    of = graph(providers="ab")
    known = state(of, keys=2, eject_after=1)
    eject(known, "a")
    request = Request(of, known)
    request.now = 30
    assert request.fail(request.attempt(), LIMIT) == "key"
    attempt = request.attempt()
    assert attempt.probe
    request.cascade.succeeded(attempt, 30, latency_s=1)
    assert known.health.snapshot(30) == []


def test_cancelling_blames_nobody_and_ends_it() -> None:
    request = Request()
    attempt = request.attempt()
    request.cascade.cancelled(attempt, 1)
    request.cascade.cancelled(attempt, 1)
    assert request.give_up() == GiveUp(Reason.DEADLINE)
    assert request.state.health.snapshot(1) == []
    key = request.state.pools["a"].snapshot(1)[0]
    assert (key.status, key.in_flight, key.errors) == ("available", 0, 0)
    assert request.state.load.latency_s("a/m", stream=True) is None


def test_settling_twice_and_asking_too_early_are_mistakes() -> None:
    request = Request()
    attempt = request.attempt()
    with pytest.raises(RuntimeError, match="not settled"):
        request.next()
    request.fail(attempt, SERVER)
    with pytest.raises(ValueError, match="settled already"):
        request.fail(attempt, SERVER)
    with pytest.raises(ValueError, match="settled already"):
        request.cascade.succeeded(attempt, 0, latency_s=1)


def test_what_was_said_before_a_cancelled_call_does_not_count() -> None:
    request = Request()
    request.run(UNSUPPORTED)
    request.cascade.cancelled(request.attempt(), 1)
    assert request.give_up() == GiveUp(Reason.DEADLINE)


def test_closing_gives_everything_back_and_may_be_repeated() -> None:
    request = Request()
    request.attempt()
    assert request.state.retries.active == 1
    for _ in range(2):
        request.cascade.close(0)
    assert (request.state.retries.active, request.state.load.in_flight("a/m")) == (0, 0)
    assert request.state.pools["a"].snapshot(0)[0].in_flight == 0
    assert isinstance(request.next(), GiveUp)


def test_a_candidate_that_cools_off_meanwhile_is_called_after_all() -> None:
    request = Request(cascade_graph())
    block(request.state, "a", retry_after_s=10)
    attempt = request.attempt()
    assert attempt.candidate.provider == "b"
    request.now = 11
    assert request.fail(attempt, SERVER) == "candidate"
    assert request.attempt().candidate.provider == "a"
    assert request.cascade.skips == []


def cascade_graph() -> Graph:
    return graph({"m": cascade("a", "b")}, "ab")


def test_a_key_that_is_free_again_at_once_is_still_not_used_twice() -> None:
    request = Request(graph(providers="a"))
    assert request.fail(request.attempt(), failure(LIMIT, 0)) == "stop"
    assert request.give_up() == GiveUp(Reason.LIMITED, wait_s=0)


def test_a_candidate_with_no_key_left_but_those_that_failed_is_not_called_again() -> None:
    of = graph(providers="a")
    request = Request(of, state(of, keys=2))
    request.fail(request.attempt(), failure(LIMIT, 0))
    assert request.run(SERVER) == ["a#2>retry"]
    request.state.pools["a"].apply(1, KeyEffect.COOL, 0, model="m", cause="another request's")
    assert request.give_up().reason is Reason.FAILED


def test_what_a_candidate_said_before_does_not_count_while_it_is_called_again() -> None:
    of = graph(providers="a")
    request = Request(of, state(of, keys=2))
    request.run(LIMIT)
    request.cascade.cancelled(request.attempt(), DEADLINE)
    request.now = DEADLINE
    assert request.give_up() == GiveUp(Reason.DEADLINE)


def test_budget_taken_for_a_wait_is_given_back_when_another_candidate_can_be_called_instead() -> None:
    request = Request(graph(providers="ab"))
    block(request.state, "b", retry_after_s=1)
    request.run(SERVER)
    assert isinstance(request.next(), Wait)
    assert request.state.retries.retrying == 1
    request.now = 1
    assert request.attempt().candidate.provider == "b"
    assert request.state.retries.retrying == 0


def test_a_wait_that_was_served_says_nothing_of_the_deadline() -> None:
    request = Request(graph(providers="a"), backoff_s=DEADLINE - 1)
    request.run(SERVER)
    wait = request.next()
    assert isinstance(wait, Wait)
    request.now = max(wait.seconds, DEADLINE - wait.seconds)
    block(request.state, "a", KeyEffect.DISABLE)
    assert request.give_up().reason is Reason.FAILED


@pytest.mark.parametrize(
    ("kind", "slow"),
    [(SERVER, True), (MODEL, True), (UNSUPPORTED, False), (TIER, False), (LIMIT, False), (STALE, False), (BAD, False)],
)
def test_only_a_candidate_s_own_failure_makes_it_look_slow(kind: FaultKind, slow: bool) -> None:
    request = Request()
    request.run(kind)
    assert (request.state.load.latency_s("a/m", stream=True) is not None) == slow


NEEDY = Demand(prompt_tokens=100, stream=True, needs=frozenset({"vision", "tools"}))


def lacking(**lacks: str) -> Graph:
    """One provider a name, whose model lacks these capabilities."""
    return graph(
        providers=[
            provider(name, Candidate(name, "m", context_tokens=1000, lacks=frozenset(words.split())))
            for name, words in lacks.items()
        ]
    )


def told(request: Request) -> list[tuple[str, str]]:
    return [(name, skip.reason) for name, skip in request.cascade.skips]


def test_a_candidate_that_lacks_something_is_passed_over_for_one_that_does_not() -> None:
    request = Request(lacking(a="vision", b="tools vision", c="json_schema"), demand=NEEDY)
    assert request.attempt().candidate.provider == "c"
    assert told(request) == [("a/m", "lacks vision"), ("b/m", "lacks tools, vision")]


def test_what_is_not_needed_may_be_lacking() -> None:
    request = Request(lacking(a="vision tools json_schema"))
    assert request.attempt().candidate.provider == "a"


def test_where_every_candidate_lacks_something_the_providers_judge_in_order() -> None:
    request = Request(lacking(a="vision", b="tools"), demand=NEEDY)
    assert request.run(MODEL, BAD) == ["a#1>candidate", "b#1>stop"]
    assert request.give_up() == GiveUp(Reason.REQUEST_FAULT)


@pytest.mark.parametrize(
    ("out", "asked", "reason"),
    [
        ("cooling", [], Reason.LIMITED),
        ("ejected", ["b"], Reason.FAILED),  # called although it is ejected, and then there is none
        ("failing", ["b"], Reason.FAILED),
        ("disabled", ["a"], Reason.FAILED),
        ("refusing its key", ["b", "a"], Reason.FAILED),
        ("off", ["a"], Reason.FAILED),
        ("too small", ["a"], Reason.FAILED),
        ("refused", ["a"], Reason.FAILED),
    ],
)
def test_those_that_lack_something_are_called_where_no_other_can_ever_serve(
    out: str, asked: list[str], reason: Reason
) -> None:
    able = Candidate("b", "m", context_tokens=10 if out == "too small" else None)
    of = graph(
        providers=[
            provider("a", Candidate("a", "m", lacks=frozenset({"vision"}))),
            provider("b", able, off="no key" if out == "off" else None),
        ]
    )
    known = state(of, eject_after=1)
    request = Request(of, known, demand=NEEDY)
    match out:
        case "cooling":
            block(known, "b")
        case "disabled":
            block(known, "b", KeyEffect.DISABLE)
        case "ejected":
            eject(known, "b")
        case "refused":
            assert request.named() == "b"
            request.cascade.passed_over(failure(UNSUPPORTED), "n")
    called = []
    while isinstance(move := request.next(), Attempt):
        called.append(move.candidate.provider)
        request.fail(move, KEY if out == "refusing its key" and move.candidate is able else MODEL)
    assert called == asked
    assert isinstance(move, GiveUp)
    assert move.reason is reason


def test_one_that_lacks_something_and_is_limited_beside_nothing_else_is_limited() -> None:
    request = Request(lacking(a="vision"), demand=NEEDY)
    block(request.state, "a", retry_after_s=20)
    assert request.give_up() == GiveUp(Reason.LIMITED, wait_s=20)


def test_a_candidate_that_the_request_cannot_be_put_to_is_passed_over_and_nothing_of_it_is_used() -> None:
    of = graph(providers="ab")
    known = state(of, eject_after=1)
    eject(known, "a")
    request = Request(of, known, attempts=1)
    request.now = 30  # a is half-open: its probe is not spent either
    assert request.named() == "a"
    request.cascade.passed_over(failure(UNSUPPORTED), "n")
    attempt = request.attempt()
    assert (attempt.number, attempt.candidate.provider) == (1, "b")
    assert told(request) == [("a/m", "unsupported: n")]
    (key,) = known.pools["a"].snapshot(30)
    assert (key.used, key.errors, key.in_flight) == (0, 0, 0)
    assert known.load.in_flight("a/m") == 0
    assert known.health.begin("a/m", 30), "the probe is still to be had"
    assert request.fail(attempt, SERVER) == "stop"
    assert request.give_up().reason is Reason.FAILED


def test_a_request_that_can_be_put_to_nobody_is_its_own_fault() -> None:
    request = Request(graph(providers=[provider("off", "m", off="no key"), provider("a", "m"), provider("b", "m")]))
    for name in "ab":
        assert request.named() == name
        request.cascade.passed_over(failure(UNSUPPORTED), "n")
    assert request.give_up() == GiveUp(Reason.REQUEST_FAULT)
    assert told(request) == [("off/m", "off: no key"), ("a/m", "unsupported: n"), ("b/m", "unsupported: n")]


def test_a_request_that_no_candidate_left_can_be_given_waits_for_one_that_is_held_up() -> None:
    request = Request(graph(providers="ab"))
    block(request.state, "b", retry_after_s=20)
    assert request.named() == "a"
    request.cascade.passed_over(failure(UNSUPPORTED), "n")
    assert request.give_up() == GiveUp(Reason.LIMITED, wait_s=20)


def test_a_failure_elsewhere_is_not_the_request_s_fault_though_another_could_not_be_asked() -> None:
    request = Request(graph(providers="ab"))
    request.run(MODEL)
    assert request.named() == "b"
    request.cascade.passed_over(failure(UNSUPPORTED), "n")
    assert request.give_up().reason is Reason.FAILED


def test_a_request_that_is_no_request_ends_with_the_first_who_cannot_read_it() -> None:
    request = Request(graph(providers="abc"))
    request.run(MODEL)
    assert request.named() == "b"
    request.cascade.passed_over(failure(BAD), "messages[0]: no object")
    assert request.give_up() == GiveUp(Reason.REQUEST_FAULT)


def test_only_what_was_named_can_begin_or_be_passed_over() -> None:
    request = Request()
    with pytest.raises(RuntimeError, match="no call is due"):
        request.cascade.begin(0, RNG)
    with pytest.raises(RuntimeError, match="no call is due"):
        request.cascade.passed_over(failure(UNSUPPORTED), "n")
    request.attempt()
    with pytest.raises(RuntimeError, match="no call is due"):
        request.cascade.begin(0, RNG)
