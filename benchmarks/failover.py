"""What a cascade costs: a candidate that fails in front of one that answers.

At first, once routing has learnt, and until it is used again.

Three kinds of failure: a connection refused, a key that is limited while the next is not, and a first token that does
not come. Promises that the client got the right answer every time, from one upstream; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.command import parser, perform, run, say
from benchmarks.exchange import CLIENT_KEY, SCENARIOS, stream_frames
from benchmarks.figures import Spread, Table, percentile
from benchmarks.machine import machine
from benchmarks.numbered import numbered
from benchmarks.outcome import Outcome
from benchmarks.processes import HOST, Server, free_port
from benchmarks.stage import Stage
from benchmarks.svg import bars

DIRECT = "no failure"
REFUSED = "connection refused"
LIMITED = "one key of two limited"
STALLING = "no first token"
FAILURES = {"refused": REFUSED, "limited": LIMITED, "stalling": STALLING}  # as the command line calls them

_SCENARIO = SCENARIOS["stream"]
_BODIES = numbered(_SCENARIO.request().partition(b"\r\n\r\n")[2])
_MOST_UNTIL_LEARNT = 20
_RECOVERED_WITHIN_S = 30.0
_POLL_S = 0.005
_FIRST_KEY = "Bearer first-a"

_CONFIG = """\
server: {{host: 127.0.0.1, port: {port}, client_keys: {client_key}}}
providers:
  first:
    type: openai_compatible
    base_url: http://127.0.0.1:{first_port}/v1
    keys: [first-a, first-b]
    models: [bench]
    timeouts: {{first_token: {first_token_ms}ms}}
  second:
    type: openai_compatible
    base_url: http://127.0.0.1:{second_port}/v1
    keys: [second]
    models: [bench]
models:
  chat: {{cascade: [first, second]}}
default_model: chat
health: {{interval: 1h, eject_after: 3, eject_for: {out_s}s}}
telemetry: {{log: {{format: json, level: info}}}}
"""


@dataclass(frozen=True, slots=True)
class Settings:
    rounds: int
    requests: int  # once routing has learnt
    first_token_ms: int  # how long a candidate may stall
    out_s: int  # how long an ejection lasts, and what a limit names in Retry-After
    failures: Sequence[str] = tuple(FAILURES.values())


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one kind of failure."""

    failure: str
    round: int
    first_ms: float
    first_calls: int  # of upstreams, for the first request
    learnt_after: int  # requests that called the failing candidate, or key, in vain
    learnt_ms: float  # the median of the requests after those
    learnt_calls: float  # of upstreams, for each of them
    again_s: float | None  # from the last request that failed over until the one that uses it again


class _Candidate:
    """One upstream, in this process; what it does to a request can be changed at any time."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answered = 0
        self.by_first_key = 0  # answered, for the first of two keys
        self.healed = asyncio.Event()
        self.respond: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = self._answer
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0)

    async def listen(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()

    async def close(self) -> None:
        self.heal()
        await self._runner.cleanup()

    def heal(self) -> None:
        self.respond = self._answer
        self.healed.set()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"object": "list", "data": []})
        body = await request.read()
        response = await self.respond(request)
        if response.status != 200:
            return response
        self.answered += 1
        self.by_first_key += request.headers.get("Authorization") == _FIRST_KEY
        await response.prepare(request)
        await response.write(b"".join(stream_frames(include_usage=b'"include_usage"' in body)))
        await response.write_eof()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.StreamResponse(headers={"Content-Type": "text/event-stream"})


@dataclass(slots=True)
class _Answer:
    took_ms: float
    calls: int
    model: str  # provider/model that answered


class _Client:
    """Sends one request after the other and keeps what was wrong."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.right = 0
        self.faults: list[str] = []
        self._session = session
        self._url = f"http://{HOST}:{port}/v1/chat/completions"

    async def ask(self) -> _Answer:
        headers = {"Authorization": f"Bearer {CLIENT_KEY}", "Content-Type": "application/json"}
        began = time.perf_counter()
        async with self._session.post(self._url, data=next(_BODIES), headers=headers) as response:
            body = await response.read()
        took_ms = (time.perf_counter() - began) * 1000
        if (fault := _SCENARIO.fault(response.status, body)) is None:
            self.right += 1
        else:
            self.faults.append(f"{fault}: {body[:300].decode(errors='replace')}")
        told = response.headers
        return _Answer(took_ms, int(told.get("x-cortex-attempts", 0)), told.get("x-cortex-model", ""))


def measure(on: Stage, settings: Settings) -> Outcome:
    """Raises ServerFailed."""
    samples: list[Sample] = []
    errors: list[str] = []
    for number in range(settings.rounds):
        for failure in (DIRECT, *settings.failures):
            say(f"{failure}, round {number + 1} of {settings.rounds}")
            sample, faults = asyncio.run(_round(on, settings, failure, number))
            samples.append(sample)
            errors += [f"{failure}, round {number + 1}: {fault}" for fault in faults]
    return _outcome(on, settings, samples, errors)


async def _round(on: Stage, settings: Settings, failure: str, number: int) -> tuple[Sample, list[str]]:
    first, second = _Candidate(), _Candidate()
    _break(first, failure, settings)
    await second.listen()
    if failure != REFUSED:
        await first.listen()
    port = free_port()
    config = _CONFIG.format(
        port=port,
        client_key=CLIENT_KEY,
        first_port=first.port,
        second_port=second.port,
        first_token_ms=settings.first_token_ms,
        out_s=settings.out_s,
    )
    try:
        async with _running(on.cortex_as(config, port)), aiohttp.ClientSession() as session:
            client = _Client(session, port)
            sample = await _observe(client, first, settings, failure, number)
    finally:
        await first.close()
        await second.close()
    faults = list(client.faults)
    if not faults and (answered := first.answered + second.answered) != client.right:
        faults.append(f"{client.right} answers, but the upstreams gave {answered}")
    if sample.learnt_after > _MOST_UNTIL_LEARNT:
        faults.append("routing has not learnt")
    if failure != DIRECT and sample.again_s is None:
        faults.append("never used again")
    if sample.again_s is not None and sample.again_s < settings.out_s / 2:
        faults.append(f"used again after {sample.again_s:.3f} s: it was not taken out of use")
    return sample, faults


def _break(candidate: _Candidate, failure: str, settings: Settings) -> None:
    async def limit(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers["Authorization"] != _FIRST_KEY:
            return web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
        return web.json_response({"error": error}, status=429, headers={"Retry-After": str(settings.out_s)})

    async def stall(request: web.BaseRequest) -> web.StreamResponse:
        await candidate.healed.wait()
        return web.Response(status=503)

    if failure == LIMITED:
        candidate.respond = limit
    elif failure == STALLING:
        candidate.respond = stall


async def _observe(client: _Client, first: _Candidate, settings: Settings, failure: str, number: int) -> Sample:
    answer = opening = await client.ask()
    learnt_after = 0
    failed_at = time.perf_counter()
    while answer.calls > 1 and learnt_after <= _MOST_UNTIL_LEARNT:
        learnt_after += 1
        failed_at = time.perf_counter()
        answer = await client.ask()
    learnt = [await client.ask() for _ in range(settings.requests)]
    again_s = None
    if failure != DIRECT:
        first.heal()
        if failure == REFUSED:
            await first.listen()
        again_s = await _used_again(client, first, failed_at, by_key=failure == LIMITED)
    return Sample(
        failure,
        number,
        first_ms=opening.took_ms,
        first_calls=opening.calls,
        learnt_after=learnt_after,
        learnt_ms=percentile(sorted(each.took_ms for each in learnt), 0.5),
        learnt_calls=sum(each.calls for each in learnt) / len(learnt),
        again_s=again_s,
    )


async def _used_again(client: _Client, first: _Candidate, failed_at: float, *, by_key: bool) -> float | None:
    give_up = time.perf_counter() + _RECOVERED_WITHIN_S
    while time.perf_counter() < give_up and not client.faults:
        before = first.by_first_key
        answer = await client.ask()
        if first.by_first_key > before if by_key else answer.model.startswith("first/"):
            return time.perf_counter() - failed_at
        await asyncio.sleep(_POLL_S)
    return None


@asynccontextmanager
async def _running(server: Server) -> AsyncIterator[Server]:
    """Its start and its end block, and the upstreams must answer meanwhile."""
    await asyncio.to_thread(server.__enter__)
    try:
        yield server
    except BaseException as error:
        await asyncio.to_thread(server.__exit__, type(error), error, None)
        raise
    await asyncio.to_thread(server.__exit__, None, None, None)


def _outcome(on: Stage, settings: Settings, samples: Sequence[Sample], errors: Sequence[str]) -> Outcome:
    direct = {sample.round: sample for sample in samples if sample.failure == DIRECT}
    rows: list[tuple[str, list[str]]] = []
    figures: dict[str, dict[str, Any]] = {}
    for failure in settings.failures:
        chosen = [sample for sample in samples if sample.failure == failure]
        spreads = {
            "added_first_ms": Spread.of(each.first_ms - direct[each.round].first_ms for each in chosen),
            "first_calls": Spread.of(each.first_calls for each in chosen),
            "learnt_after": Spread.of(each.learnt_after for each in chosen),
            "added_learnt_ms": Spread.of(each.learnt_ms - direct[each.round].learnt_ms for each in chosen),
            "learnt_calls": Spread.of(each.learnt_calls for each in chosen),
            "again_s": Spread.of(each.again_s for each in chosen if each.again_s is not None),
        }
        figures[failure] = {name: asdict(spread) for name, spread in spreads.items() if spread is not None}
        digits = (1, 0, 0, 3, 2, 2)
        rows.append(
            (failure, [spread.text(n) if spread else "-" for spread, n in zip(spreads.values(), digits, strict=True)])
        )
    columns = [
        "added, first request ms",
        "upstream calls, first",
        "requests until learnt",
        "added, once learnt ms",
        "upstream calls, learnt",
        f"used again, s (best {settings.out_s})",
    ]
    return Outcome(
        name="failover",
        title="What a failure costs",
        machine=machine(),
        settings={**asdict(settings), **on.settings()},
        tables=[Table("A candidate that fails in front of one that answers", columns, rows)],
        data={"failures": figures, "samples": [asdict(sample) for sample in samples]},
        errors=errors,
        plots={
            "failover.svg": bars(
                f"Time added to the first request; a first token may take {settings.first_token_ms} ms",
                "ms",
                {name: each["added_first_ms"]["median"] for name, each in figures.items()},
                digits=1,
            )
        },
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("failover", "Measure what a candidate costs that fails in front of one that answers.")
    made.add_argument("--rounds", type=int, default=3, help="of each kind of failure, each with a Cortex of its own")
    made.add_argument("--requests", type=int, default=50, help="once routing has learnt")
    made.add_argument("--first-token-ms", type=int, default=200, help="how long a candidate may stall")
    made.add_argument("--out-s", type=int, default=2, help="how long an ejection or a limit lasts")
    made.add_argument("--failures", nargs="+", choices=FAILURES, default=list(FAILURES), help="what to measure")
    options = made.parse_args(arguments)
    if min(options.rounds, options.requests, options.first_token_ms, options.out_s) < 1:
        made.error("all numbers must be positive")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    failures = [FAILURES[name] for name in options.failures]
    settings = Settings(options.rounds, options.requests, options.first_token_ms, options.out_s, failures)
    return perform(lambda stage: measure(stage, settings), options.json)


if __name__ == "__main__":
    run(main)
