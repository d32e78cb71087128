"""Answers that take no upstream call of the request's own: remembered ones, and those that another waits for."""

from __future__ import annotations

import math
import time

import msgspec

from cache.store import Entry
from cortex.caching.answer import Answer, Origin
from cortex.caching.flight import Flight, Rendering, State
from cortex.chat import Usage
from cortex.cost import cost_usd
from cortex.dialects import openai_embeddings
from cortex.embeddings import Embeddings, Known
from cortex.errors import ClientError, Fault, FaultKind
from cortex.operation import Chat, Embed
from cortex.passage import Passage
from cortex.refusal import DEADLINE_EXCEEDED
from cortex.relay import Tally
from cortex.sink import ClientGone
from cortex.watchdog import Expired, Watchdog
from routing.graph import Candidate

_DEADLINE = ClientError(
    504,
    "the deadline passed while this request waited for the answer to another like it",
    "server_error",
    DEADLINE_EXCEEDED,
    should_retry=False,
)


async def send_hit(passage: Passage, entry: Entry[Answer], now: float) -> None:
    """Answer with what is remembered. Raises ClientGone."""
    record, answer = passage.record, entry.value
    record.cache_age_s = now - entry.stored_at
    operation, caching, query = passage.operation, passage.runtime.caching, passage.query
    body = caching.render(answer, entry.key, operation, record.request_id)
    if isinstance(operation, Chat) and query is not None:
        caching.repeats_itself(operation, query)
    await _send_whole(passage, answer, body)


async def send_vectors(passage: Passage, now: float) -> bool:
    """Answer a request for embeddings of which every text is known. Raises ClientGone.

    False: not so; but the model that made most of what is known will not be asked for that again.
    """
    operation, query, record = passage.operation, passage.query, passage.record
    assert isinstance(operation, Embed)
    assert query is not None
    found = passage.runtime.caching.find_vectors(query, now)
    if not found:
        return False
    by_model: dict[str, dict[int, Known]] = {}
    for place, entry in found.items():
        by_model.setdefault(entry.value.candidate.name, {})[place] = entry.value.known
    operation.known = by_model
    if len(by_model) > 1 or len(found) < len(operation.request.items):
        return False
    one = found[0].value
    record.cache = "coalesced" if query.waited else "hit"
    record.cache_age_s = now - min(entry.stored_at for entry in found.values())
    record.model, record.route = one.candidate.name, one.route
    usage = Usage(sum(entry.value.tokens for entry in found.values()), 0)
    _account(passage, one.candidate, Tally(model=one.upstream_model, usage=usage))
    known = by_model[one.candidate.name]
    vectors = [known[place].vector for place in range(len(known))]
    body = openai_embeddings.render(Embeddings(one.upstream_model, vectors, usage), operation.request)
    await passage.sink.send(200, {**passage.headers(), "content-type": "application/json"}, body)
    return True


class Followed(msgspec.Struct, frozen=True):
    """What came of following. Neither error nor cut, and not settled: ask the cache again."""

    settled: bool = False
    error: ClientError | None = None  # nothing was sent
    cut: Fault | None = None  # content was


_SETTLED = Followed(settled=True)


async def follow(passage: Passage, flight: Flight) -> Followed:
    """Pass on another's answer: as it comes where both are streams, else when it is whole. Raises ClientGone."""
    following, record = _Following(passage, flight), passage.record
    record.cache, record.cache_reason = "coalesced", "another request was asking the same"
    flight.join()
    try:
        with Watchdog(passage.runtime.alarms, passage.deadline, "another's answer", math.inf) as watchdog:
            return await following.run(watchdog)
    except Expired as expired:
        return following.expired(expired)
    finally:
        flight.leave()


class _Following:
    def __init__(self, passage: Passage, flight: Flight) -> None:
        self._passage = passage
        self._flight = flight
        self._began = time.monotonic()
        self._committed = False  # content of the answer is being sent

    async def run(self, watchdog: Watchdog) -> Followed:
        flight, streams = self._flight, self._passage.operation.stream
        while flight.state is State.UNDER_WAY:
            if streams and flight.origin is not None and flight.origin.streamed:
                return await self._stream(flight.origin, watchdog)
            await flight.news()
        if flight.state is not State.WHOLE:
            return self._grounded()
        if flight.answer is None:  # what it asked for is remembered now, if it may be
            return self._again(alone=True)
        passage = self._passage
        body = passage.runtime.caching.render(flight.answer, flight.key, passage.operation, passage.record.request_id)
        self._commit()
        self._write_phase(watchdog)
        await _send_whole(passage, flight.answer, body)
        return _SETTLED

    async def _stream(self, origin: Origin, watchdog: Watchdog) -> Followed:
        """Frames as they come, at this client's pace."""
        passage, flight, sent = self._passage, self._flight, 0
        rendering = self._rendering(origin)
        while True:
            rendering.take(flight)
            if sent < len(rendering.frames):
                frames, sent = rendering.frames[sent:], len(rendering.frames)
                await self._send(frames[0] if len(frames) == 1 else b"".join(frames), origin, watchdog)
            elif rendering.relay.whole:
                break
            elif flight.state is State.UNDER_WAY:
                await flight.news()
            else:
                return Followed(cut=_broken(flight)) if self._committed else self._grounded()
        _account(passage, origin.candidate, rendering.relay.tally)
        self._write_phase(watchdog)
        await passage.sink.end()
        return _SETTLED

    def _rendering(self, origin: Origin) -> Rendering:
        """Of a form that many share, one for all of them."""
        passage, flight, form = self._passage, self._flight, self._passage.operation.form
        if form is not None and (known := flight.renderings.get(form)) is not None:
            return known
        request_id = passage.record.request_id if form is None else origin.request_id
        relay = passage.operation.relay(origin.codec, origin.call, origin.provenance(request_id))
        rendering = Rendering(relay)
        if form is not None:
            flight.renderings[form] = rendering
        return rendering

    async def _send(self, out: bytes, origin: Origin, watchdog: Watchdog) -> None:
        passage = self._passage
        if not self._committed:
            self._commit()
            _tell(passage, origin)
            await passage.sink.start_stream(passage.headers())
        if passage.keepalive is not None:
            passage.keepalive.wrote(time.monotonic())
        if not passage.sink.put(out):
            self._write_phase(watchdog)
            await passage.sink.drain()
            watchdog.phase("another's answer", math.inf)

    def _commit(self) -> None:
        self._committed = True
        self._passage.waited_s += time.monotonic() - self._began

    def _write_phase(self, watchdog: Watchdog) -> None:
        watchdog.phase("write", self._passage.runtime.config.timeouts.idle)

    def _grounded(self) -> Followed:
        """The flight has come to nothing. One that waited for it tries in its place; if that fails as well, all do."""
        flight, query = self._flight, self._passage.query
        assert query is not None
        error = flight.error
        if error is None:
            return self._again()
        if flight.failures or (error.status < 500 and error.status != 429):  # or it is the request's own fault
            self._passage.record.cache_reason = "the request that it waited for failed"
            return Followed(error=error)
        query.failures = flight.failures + 1
        return self._again()

    def _again(self, *, alone: bool = False) -> Followed:
        query = self._passage.query
        assert query is not None
        query.waited, query.alone = True, alone
        return Followed()

    def expired(self, expired: Expired) -> Followed:
        if expired.phase == "write" and not expired.deadline:
            raise ClientGone
        if self._committed:
            return Followed(cut=Fault(FaultKind.DEADLINE, "the request's deadline passed"))
        return Followed(error=_DEADLINE)


def _broken(flight: Flight) -> Fault:
    if flight.error is None:
        return Fault(FaultKind.BROKEN, "the request whose answer this one shared did not come to its end")
    return Fault(FaultKind.BROKEN, flight.error.message)


async def _send_whole(passage: Passage, answer: Answer, body: bytes) -> None:
    _tell(passage, answer.origin)
    _account(passage, answer.origin.candidate, answer.tally)
    if passage.operation.stream:
        await passage.sink.start_stream(passage.headers())
        await passage.sink.end(body)
    else:
        await passage.sink.send(200, {**passage.headers(), "content-type": "application/json"}, body)


def _tell(passage: Passage, origin: Origin) -> None:
    """What the headers say of it."""
    record = passage.record
    record.model, record.route, record.dropped = origin.candidate.name, origin.route, origin.call.dropped


def _account(passage: Passage, candidate: Candidate, tally: Tally) -> None:
    """What it would have cost, and did not."""
    record = passage.record
    record.outcome, record.status = "completed", 200
    record.finish_reason, record.upstream_model = tally.finish_reason, tally.model
    record.usage = tally.usage or tally.estimate(passage.operation.demand.prompt_tokens)
    record.cost_usd, record.saved_usd = 0.0, cost_usd(candidate, record.usage)
    passage.runtime.caching.served(record)
