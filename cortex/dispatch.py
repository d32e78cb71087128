"""The attempt loop: asks routing what to do next, does it, and tells it what came of it.

One request reads from top to bottom here, whatever it asks for and however often it fails over. Before the commit (the
first real content, or a whole JSON answer) nothing has been sent and any fault moves on; after it the client gets
exactly one in-protocol error and never a false end.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Mapping

from cortex.attempt import Call
from cortex.caching.caching import Query
from cortex.caching.serve import follow, send_hit, send_vectors
from cortex.choosing import choose
from cortex.cost import cost_usd
from cortex.entry import entry_for, plan_for
from cortex.errors import REQUEST_FAULTS, ClientError, Fault, FaultKind
from cortex.operation import Operation
from cortex.passage import Passage
from cortex.providers.codec import Encoded
from cortex.refusal import CUT, DEADLINE_EXCEEDED, NOT_CACHED, cut_error, error_headers, refusal, request_error
from cortex.runtime import Runtime
from cortex.sink import ClientGone, Sink
from cortex.telemetry.log import Log
from cortex.telemetry.record import AttemptRecord, CandidateRecord, RequestRecord
from cortex.watchdog import Expired
from routing.cascade import Cascade, GiveUp, Reason, Wait
from routing.choices import NO_CHOICES, Choices
from routing.graph import Candidate, Entry
from routing.plan import Plan

_now = time.monotonic  # the loop's own clock stands still while it works
_RANDOM = random.Random()  # one a process: seeding one a request would cost more than planning it


def answer(
    runtime: Runtime,
    operation: Operation,
    sink: Sink,
    record: RequestRecord,
    *,
    deadline: float,
    headers: Mapping[str, str],
    log: Log,
) -> Awaitable[None]:
    """Answer one request and fill in its record. `deadline` is monotonic, `headers` the request's, whatever their
    names' case. Raises CancelledError only."""
    return _Exchange(Passage(runtime, operation, sink, record, deadline), headers, log).run()


class _Exchange:
    """One request between its client and the upstreams."""

    __slots__ = (
        "_headers",
        "_last_fault",
        "_log",
        "_operation",
        "_passage",
        "_record",
        "_refused",
        "_runtime",
        "_sink",
    )

    def __init__(self, passage: Passage, headers: Mapping[str, str], log: Log) -> None:
        self._passage = passage
        self._headers = headers
        self._runtime = passage.runtime
        self._operation = passage.operation
        self._sink = passage.sink
        self._record = passage.record
        self._log = log
        self._last_fault: Fault | None = None  # of an attempt
        self._refused: Fault | None = None  # by a codec, before anything was sent

    async def run(self) -> None:
        """Until the client has its answer or an error. Raises CancelledError only."""
        passage = self._passage
        try:
            try:
                entry = entry_for(self._runtime, self._operation)
                query = self._runtime.caching.query(self._operation, entry, self._record, self._headers)
                passage.query = query
                if not await self._from_cache(query):
                    await self._from_upstream(entry)
            except Fault as unknown:
                await self._refuse(request_error(unknown))
        except ClientGone:
            self._record.gone()
        except asyncio.CancelledError:
            self._record.gone()
            raise
        finally:
            if passage.flight is not None:
                passage.flight.lose()  # unless it has landed
            passage.close()

    # What needs no call

    async def _from_cache(self, query: Query) -> bool:
        """True: the request is settled. False: it asks upstreams, and others may wait for what it gets."""
        passage, caching, record = self._passage, self._runtime.caching, self._record
        while True:
            now = _now()
            if (entry := caching.find(query, now)) is not None:
                record.cache, record.cache_reason = "hit", None
                await send_hit(passage, entry, now)
                return True
            if query.texts and await send_vectors(passage, now):
                return True
            flight = None if query.directives.only else caching.joinable(query, now, passage.deadline)
            if flight is None:
                if caching.compares(query):
                    if await self._from_similar(query):
                        return True
                    continue  # another may have begun to ask the same
                if query.directives.only:
                    await self._refuse(NOT_CACHED)
                    return True
                passage.flight = caching.lead(query, record, passage.sink, passage.deadline)
                return False
            followed = await follow(passage, flight)
            if followed.error is not None:
                await self._refuse(followed.error)
                return True
            if followed.cut is not None:
                await self._cut(followed.cut)
                return True
            if followed.settled:
                return True

    async def _from_similar(self, query: Query) -> bool:
        """Answer with what the same question in other words was answered. False: it was not asked."""
        passage, caching, record = self._passage, self._runtime.caching, self._record
        match = await caching.compare(query, self._operation, passage.deadline - _now())
        if match is None:
            return False
        now = _now()
        entry = caching.find_matched(match, query, now)
        if entry is None:
            return False
        record.cache, record.cache_reason, record.cache_similarity = "semantic", None, match.similarity
        record.cache_key = match.key.hex()
        await send_hit(passage, entry, now)
        return True

    # What does

    async def _from_upstream(self, entry: Entry) -> None:
        """Attempt after attempt. Raises Fault(BAD_REQUEST) if the graph has no place for the request."""
        passage, state = self._passage, self._runtime.state
        choices = await self._choose(entry) if entry.chooses else NO_CHOICES
        plan = plan_for(self._runtime, self._operation, entry, choices, _now(), _RANDOM)
        cascade = Cascade(plan, state, self._runtime.retries, self._operation.demand, passage.deadline)
        settled = False
        try:
            while not settled:
                due = cascade.next(_now(), _RANDOM)
                if isinstance(due, Wait):
                    await asyncio.sleep(due.seconds)
                elif isinstance(due, GiveUp):
                    break
                elif (encoded := self._encode(cascade, due.candidate)) is not None:
                    settled = await self._attempt(cascade, encoded)
        finally:
            cascade.close(_now())
            self._tell_candidates(plan, cascade)
        if isinstance(due, GiveUp):
            await self._refuse(refusal(due, self._judged(due), self._record))

    def _choose(self, entry: Entry) -> Awaitable[Choices]:
        deadline = self._passage.deadline
        return choose(self._runtime, self._operation, entry, self._record, deadline=deadline, headers=self._headers)

    # One attempt

    def _encode(self, cascade: Cascade, candidate: Candidate) -> Encoded | None:
        """The request in the candidate's terms; None if it cannot be put so, and the candidate is passed over."""
        provider = self._runtime.providers[candidate.provider]
        try:
            return self._operation.encode(provider.codec, provider.models[candidate.model])
        except Fault as fault:
            fault.message = self._runtime.redactor.redact(fault.message)
            self._refused = fault.with_traceback(None)  # its frames hold this object
            cascade.passed_over(fault.failure, _what(fault))
            return None

    async def _attempt(self, cascade: Cascade, encoded: Encoded) -> bool:
        """One upstream call, or a chain of them. True: the request is settled; False: ask the cascade again."""
        now, record = _now(), self._record
        attempt = cascade.begin(now, _RANDOM)
        seen = AttemptRecord(attempt.candidate.name, attempt.lease.name, self._passage.elapsed_ms(now))
        record.attempts.append(seen)
        record.route = attempt.route
        call = Call(self._passage, self._runtime.providers[attempt.candidate.provider], attempt, seen)
        try:
            while encoded.then is not None:
                await call.run(encoded)
                encoded, seen.calls = encoded.then, seen.calls + 1
            tally = await call.run(encoded)
        except (ClientGone, asyncio.CancelledError):
            seen.kind = "cancelled"
            seen.end_ms = self._passage.elapsed_ms(_now())
            self._account(call)
            cascade.cancelled(attempt, _now())
            raise
        except (Fault, Expired) as error:
            return await self._failed(cascade, call, _fault(error, call))
        now = _now()
        seen.end_ms = self._passage.elapsed_ms(now)
        cascade.succeeded(attempt, now, latency_s=call.latency_s(now))
        record.outcome, record.status = "completed", 200
        record.finish_reason = tally.finish_reason
        record.upstream_model = tally.model
        self._account(call)
        return True

    # What came of it

    def _judged(self, give_up: GiveUp) -> Fault | None:
        """The fault that the verdict is about: an attempt's, or a codec's refusal where no attempt said as much."""
        asked = self._last_fault
        if give_up.reason is Reason.REQUEST_FAULT and (asked is None or asked.kind not in REQUEST_FAULTS):
            return self._refused
        return asked

    async def _failed(self, cascade: Cascade, call: Call, fault: Fault) -> bool:
        """Settle a failed attempt. True: content had gone, so the request ends here."""
        redact = self._runtime.redactor.redact
        fault.message = redact(fault.message)
        self._last_fault = fault.with_traceback(None)  # its frames hold this object
        seen, attempt = call.seen, call.attempt
        seen.kind, seen.message, seen.end_ms = fault.kind.value, fault.message, self._passage.elapsed_ms(_now())
        committed = call.committed_at is not None
        if fault.kind in (FaultKind.DEADLINE, FaultKind.CLIENT_GONE):
            cascade.cancelled(attempt, _now())
            seen.next = "stop"
        else:
            seen.next = cascade.failed(
                attempt, fault.failure, _now(), _RANDOM, cause=fault.kind.value, committed=committed
            )
        if fault.kind in (FaultKind.INVALID_KEY, FaultKind.NO_PERMISSION):
            self._log.error("key disabled: the provider refuses it", key=attempt.lease.name, reason=fault.message)
        if fault.kind is FaultKind.CLIENT_GONE:
            self._account(call)
            raise ClientGone
        if not committed:
            return False
        self._account(call)
        await self._cut(fault)
        return True

    async def _cut(self, fault: Fault) -> None:
        """One in-protocol error, and no end that would make a cut answer look whole."""
        record = self._record
        record.outcome, record.status, record.error = "cut", 200, CUT
        error = cut_error(fault, record)
        self._ground(error)
        await self._sink.end(self._operation.stream_error(error, record.request_id))

    async def _refuse(self, error: ClientError) -> None:
        """No candidate answered: one error, in the stream if it had to be opened."""
        record = self._record
        self._ground(error)
        record.outcome, record.status, record.error = "failed", error.status, error.code
        if self._sink.started:
            await self._sink.end(self._operation.stream_error(error, record.request_id))
            return
        headers = {**self._passage.headers(), **error_headers(error), "content-type": "application/json"}
        await self._sink.send(error.status, headers, self._operation.error(error, record.request_id))

    def _ground(self, error: ClientError) -> None:
        """Tell those who wait for the answer, unless they have more time than this request had."""
        flight = self._passage.flight
        if flight is not None and error.code != DEADLINE_EXCEEDED:
            flight.fail(error)

    # What is told of it

    def _account(self, call: Call) -> None:
        """Usage and cost of what was answered, whole or cut: once a request, at its end."""
        tally = call.relay.tally if call.relay is not None and call.relay.committed else call.tally
        if tally is None:
            return
        usage = tally.usage or tally.estimate(self._operation.demand.prompt_tokens)
        self._record.usage = usage
        self._record.cost_usd = cost_usd(call.attempt.candidate, usage)

    def _tell_candidates(self, plan: Plan, cascade: Cascade) -> None:
        candidates = self._record.candidates = [CandidateRecord(planned.candidate.name) for planned in plan.planned]
        if skips := dict(cascade.skips):
            offset = time.time() - _now()
            for told in candidates:
                if (skip := skips.get(told.target)) is not None:
                    told.skip = skip.reason
                    told.until = None if skip.until is None else skip.until + offset


def _fault(error: Fault | Expired, call: Call) -> Fault:
    if isinstance(error, Fault):
        return error
    if error.deadline:
        return Fault(FaultKind.DEADLINE, f"the request's deadline passed while waiting: {error.phase}")
    if error.phase == "write":
        return Fault(FaultKind.CLIENT_GONE, "the client stopped reading")
    return Fault(FaultKind.TIMEOUT, f"{call.attempt.candidate.name} was too slow: {error.phase} time-out")


def _what(refusal: Fault) -> str:
    """What cannot be put in a provider's terms: the member, or where that says too little, the sentence."""
    return refusal.message if refusal.param in (None, "messages") else str(refusal.param)
