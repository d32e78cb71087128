"""Cortex for a long time: JSON, streams, clients that leave, reloads and upstreams that fail, all at once.

Most requests are new. Some are asked again and again, and some by several clients at once, the first of which may
leave. Tells the slope of its memory, the descriptors that it holds, and every answer that was not as it should be.
Promises that a cut stream counts as right only if the client was told that it was cut, and that nothing is still under
way at the end; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import aiohttp

from benchmarks.command import parser, perform, run, say
from benchmarks.exchange import CLIENT_KEY, SCENARIOS
from benchmarks.figures import CORTEX, MIB, Table
from benchmarks.machine import machine
from benchmarks.numbered import numbered
from benchmarks.outcome import Outcome
from benchmarks.pacing import faults as stream_faults
from benchmarks.pacing import request as stream_request
from benchmarks.processes import HOST, Server, free_port, get, open_files, rss_bytes
from benchmarks.stage import Stage

_EVENTS = 20  # of a stream
_FAIL_SHARE = "0.2"
_JSON_CLIENTS = 8
_STREAM_CLIENTS = 16
_LEAVING_CLIENTS = 4
_REPEATING_CLIENTS = 4
_REPEATED = 50  # questions, asked as JSON and as streams in turn
_CROWDS = 2
_CROWD = 4  # clients that ask the same at once
_PAUSE_S = 0.01  # of a client between two requests
_WARM_UP_SHARE = 1 / 3  # of the run; but not for longer than
_LONGEST_WARM_UP_S = 240.0
_SAMPLES = 300  # about how many points a slope is made of
_SETTLE_WITHIN_S = 15.0
_POLL_S = 0.05

_CONFIG = """\
server: {{host: 127.0.0.1, port: {port}, client_keys: {client_key}}}
providers:
  dead: {{type: openai_compatible, base_url: "http://127.0.0.1:{dead}/v1", keys: bench-key, models: [bench]}}
  unsteady: {{type: openai_compatible, base_url: "http://127.0.0.1:{unsteady}/v1", keys: [a, b], models: [bench]}}
  steady: {{type: openai_compatible, base_url: "http://127.0.0.1:{steady}/v1", keys: bench-key, models: [bench]}}
models:
  chat: {chat}
default_model: chat
health: {{interval: 5s, eject_for: 1s}}
telemetry: {{log: {{format: json, level: warning}}}}
"""
_GRAPHS = (
    "{cascade: [dead, unsteady, steady]}",
    "{balance: {strategy: round_robin, targets: [unsteady, steady]}}",
)


@dataclass(frozen=True, slots=True)
class Settings:
    minutes: float
    reload_every_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    rss_bytes: int
    open_files: int


class _Traffic:
    """All clients, and what came of their requests."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.over = False
        self._session = session
        self._url = f"http://{HOST}:{port}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {CLIENT_KEY}", "Content-Type": "application/json"}
        self._json_bodies = numbered(SCENARIOS["json"].request().partition(b"\r\n\r\n")[2])
        self._stream_bodies = numbered(stream_request(_EVENTS).partition(b"\r\n\r\n")[2])
        repeated = zip(islice(self._json_bodies, _REPEATED), islice(self._stream_bodies, _REPEATED), strict=True)
        self._repeated = cycle(list(repeated))

    async def run(self, ask: Callable[[], Awaitable[str]]) -> None:
        """One client until the end."""
        while not self.over:
            try:
                self.outcomes[await ask()] += 1
            except* aiohttp.ClientError as failed:  # of a crowd, more than one
                self.errors.update(type(error).__name__ for error in failed.exceptions)
            await asyncio.sleep(_PAUSE_S)

    async def json(self, asked: bytes | None = None) -> str:
        """A new request, unless one is given."""
        asked = asked or next(self._json_bodies)
        async with self._session.post(self._url, data=asked, headers=self._headers) as response:
            body = await response.read()
            self._note(response)
        if (fault := SCENARIOS["json"].fault(response.status, body)) is not None:
            self.errors[f"JSON: {fault}"] += 1
            return "wrong"
        return "JSON answers"

    async def stream(self, asked: bytes | None = None) -> str:
        """A new request, unless one is given."""
        asked = asked or next(self._stream_bodies)
        async with self._session.post(self._url, data=asked, headers=self._headers) as response:
            body = await response.read()
            self._note(response)
        if response.status != 200:
            self.errors[f"stream: status {response.status}"] += 1
            return "wrong"
        if not (found := stream_faults(body, _EVENTS)):
            return "whole streams"
        last = body.rstrip(b"\n").rpartition(b"\n\n")[2]
        if last.startswith(b'data: {"error"') and response.headers.get("x-cortex-cache") != "hit":
            return "streams cut, and said so"
        self.errors.update({f"stream: {kind}": count for kind, count in found.items()})
        return "wrong"

    async def leave(self, asked: bytes | None = None) -> str:
        """Go after the first piece of a stream."""
        asked = asked or next(self._stream_bodies)
        async with self._session.post(self._url, data=asked, headers=self._headers) as response:
            await response.content.readany()
            response.close()
        return "clients that left"

    async def repeat(self) -> str:
        """What has been asked before, unless the graph is another since."""
        as_json, as_stream = next(self._repeated)
        self.outcomes[await self.json(as_json)] += 1
        return await self.stream(as_stream)

    async def crowd(self) -> str:
        """Several who ask the same at once; the first of them goes."""
        asked = next(self._stream_bodies)
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(self.leave(asked))
            others = [group.create_task(self.stream(asked)) for _ in range(_CROWD - 1)]
        self.outcomes.update(other.result() for other in others)
        return leaving.result()

    def _note(self, response: aiohttp.ClientResponse) -> None:
        """How the cache came in."""
        if (said := response.headers.get("x-cortex-cache")) in ("hit", "coalesced"):
            self.outcomes[f"answers from the cache: {said}"] += 1


def measure(on: Stage, settings: Settings) -> Outcome:
    """Raises ServerFailed."""
    module = "benchmarks.unsteady_upstream"
    with on.upstream(module, _FAIL_SHARE) as unsteady, on.upstream(module, "0") as steady:
        port, dead = free_port(), free_port()
        configs = [
            _CONFIG.format(
                port=port, client_key=CLIENT_KEY, dead=dead, unsteady=unsteady.port, steady=steady.port, chat=chat
            )
            for chat in _GRAPHS
        ]
        with on.cortex_as(configs[0], port) as cortex:
            say(f"{settings.minutes:g} minutes")
            at_rest = open_files(cortex.pid)
            traffic, samples, reloads = asyncio.run(_soak(settings, cortex, on.config_file, configs))
            errors = [f"{count} × {kind}" for kind, count in traffic.errors.items()]
            errors += _left_over(cortex, (unsteady, steady))
            files_after = open_files(cortex.pid)
    errors += log_faults((on.directory / "cortex.log").read_text())
    outcomes = {**traffic.outcomes, "reloads": reloads}
    return _outcome(on, settings, outcomes, samples, errors, (at_rest, files_after))


async def _soak(
    settings: Settings, cortex: Server, config_file: Path, configs: Sequence[str]
) -> tuple[_Traffic, list[Sample], int]:
    ends = time.monotonic() + settings.minutes * 60
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
        traffic = _Traffic(session, cortex.port)
        clients = (
            (traffic.json, _JSON_CLIENTS),
            (traffic.stream, _STREAM_CLIENTS),
            (traffic.leave, _LEAVING_CLIENTS),
            (traffic.repeat, _REPEATING_CLIENTS),
            (traffic.crowd, _CROWDS),
        )
        for ask, count in clients:
            for _ in range(count):
                group.create_task(traffic.run(ask))
        reloading = group.create_task(_reload(settings, cortex, config_file, configs, ends))
        samples = await _watch(cortex, ends, every_s=max(0.1, settings.minutes * 60 / _SAMPLES))
        traffic.over = True
    return traffic, samples, reloading.result()


async def _reload(settings: Settings, cortex: Server, config_file: Path, configs: Sequence[str], ends: float) -> int:
    """One configuration after the other; how many times."""
    reloads = 0
    for config in cycle([*configs[1:], configs[0]]):
        if time.monotonic() + settings.reload_every_s >= ends:
            break
        await asyncio.sleep(settings.reload_every_s)
        await asyncio.to_thread(config_file.write_text, config)
        os.kill(cortex.pid, signal.SIGHUP)
        reloads += 1
    return reloads


async def _watch(cortex: Server, ends: float, every_s: float) -> list[Sample]:
    began = time.monotonic()
    samples: list[Sample] = []
    while (now := time.monotonic()) < ends:
        samples.append(Sample(now - began, rss_bytes(cortex.pid), open_files(cortex.pid)))
        await asyncio.sleep(min(every_s, ends - now))
    return samples


def _left_over(cortex: Server, upstreams: Sequence[Server]) -> list[str]:
    """Requests that go on although all clients have their answers or are gone."""

    def found() -> list[str]:
        _, stats = get(cortex.port, "/api/stats", {"Authorization": f"Bearer {CLIENT_KEY}"})
        active = json.loads(stats)["requests"]["active"]
        streams = sum(int(get(upstream.port, "/open")[1]) for upstream in upstreams)
        left = {"requests still active": active, "upstream streams still open": streams}
        return [f"{count} {what}" for what, count in left.items() if count]

    give_up = time.monotonic() + _SETTLE_WITHIN_S
    while (left := found()) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    return left


def log_faults(log: str) -> list[str]:
    """What Cortex itself calls an error, and what it did not catch."""
    wrong = [line for line in log.splitlines() if line.startswith("Traceback") or _is_error(line)]
    return [f"the log has {len(wrong)} errors; the first: {wrong[0][:300]}"] if wrong else []


def _is_error(line: str) -> bool:
    try:
        return line.startswith("{") and json.loads(line)["level"] == "error"
    except (ValueError, KeyError):
        return True


def slope_mib_hour(samples: Sequence[Sample]) -> float | None:
    """By least squares, after the warm-up. None with too few samples to tell."""
    warm_s = min(_LONGEST_WARM_UP_S, samples[-1].at_s * _WARM_UP_SHARE) if samples else 0.0
    warm = [sample for sample in samples if sample.at_s >= warm_s]
    if len({sample.at_s for sample in warm}) < 2:
        return None
    line = statistics.linear_regression([each.at_s for each in warm], [each.rss_bytes / MIB for each in warm])
    return line.slope * 3600


def _outcome(
    on: Stage,
    settings: Settings,
    outcomes: dict[str, int],
    samples: Sequence[Sample],
    errors: Sequence[str],
    files: tuple[int, int],
) -> Outcome:
    slope = slope_mib_hour(samples)
    most_files = max(each.open_files for each in samples)
    data = {
        "outcomes": outcomes,
        "slope_mib_hour": slope,
        "open_files": {"before": files[0], "most": most_files, "after": files[1]},
        "samples": [asdict(sample) for sample in samples],
    }
    rss_mib = [each.rss_bytes / MIB for each in samples]
    rows = [(name, [f"{count:,}"]) for name, count in sorted(outcomes.items())]
    rows += [
        ("RSS MiB, first to last", [f"{rss_mib[0]:.1f} – {rss_mib[-1]:.1f}, at most {max(rss_mib):.1f}"]),
        ("RSS slope MiB an hour", ["-" if slope is None else f"{slope:+.1f}"]),
        ("open files", [f"{files[0]} before, {files[1]} after, at most {most_files}"]),
    ]
    return Outcome(
        name="soak",
        title="Cortex for a long time",
        machine=machine(),
        settings={**asdict(settings), **on.settings()},
        tables=[Table(f"{settings.minutes:g} minutes of everything", [CORTEX], rows)],
        data=data,
        errors=errors,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("soak", "Load Cortex with everything at once, for long; watch its memory and its descriptors.")
    made.add_argument("--minutes", type=float, default=10.0, help="how long")
    made.add_argument("--reload-every-s", type=float, default=5.0, help="between two reloads")
    options = made.parse_args(arguments)
    if options.minutes <= 0 or options.reload_every_s <= 0:
        made.error("--minutes and --reload-every-s must be positive")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if everything was as it should be, 1 if not or if a server failed."""
    options = _options(arguments)
    settings = Settings(options.minutes, options.reload_every_s)
    return perform(lambda stage: measure(stage, settings), options.json)


if __name__ == "__main__":
    run(main)
