"""The attempt loop: asks routing what to do next, does it, and tells it what came of it.

One request reads from top to bottom here, whatever it asks for and however often it fails over. Before the commit (the
first real content, or a whole JSON answer) nothing has been sent and any fault moves on; after it the client gets
exactly one in-protocol error and never a false end.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

from cortex.cost import cost_usd
from cortex.dialects.dialect import Provenance
from cortex.entry import plan_for
from cortex.errors import REQUEST_FAULTS, ClientError, Fault, FaultKind
from cortex.keepalive import Keepalive
from cortex.operation import Answered, Operation
from cortex.providers.codec import Encoded
from cortex.refusal import CUT, cut_error, error_headers, refusal, request_error
from cortex.relay import Relay, Tally
from cortex.runtime import Provider, Runtime
from cortex.sink import ClientGone, Sink
from cortex.telemetry.log import Log
from cortex.telemetry.record import AttemptRecord, CandidateRecord, RequestRecord
from cortex.transport import UpstreamRequest, UpstreamResponse
from cortex.watchdog import Expired, Watchdog
from routing.cascade import Attempt, Cascade, GiveUp, Reason, Wait
from routing.graph import Candidate
from routing.plan import Plan, Planned

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_LAST_BYTES_S = 1.0  # how long an upstream may take to close its body after the terminal marker
_RANDOM = random.Random()  # one a process: seeding one a request would cost more than planning it


async def answer(
    runtime: Runtime, operation: Operation, sink: Sink, record: RequestRecord, *, deadline: float, log: Log
) -> None:
    """Answer one request and fill in its record. `deadline` is monotonic. Raises CancelledError only."""
    await _Exchange(runtime, operation, sink, record, deadline, log).run()


class _Exchange:
    """One request between its client and the upstreams."""

    def __init__(
        self, runtime: Runtime, operation: Operation, sink: Sink, record: RequestRecord, deadline: float, log: Log
    ) -> None:
        self._runtime = runtime
        self._operation = operation
        self._sink = sink
        self._record = record
        self._deadline = deadline
        self._log = log
        self._now = time.monotonic  # the loop's own clock stands still while it works
        self._waited_s = 0.0  # on upstreams, before the commit
        self._last_fault: Fault | None = None  # of an attempt
        self._refused: Fault | None = None  # by a codec, before anything was sent
        self._keepalive: Keepalive | None = None

    async def run(self) -> None:
        try:
            await self._run()
        except ClientGone:
            self._gone()
        except asyncio.CancelledError:
            self._gone()
            raise
        finally:
            if self._keepalive is not None:
                self._keepalive.stop()

    async def _run(self) -> None:
        try:
            plan = plan_for(self._runtime, self._operation, self._now(), _RANDOM)
        except Fault as unknown:
            await self._refuse(request_error(unknown))
            return
        cascade = Cascade(plan, self._runtime.state, self._runtime.retries, self._operation.demand, self._deadline)
        if self._operation.stream:
            self._keepalive = Keepalive(self._sink, self._operation.keepalive, self._headers)
        try:
            give_up = await self._cascade(cascade)
        finally:
            cascade.close(self._now())
            self._tell_candidates(plan, cascade)
        if give_up is not None:
            await self._refuse(refusal(give_up, self._judged(give_up), self._record))

    async def _cascade(self, cascade: Cascade) -> GiveUp | None:
        """Attempt after attempt. None: the client has its answer, whole or with the error that ended it."""
        while True:
            match cascade.next(self._now(), _RANDOM):
                case Wait(seconds=seconds):
                    await asyncio.sleep(seconds)
                case GiveUp() as give_up:
                    return give_up
                case Planned() as planned:
                    encoded = self._encode(cascade, planned.candidate)
                    if encoded is not None and await self._attempt(cascade, encoded):
                        return None

    # One attempt

    def _encode(self, cascade: Cascade, candidate: Candidate) -> Encoded | None:
        """The request in the candidate's terms; None if it cannot be put so, and the candidate is passed over."""
        provider = self._runtime.providers[candidate.provider]
        try:
            return self._operation.encode(provider.codec, provider.models[candidate.model])
        except Fault as fault:
            fault.message = self._runtime.redactor.redact(fault.message)
            self._refused = fault
            cascade.passed_over(fault.failure, _what(fault))
            return None

    async def _attempt(self, cascade: Cascade, encoded: Encoded) -> bool:
        """One upstream call, or a chain of them. True: the request is settled; False: ask the cascade again."""
        attempt = cascade.begin(self._now(), _RANDOM)
        seen = AttemptRecord(attempt.candidate.name, attempt.lease.name, self._elapsed_ms())
        self._record.attempts.append(seen)
        self._record.route = attempt.route
        call = _Call(self._runtime.providers[attempt.candidate.provider], attempt, seen, self._now())
        try:
            while encoded.then is not None:
                await self._call(call, encoded)
                encoded, seen.calls = encoded.then, seen.calls + 1
            tally = await self._call(call, encoded)
        except (ClientGone, asyncio.CancelledError):
            seen.kind = "cancelled"
            seen.end_ms = self._elapsed_ms()
            self._account(call)
            cascade.cancelled(attempt, self._now())
            raise
        except (Fault, Expired) as error:
            return await self._failed(cascade, call, self._fault(error, call))
        seen.end_ms = self._elapsed_ms()
        cascade.succeeded(attempt, self._now(), latency_s=call.latency_s(self._now()))
        self._record.outcome, self._record.status = "completed", 200
        self._record.finish_reason = tally.finish_reason
        self._record.upstream_model = tally.model
        self._account(call)
        return True

    async def _call(self, call: _Call, encoded: Encoded) -> Tally:
        """Send, read, hand on. Raises Fault, Expired, ClientGone."""
        provider = call.provider
        with Watchdog(self._deadline) as watchdog:
            limits = provider.timeouts
            if self._operation.stream:
                watchdog.phase("first_token", limits.first_token_s)
            else:
                watchdog.phase("response", limits.response_s)
            self._record.dropped = encoded.dropped
            response = await self._open(call, encoded)
            try:
                call.seen.status = response.status
                call.seen.connect_ms = (call.seen.connect_ms or 0.0) + response.connect_s * 1000
                if not 200 <= response.status < 300:
                    raise provider.codec.classify(
                        response.status, response.headers, await self._read(response, _MAX_ERROR_BYTES, truncate=True)
                    )
                if self._operation.stream and not _is_json(response):
                    return await self._stream(call, encoded, response, watchdog)
                return await self._whole(call, encoded, response)
            finally:
                await response.close()

    async def _open(self, call: _Call, encoded: Encoded) -> UpstreamResponse:
        provider = call.provider
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if self._operation.stream else "application/json",
            **encoded.headers,
            **provider.codec.auth(provider.keys[call.attempt.lease.index]),
        }
        if self._record.traceparent is not None:
            headers["traceparent"] = self._record.traceparent
        request = UpstreamRequest(encoded.method, provider.base_url + encoded.path, headers, encoded.body)
        before = self._now()
        try:
            return await provider.transport.open(request, connect_timeout_s=provider.timeouts.connect_s)
        finally:
            self._waited_s += self._now() - before

    async def _stream(self, call: _Call, encoded: Encoded, response: UpstreamResponse, watchdog: Watchdog) -> Tally:
        """Relay a streamed answer. Until the commit the relay holds everything back."""
        relay = call.relay = self._operation.relay(call.provider.codec, encoded, self._provenance(call))
        while not relay.whole:
            if relay.committed:
                watchdog.phase("idle", call.provider.timeouts.idle_s)
                data = await response.read()
            else:
                data = await self._wait_for_bytes(response)
            out = relay.feed(data) if data else relay.end()
            if out:
                await self._write(call, out, watchdog)
            if relay.fault is not None:
                raise relay.fault
        await self._sink.end()
        await _read_to_end(response)
        return relay.tally

    async def _write(self, call: _Call, out: bytes, watchdog: Watchdog) -> None:
        if call.committed_at is None:
            call.committed_at = self._now()
            call.seen.first_token_ms = self._elapsed_ms()
            self._record.model = call.attempt.candidate.name
            await self._sink.start_stream(self._headers())
        watchdog.phase("write", call.provider.timeouts.idle_s)
        await self._sink.write(out)
        assert self._keepalive is not None
        self._keepalive.wrote()

    async def _whole(self, call: _Call, encoded: Encoded, response: UpstreamResponse) -> Tally:
        """A JSON answer: parsed whole before anything of it is sent. One of a chain is kept until the last has come."""
        left_bytes = MAX_ANSWER_BYTES - sum(len(body) for _, body in call.answered)
        call.answered.append((encoded, await self._read(response, left_bytes)))
        if encoded.then is not None:
            return Tally()
        out, tally = self._operation.answer(call.provider.codec, call.answered, self._provenance(call))
        call.tally = tally
        call.committed_at = self._now()
        self._record.model = call.attempt.candidate.name
        if self._operation.stream:
            await self._sink.start_stream(self._headers())
            await self._sink.write(out)
            await self._sink.end()
        else:
            await self._sink.send(200, {**self._headers(), "content-type": "application/json"}, out)
        return tally

    async def _read(self, response: UpstreamResponse, limit_bytes: int, *, truncate: bool = False) -> bytes:
        """The whole body. Raises Fault when it is longer than the limit, unless the rest does not matter."""
        parts: list[bytes] = []
        size = 0
        while data := await self._wait_for_bytes(response):
            parts.append(data)
            size += len(data)
            if size > limit_bytes:
                if truncate:
                    break
                raise Fault(FaultKind.INVALID_RESPONSE, f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        return b"".join(parts)[:limit_bytes]

    async def _wait_for_bytes(self, response: UpstreamResponse) -> bytes:
        before = self._now()
        try:
            return await response.read()
        finally:
            self._waited_s += self._now() - before

    # What came of it

    def _judged(self, give_up: GiveUp) -> Fault | None:
        """The fault that the verdict is about: an attempt's, or a codec's refusal where no attempt said as much."""
        asked = self._last_fault
        if give_up.reason is Reason.REQUEST_FAULT and (asked is None or asked.kind not in REQUEST_FAULTS):
            return self._refused
        return asked

    def _fault(self, error: Fault | Expired, call: _Call) -> Fault:
        if isinstance(error, Fault):
            return error
        if error.deadline:
            return Fault(FaultKind.DEADLINE, f"the request's deadline passed while waiting: {error.phase}")
        if error.phase == "write":
            return Fault(FaultKind.CLIENT_GONE, "the client stopped reading")
        return Fault(FaultKind.TIMEOUT, f"{call.attempt.candidate.name} was too slow: {error.phase} time-out")

    async def _failed(self, cascade: Cascade, call: _Call, fault: Fault) -> bool:
        """Settle a failed attempt. True: content had gone, so the request ends here."""
        redact = self._runtime.redactor.redact
        fault.message = redact(fault.message)
        self._last_fault = fault
        seen, attempt = call.seen, call.attempt
        seen.kind, seen.message, seen.end_ms = fault.kind.value, fault.message, self._elapsed_ms()
        committed = call.committed_at is not None
        if fault.kind in (FaultKind.DEADLINE, FaultKind.CLIENT_GONE):
            cascade.cancelled(attempt, self._now())
            seen.next = "stop"
        else:
            seen.next = cascade.failed(
                attempt, fault.failure, self._now(), _RANDOM, cause=fault.kind.value, committed=committed
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
        await self._sink.write(self._operation.stream_error(error, record.request_id))
        await self._sink.end()

    async def _refuse(self, error: ClientError) -> None:
        """No candidate answered: one error, in the stream if it had to be opened."""
        record = self._record
        record.outcome, record.status, record.error = "failed", error.status, error.code
        if self._sink.started:
            await self._sink.write(self._operation.stream_error(error, record.request_id))
            await self._sink.end()
            return
        headers = {**self._headers(), **error_headers(error), "content-type": "application/json"}
        await self._sink.send(error.status, headers, self._operation.error(error, record.request_id))

    def _gone(self) -> None:
        self._record.outcome, self._record.status, self._record.error = "cancelled", 499, "client_closed_request"

    # What is told of it

    def _headers(self) -> Mapping[str, str]:
        self._record.overhead_ms = self._elapsed_ms() - self._waited_s * 1000
        return self._record.headers()

    def _provenance(self, call: _Call) -> Provenance:
        return Provenance(
            request_id=self._record.request_id,
            model=call.attempt.candidate.name,
            route=">".join(call.attempt.route),
            attempts=[attempt.summary() for attempt in self._record.attempts],
            prompt_tokens=self._operation.demand.prompt_tokens,
        )

    def _account(self, call: _Call) -> None:
        """Usage and cost of what was answered, whole or cut: once a request, at its end."""
        tally = call.relay.tally if call.relay is not None and call.relay.committed else call.tally
        if tally is None:
            return
        usage = tally.usage or tally.estimate(self._operation.demand.prompt_tokens)
        self._record.usage = usage
        self._record.cost_usd = cost_usd(call.attempt.candidate, usage)

    def _tell_candidates(self, plan: Plan, cascade: Cascade) -> None:
        skips = dict(cascade.skips)
        offset = time.time() - self._now()
        for planned in plan.planned:
            told = CandidateRecord(planned.candidate.name)
            if (skip := skips.get(planned.candidate.name)) is not None:
                told.skip = skip.reason
                told.until = None if skip.until is None else skip.until + offset
            self._record.candidates.append(told)

    def _elapsed_ms(self) -> float:
        return (self._now() - self._record.started) * 1000


class _Call:
    """One attempt on its way."""

    __slots__ = ("answered", "attempt", "committed_at", "provider", "relay", "seen", "started", "tally")

    def __init__(self, provider: Provider, attempt: Attempt, seen: AttemptRecord, started: float) -> None:
        self.provider = provider
        self.attempt = attempt
        self.seen = seen
        self.started = started
        self.committed_at: float | None = None
        self.answered: list[Answered] = []
        self.relay: Relay | None = None
        self.tally: Tally | None = None

    def latency_s(self, now: float) -> float:
        """To the first token of a stream; of a JSON answer, to its end."""
        return (now if self.committed_at is None else self.committed_at) - self.started


def _what(refusal: Fault) -> str:
    """What cannot be put in a provider's terms: the member, or where that says too little, the sentence."""
    return refusal.message if refusal.param in (None, "messages") else str(refusal.param)


def _is_json(response: UpstreamResponse) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def _read_to_end(response: UpstreamResponse) -> None:
    """After the terminal marker: let the body end, so that the connection can be used again. More bytes: drop it."""
    try:
        async with asyncio.timeout(_LAST_BYTES_S):
            await response.read()
    except (TimeoutError, Fault):
        return  # closing drops the connection; the answer was whole
