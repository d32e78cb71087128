"""One attempt: a call to one candidate with one key, relayed to the client as its answer comes.

Until the commit (the first real content, or a whole JSON answer) nothing has gone to the client, and whatever fails is
a `Fault` for the attempt loop to move on from. Knows no other candidate.
"""

from __future__ import annotations

import asyncio
import time

from cortex.dialects.dialect import Provenance
from cortex.errors import Fault, FaultKind
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

    async def run(self, encoded: Encoded) -> Tally:
        """Send, read, hand on: one call, or a chain of them. Raises Fault, Expired, ClientGone."""
        while encoded.then is not None:
            await self._call(encoded)
            encoded = encoded.then
            self.seen.calls += 1
        return await self._call(encoded)

    def latency_s(self, now: float) -> float:
        """To the first token of a stream; of a JSON answer, to its end."""
        return (now if self.committed_at is None else self.committed_at) - self.started

    async def _call(self, encoded: Encoded) -> Tally:
        passage, seen = self.passage, self.seen
        limits = self.provider.timeouts
        streams = passage.operation.stream
        phase, limit_s = ("first_token", limits.first_token_s) if streams else ("response", limits.response_s)
        passage.record.dropped = encoded.dropped
        with Watchdog(passage.runtime.alarms, passage.deadline, phase, limit_s) as watchdog:
            response = await self._open(encoded)
            try:
                seen.status = response.status
                seen.connect_ms = (seen.connect_ms or 0.0) + response.connect_s * 1000
                if not 200 <= response.status < 300:
                    body = await self._read(response, _MAX_ERROR_BYTES, truncate=True)
                    raise self.provider.codec.classify(response.status, response.headers, body)
                if streams and not _is_json(response):
                    return await self._stream(encoded, response, watchdog)
                return await self._whole(encoded, response)
            finally:
                await response.close()

    async def _open(self, encoded: Encoded) -> UpstreamResponse:
        passage, provider = self.passage, self.provider
        headers = provider.headers[self.attempt.lease.index][passage.operation.stream]
        own = encoded.headers
        if passage.record.traceparent is not None:
            own = {**own, "traceparent": passage.record.traceparent}
        request = UpstreamRequest(encoded.method, provider.base_url + encoded.path, headers, encoded.body, own)
        before = time.monotonic()
        try:
            return await provider.transport.open(request, connect_timeout_s=provider.timeouts.connect_s)
        finally:
            passage.waited_s += time.monotonic() - before

    async def _stream(self, encoded: Encoded, response: UpstreamResponse, watchdog: Watchdog) -> Tally:
        """Relay a streamed answer. Until the commit the relay holds everything back."""
        codec, idle_s = self.provider.codec, self.provider.timeouts.idle_s
        relay = self.relay = self.passage.operation.relay(codec, encoded, self._provenance())
        sink, keepalive = self.passage.sink, self.passage.keepalive
        assert keepalive is not None
        while not relay.whole:
            if relay.committed:
                watchdog.phase("idle", idle_s)
                data = await response.read()
            else:
                data = await self._wait_for_bytes(response)
            out = relay.feed(data) if data else relay.end()
            if out:
                if self.committed_at is None:
                    self._commit()
                    await sink.start_stream(self.passage.headers())
                watchdog.phase("write", idle_s)
                await sink.write(out)
                keepalive.wrote()
            if relay.fault is not None:
                raise relay.fault
        await sink.end()
        await _read_to_end(response)
        return relay.tally

    async def _whole(self, encoded: Encoded, response: UpstreamResponse) -> Tally:
        """A JSON answer: parsed whole before anything of it is sent. One of a chain is kept until the last has come."""
        passage, sink = self.passage, self.passage.sink
        left_bytes = MAX_ANSWER_BYTES - sum([len(body) for _, body in self.answered])
        self.answered.append((encoded, await self._read(response, left_bytes)))
        if encoded.then is not None:
            return Tally()
        out, tally = passage.operation.answer(self.provider.codec, self.answered, self._provenance())
        self.tally = tally
        self._commit()
        if passage.operation.stream:
            await sink.start_stream(passage.headers())
            await sink.write(out)
            await sink.end()
        else:
            await sink.send(200, {**passage.headers(), "content-type": "application/json"}, out)
        return tally

    def _commit(self) -> None:
        self.committed_at = time.monotonic()
        if self.passage.operation.stream:
            self.seen.first_token_ms = self.passage.elapsed_ms(self.committed_at)
        self.passage.record.model = self.attempt.candidate.name

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
        before = time.monotonic()
        try:
            return await response.read()
        finally:
            self.passage.waited_s += time.monotonic() - before

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
