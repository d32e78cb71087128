"""The table of answers under way: whatever leaders and followers do, all that is held is given back in the end."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cortex.caching import flight as flights_module
from cortex.caching.flight import Flight, Flights, State
from cortex.errors import ClientError
from cortex.server.sink import ResponseSink

KEYS = st.sampled_from([b"a", b"b"])
ERROR = ClientError(502, "failed", "server_error", "x", should_retry=False)
NOW = 100.0
SIZES = st.integers(1, 60)


class Leader(ResponseSink):
    """A client's connection as far as a flight knows it: whether it may go on without the client."""

    __slots__ = ("outlives",)

    def __init__(self) -> None:
        self.outlives = False

    def outlive(self, stays: bool) -> None:
        self.outlives = stays


class UnderWay(RuleBasedStateMachine):
    @initialize(one=st.integers(1, 200), together=st.integers(1, 400))
    def begin(self, one: int, together: int) -> None:
        self.flights = Flights(one, together)
        self.led: list[tuple[Flight, Leader, bool]] = []  # and whether others may follow
        self.joined: list[Flight] = []

    def _some(self, data: st.DataObject) -> Flight | None:
        under_way = [flight for flight, _, _ in self.led if flight.state is State.UNDER_WAY]
        return data.draw(st.sampled_from(under_way)) if under_way else None

    @rule(key=KEYS, left_s=st.sampled_from([1.0, 10.0, 100.0]), alone=st.booleans())
    def ask(self, key: bytes, left_s: float, alone: bool) -> None:
        """As a request does: follow if that is possible, else lead."""
        deadline, sink = NOW + left_s, Leader()
        if alone:
            self.led.append((self.flights.alone(key, sink, deadline), sink, False))
            return
        flight = self.flights.joinable(key, NOW, deadline)
        if flight is None:
            flight = self.flights.lead(key, sink, deadline, 0)
            self.led.append((flight, sink, True))
            assert self.flights.joinable(key, NOW, deadline) is flight, "the next one follows this"
            return
        assert flight.state is State.UNDER_WAY
        assert flight.deadline - NOW >= left_s / 2
        flight.join()
        self.joined.append(flight)

    @rule(data=st.data(), size=SIZES)
    def add(self, data: st.DataObject, size: int) -> None:
        if (flight := self._some(data)) is not None:
            flight.add(b"x" * size)

    @rule(data=st.data())
    def another_attempt(self, data: st.DataObject) -> None:
        if (flight := self._some(data)) is not None and flight.origin is None:
            flight.begin()
            assert (flight.parts, flight.size_bytes) == ([], 0)

    @rule(data=st.data(), how=st.sampled_from(["whole", "fail", "lose"]))
    def land(self, data: st.DataObject, how: str) -> None:
        flight = self._some(data)
        if flight is None:
            return
        if how == "whole":
            flight.whole(None)
        elif how == "fail":
            flight.fail(ERROR)
        else:
            flight.lose()
        state = flight.state
        flight.lose()
        assert flight.state is state, "it lands once"

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        flight = data.draw(st.sampled_from(self.joined))
        self.joined.remove(flight)
        flight.leave()

    @invariant()
    def what_is_held_is_counted(self) -> None:
        assert self.flights.held_bytes == sum(flight.size_bytes for flight, _, _ in self.led) >= 0

    @invariant()
    def only_what_is_under_way_can_be_followed(self) -> None:
        for key in (b"a", b"b"):
            flight = self.flights._by_key.get(key)
            assert flight is None or flight.state is State.UNDER_WAY
        may = [flight for flight, _, follows in self.led if follows]
        assert all(flight in may for flight in self.flights._by_key.values())

    @invariant()
    def a_leader_goes_on_without_its_client_exactly_while_it_is_followed(self) -> None:
        for flight, sink, _ in self.led:
            assert sink.outlives is (flight.state is State.UNDER_WAY and flight.followers > 0)

    @invariant()
    def what_nobody_needs_is_not_held(self) -> None:
        for flight, _, _ in self.led:
            if not flight.followers and (flight.state is not State.UNDER_WAY or not flight.kept):
                assert flight.size_bytes == 0

    def teardown(self) -> None:
        if not hasattr(self, "flights"):
            return
        for flight, _, _ in self.led:
            flight.lose()
        for flight in self.joined:
            flight.leave()
        assert (self.flights.held_bytes, len(self.flights)) == (0, 0)


class TestUnderWay(UnderWay.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(max_examples=150, stateful_step_count=40)

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flights_module, "MAX_FOLLOWED_BYTES", 300)
        monkeypatch.setattr(flights_module, "MAX_FOLLOWERS", 4)
