"""One upstream answer on its way to all who asked for it at once.

The request that came first leads: it alone calls upstreams, and what they send is kept here until the answer is whole.
Those that came later follow, each at its own pace, and are woken when there is more. While anyone follows, the leader
waits for no client of its own, and goes on when that client leaves.
"""

from __future__ import annotations

import asyncio
from enum import Enum

import msgspec

from cortex.caching.answer import Answer, Origin
from cortex.errors import ClientError
from cortex.relay import Relay
from cortex.sink import Sink

MAX_FOLLOWED_BYTES = 64 * 1024 * 1024  # of an answer too large to be remembered, for those who follow it
MAX_FOLLOWERS = 10_000  # of one flight


class State(Enum):
    UNDER_WAY = "under way"
    WHOLE = "whole"
    FAILED = "failed"  # with an error that a follower would most likely get as well
    LOST = "lost"  # through no fault of an upstream's


class Rendering(msgspec.Struct, eq=False):
    """What followers get of a streamed answer, as far as it has come: those who get the same share one."""

    relay: Relay
    frames: list[bytes] = []
    taken: int = 0  # of the flight's parts

    def take(self, flight: Flight) -> None:
        """Render what has come since."""
        parts = flight.parts
        if self.taken < len(parts):
            data, self.taken = b"".join(parts[self.taken :]), len(parts)
            if out := self.relay.feed(data):
                self.frames.append(out)
        if flight.state is State.WHOLE and not self.relay.whole and (out := self.relay.end()):
            self.frames.append(out)


class Flight(msgspec.Struct, eq=False):
    """Led by the task that makes it."""

    key: bytes
    deadline: float  # the leader's, monotonic seconds
    failures: int  # of those who led before
    _flights: Flights
    _sink: Sink | None
    followers: int = 0
    state: State = State.UNDER_WAY
    origin: Origin | None = None  # from the commit on
    parts: list[bytes] = []  # of the attempt under way, as its upstream sent them
    size_bytes: int = 0
    kept: bool = True  # what comes is kept, as long as there is room for it
    answer: Answer | None = None  # of a chat, once it is whole
    error: ClientError | None = None  # once it has failed
    renderings: dict[object, Rendering] = {}  # by `Operation.form`
    _waiting: list[asyncio.Future[None]] | None = None

    # The leader's

    def begin(self) -> None:
        """Another attempt: what the one before it sent counts for nothing."""
        self.parts.clear()
        self._give_back()

    def add(self, data: bytes) -> None:
        if not self.kept:
            return
        flights, size = self._flights, len(data)
        self.parts.append(data)
        self.size_bytes += size
        flights.held_bytes += size
        if self.size_bytes > flights.max_bytes or flights.held_bytes > flights.most_bytes:
            self._outgrow()
        if self._waiting:
            self._wake()

    def commit(self, origin: Origin) -> None:
        """From now on the answer is this attempt's."""
        self.origin = origin
        if self._waiting:
            self._wake()

    def whole(self, answer: Answer | None) -> None:
        self.answer = answer
        self._land(State.WHOLE)

    def fail(self, error: ClientError) -> None:
        self.error = error
        self._land(State.FAILED)

    def lose(self) -> None:
        """Does nothing once it has landed."""
        if self.state is State.UNDER_WAY:
            self._land(State.LOST)

    # A follower's

    def join(self) -> None:
        """`leave` must follow."""
        self.followers += 1
        if self.followers == 1 and self._sink is not None:
            self._sink.outlive(True)

    def leave(self) -> None:
        self.followers -= 1
        if self.followers:
            return
        if self.state is not State.UNDER_WAY:
            self._give_back()
        elif self._sink is not None:
            self._sink.outlive(False)  # ends the work, if its client has left

    async def news(self) -> None:
        """Returns when something has come, or the flight has landed."""
        future = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(future)
        await future

    def _land(self, state: State) -> None:
        if self.state is not State.UNDER_WAY:
            return
        self.state = state
        self._flights.remove(self)
        if self.followers and self._sink is not None:
            self._sink.outlive(False)
        self._sink = None
        if self._waiting:
            self._wake()
        if not self.followers:
            self._give_back()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        for future in waiting or ():
            if not future.done():
                future.set_result(None)

    def _outgrow(self) -> None:
        """Too large to be remembered: nobody may join any more, and what is not followed is not kept."""
        self._flights.remove(self)
        if not self.followers:
            self.kept = False
            self.parts.clear()
            self._give_back()
        elif self.size_bytes > MAX_FOLLOWED_BYTES or self._flights.far_too_much:
            self.kept = False
            self._land(State.LOST)

    def _give_back(self) -> None:
        self._flights.held_bytes -= self.size_bytes
        self.size_bytes = 0


class Flights:
    """Those under way, by what they answer. `max_bytes` bounds one, `most_bytes` what all of them hold together."""

    def __init__(self, max_bytes: int, most_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._by_key: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def joinable(self, key: bytes, now: float, deadline: float) -> Flight | None:
        """The flight that a request with this deadline may follow.

        Not one whose leader has less than half of the request's time left: it would be cut for another's haste.
        """
        flight = self._by_key.get(key)
        if flight is None or flight.followers >= MAX_FOLLOWERS or flight.deadline - now < (deadline - now) / 2:
            return None
        return flight

    def lead(self, key: bytes, sink: Sink, deadline: float, failures: int) -> Flight:
        """From now on others follow this one, not one under way that this request could not follow."""
        flight = self._by_key[key] = Flight(key, deadline, failures, self, sink)
        return flight

    def alone(self, key: bytes, sink: Sink, deadline: float) -> Flight:
        """One that nobody may follow."""
        return Flight(key, deadline, 0, self, sink)

    def remove(self, flight: Flight) -> None:
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]

    @property
    def far_too_much(self) -> bool:
        return self.held_bytes > 2 * self.most_bytes
