"""One attempt: a call to one candidate with one key, relayed to the client as its answer comes.

Until the commit (the first real content, or a whole JSON answer) nothing has gone to the client, and whatever fails is
a `Fault` for the attempt loop to move on from. Knows no other candidate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from cortex.caching.answer import Origin, bare
from cortex.caching.flight import Flight
from cortex.dialects.dialect import Provenance
from cortex.errors import Fault, FaultKind
from cortex.keepalive import Keepalive
from cortex.operation import Answered
from cortex.passage import Passage
from cortex.providers.codec import Encoded
from cortex.relay import Relay, Tally
from cortex.runtime import Provider
from cortex.telemetry.record import AttemptRecord
from cortex.transport import UpstreamRequest, UpstreamResponse
from cortex.watchdog import Watchdog
from routing.cascade import Attempt

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_LAST_BYTES_S = 1.0  # how long an upstream may take to close its body after the terminal marker


class Call:
    """One attempt on its way."""

    __slots__ = ("answered", "attempt", "committed_at", "passage", "provider", "relay", "seen", "started", "tally")

    def __init__(self, passage: Passage, provider: Provider, attempt: Attempt, seen: AttemptRecord) -> None:
        self.passage = passage
        self.provider = provider
        self.attempt = attempt
        self.seen = seen
        self.started = time.monotonic()
        self.committed_at: float | None = None
        self.answered: list[Answered] = []
        self.relay: Relay | None = None
        self.tally: Tally | None = None

    def latency_s(self, now: float) -> float:
        """To the first token of a stream; of a JSON answer, to its end."""
        return (now if self.committed_at is None else self.committed_at) - self.started

    async def run(self, encoded: Encoded) -> Tally:
        """Send one call, read its answer, hand it on. Raises Fault, Expired, ClientGone."""
        passage, provider, seen = self.passage, self.provider, self.seen
        limits, streams = provider.timeouts, passage.operation.stream
        phase, limit_s = ("first_token", limits.first_token_s) if streams else ("response", limits.response_s)
        passage.record.dropped = encoded.dropped
        if passage.flight is not None and passage.flight.parts:
            passage.flight.begin()
        request = UpstreamRequest(
            encoded.method,
            provider.base_url + encoded.path,
            provider.headers[self.attempt.lease.index][streams],
            encoded.body,
            self._own_headers(encoded),
        )
        with Watchdog(passage.runtime.alarms, passage.deadline, phase, limit_s) as watchdog:
            began = time.monotonic()
            try:
                response = await provider.transport.open(request, connect_timeout_s=limits.connect_s)
            finally:
                passage.waited_s += time.monotonic() - began
            try:
                seen.status = response.status
                seen.connect_ms = (seen.connect_ms or 0.0) + response.connect_s * 1000
                if not 200 <= response.status < 300:
                    body = await self._read(response, _MAX_ERROR_BYTES, truncate=True)
                    raise provider.codec.classify(response.status, response.headers, body)
                if streams and not _is_json(response):
                    return await self._stream(encoded, response, watchdog)
                return await self._whole(encoded, response)
            finally:
                response.close()

    def _own_headers(self, encoded: Encoded) -> Mapping[str, str]:
        traceparent = self.passage.record.traceparent
        return encoded.headers if traceparent is None else {**encoded.headers, "traceparent": traceparent}

    async def _stream(self, encoded: Encoded, response: UpstreamResponse, watchdog: Watchdog) -> Tally:
        """Relay a streamed answer. Until the commit the relay holds everything back."""
        passage, idle_s = self.passage, self.provider.timeouts.idle_s
        relay = self.relay = passage.operation.relay(self.provider.codec, encoded, self._provenance())
        sink, keepalive, flight = passage.sink, passage.keepalive, passage.flight
        assert keepalive is not None
        landed = False
        await self._commit_stream(encoded, relay, response, keepalive)

        def pass_on(data: bytes) -> bool:
            """Runs as each piece comes, outside this task, which sleeps on while the result is True."""
            nonlocal landed
            now = time.monotonic()
            watchdog.restart(now)
            if flight is not None:
                flight.add(data)
            room = True
            if out := relay.feed(data):
                keepalive.wrote(now)
                room = passage.put(out)
            if relay.whole and flight is not None:  # at once: those who follow may be done and gone before this task
                self._land(flight, relay.tally)
                landed = True
            return room and not relay.whole and relay.fault is None

        while not relay.whole:
            if relay.fault is not None:
                raise relay.fault
            watchdog.phase("write", idle_s)
            await sink.drain()
            watchdog.phase("idle", idle_s)
            if await response.pump(pass_on) and not relay.whole and (out := relay.end()):
                passage.put(out)
        if flight is not None and not landed:
            self._land(flight, relay.tally)
        watchdog.phase("write", idle_s)
        await sink.end()
        await _read_to_end(response)
        return relay.tally

    async def _commit_stream(
        self, encoded: Encoded, relay: Relay, response: UpstreamResponse, keepalive: Keepalive
    ) -> None:
        """Read up to the first content, and send what came with it. Raises Fault, and then nothing was sent."""
        passage, flight = self.passage, self.passage.flight
        out = b""
        while not out and relay.fault is None:
            began = time.monotonic()
            try:
                data = await response.read()
            finally:
                passage.waited_s += time.monotonic() - began
            if flight is not None:
                flight.add(data)
            out = relay.feed(data) if data else relay.end()
        if out:
            self._commit()
            if flight is not None:
                flight.commit(self._origin(encoded, streamed=True))
            await passage.sink.start_stream(passage.headers())
            passage.put(out)
            keepalive.wrote(time.monotonic())
        elif relay.fault is not None:
            raise relay.fault

    async def _whole(self, encoded: Encoded, response: UpstreamResponse) -> Tally:
        """A JSON answer: parsed whole before anything of it is sent. One of a chain is kept until the last has come."""
        passage, sink = self.passage, self.passage.sink
        left_bytes = MAX_ANSWER_BYTES
        for _, body in self.answered:
            left_bytes -= len(body)
        self.answered.append((encoded, await self._read(response, left_bytes)))
        if encoded.then is not None:
            return Tally()
        out, tally = passage.operation.answer(self.provider.codec, self.answered, self._provenance())
        self.tally = tally
        self._commit()
        if (flight := passage.flight) is not None:
            flight.add(self.answered[0][1])
            flight.commit(self._origin(encoded, streamed=False))
            self._land(flight, tally)
        if passage.operation.stream:
            await sink.start_stream(passage.headers())
            await sink.end(out)
        else:
            await sink.send(200, {**passage.headers(), "content-type": "application/json"}, out)
        return tally

    def _origin(self, encoded: Encoded, *, streamed: bool) -> Origin:
        record = self.passage.record
        return Origin(
            codec=self.provider.codec,
            call=bare(encoded),
            candidate=self.attempt.candidate,
            route=self.attempt.route,
            streamed=streamed,
            request_id=record.request_id,
            created=int(record.time),
            prompt_tokens=self.passage.operation.demand.prompt_tokens,
        )

    def _land(self, flight: Flight, tally: Tally) -> None:
        """The answer is whole: before its client, or any other, is waited for."""
        passage = self.passage
        assert passage.query is not None
        passage.runtime.caching.land(flight, passage.query, passage.operation, tally, passage.record, time.monotonic())

    def _commit(self) -> None:
        self.committed_at = time.monotonic()
        if self.passage.operation.stream:
            self.seen.first_token_ms = self.passage.elapsed_ms(self.committed_at)
        self.passage.record.model = self.attempt.candidate.name

    async def _read(self, response: UpstreamResponse, limit_bytes: int, *, truncate: bool = False) -> bytes:
        """The whole body. Raises Fault when it is longer than the limit, unless the rest does not matter."""
        parts: list[bytes] = []
        size = 0
        began = time.monotonic()
        try:
            while not response.at_end and (data := await response.read()):
                parts.append(data)
                size += len(data)
                if size > limit_bytes:
                    if truncate:
                        break
                    raise Fault(FaultKind.INVALID_RESPONSE, f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        finally:
            self.passage.waited_s += time.monotonic() - began
        return parts[0] if len(parts) == 1 and size <= limit_bytes else b"".join(parts)[:limit_bytes]

    def _provenance(self) -> Provenance:
        record = self.passage.record
        return Provenance(
            request_id=record.request_id,
            model=self.attempt.candidate.name,
            route=self.attempt.route,
            attempts=record.attempt_summaries,
            prompt_tokens=self.passage.operation.demand.prompt_tokens,
            created=int(record.time),
        )


def _is_json(response: UpstreamResponse) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def _read_to_end(response: UpstreamResponse) -> None:
    """After the terminal marker: let the body end, so that the connection can be used again. More bytes: drop it."""
    if response.at_end:
        return
    try:
        async with asyncio.timeout(_LAST_BYTES_S):
            await response.read()
    except (TimeoutError, Fault):
        return  # closing drops the connection; the answer was whole
