"""What classifying costs a request: time, the event loop's lag, memory, and the start.

Two Cortex on one upstream: one whose model is a `classify` node with a route for each of the seven tasks, one with a
plain cascade. The prompts of the workload go to both in turn, one at a time; then many at a rate. Prints tables, and
with `--json FILE` writes everything. Promises that every answer was checked, and that each came from the upstream;
otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.arrivals import ArrivalResult
from benchmarks.command import parser, perform, run, say
from benchmarks.exchange import CLIENT_KEY
from benchmarks.machine import machine
from benchmarks.outcome import Outcome
from benchmarks.overhead import served
from benchmarks.processes import Server, free_port, get, rss_bytes
from benchmarks.prompt_load import PromptResult
from benchmarks.prompts import workload
from benchmarks.report import NOT_QUIET, quiet
from benchmarks.routing_timings import (
    AGAIN,
    CLASSIFIED,
    DEADLINE_MS,
    NEW,
    PLAIN,
    Lag,
    Start,
    Timed,
    cpu_table,
    document,
    lag_document,
    lag_tables,
    plot,
    stage_table,
    stages_of,
    start_table,
    time_table,
)
from benchmarks.stage import Stage
from routing.semantic.lexicon import TASKS

_CONFIG = """\
server: {{host: 127.0.0.1, port: {port}, client_keys: {client_key}}}
providers:
  upstream:
    type: openai_compatible
    base_url: http://127.0.0.1:{upstream_port}/v1
    keys: bench-key
    models: [bench]
models:
  chat: {node}
default_model: chat
telemetry:
  log: {{format: json, level: info}}
"""
_ROUTES = ", ".join(f"{task}: {{task: {task}, to: upstream}}" for task in TASKS)
_NODES = {PLAIN: "{cascade: [upstream]}", CLASSIFIED: f"{{classify: {{default: upstream, routes: {{{_ROUTES}}}}}}}"}
_SETTLE_S = 0.5  # after the start, before idle memory is read


@dataclass(frozen=True, slots=True)
class Settings:
    rounds: int  # of all prompts, each way
    starts: int
    rate: float  # classified requests a second
    seconds: float  # at that rate
    prompts: int | None = None  # so many instead of all


def measure(on: Stage, settings: Settings) -> Outcome:
    """Raises ServerFailed or LoadFailed."""
    errors: list[str] = []
    with on.upstream() as upstream:
        starts = _starts(on, upstream.port, settings.starts)
        with _cortex(on, upstream.port, PLAIN) as plain, _cortex(on, upstream.port, CLASSIFIED) as classified:
            timed = []
            for title, options in ((NEW, []), (AGAIN, ["--repeat"])):
                say(f"{settings.rounds} rounds, {title}")
                timed.append(_timed(on, upstream, plain, classified, title, options, settings, errors))
            rss_bytes_after = {PLAIN: rss_bytes(plain.pid), CLASSIFIED: rss_bytes(classified.pid)}
        lags = [_lag(on, upstream, subject, settings, errors) for subject in (PLAIN, CLASSIFIED)]
    return _outcome(on, settings, starts, timed, rss_bytes_after, lags, errors)


def _cortex(on: Stage, upstream_port: int, subject: str) -> Server:
    apart, config, port = _configured(on, upstream_port, subject)
    return apart.cortex_as(config, port)


def _configured(on: Stage, upstream_port: int, subject: str) -> tuple[Stage, str, int]:
    port = free_port()
    config = _CONFIG.format(port=port, upstream_port=upstream_port, client_key=CLIENT_KEY, node=_NODES[subject])
    return on.apart(subject), config, port


def _starts(on: Stage, upstream_port: int, count: int) -> list[Start]:
    found = []
    for number in range(count):
        for subject in (PLAIN, CLASSIFIED)[:: 1 if number % 2 == 0 else -1]:
            say(f"start {number + 1} of {count}: {subject}")
            with _cortex(on, upstream_port, subject) as server:
                time.sleep(_SETTLE_S)
                found.append(Start(subject, server.ready_s, rss_bytes(server.pid)))
    return found


def _timed(
    on: Stage,
    upstream: Server,
    plain: Server,
    classified: Server,
    title: str,
    options: Sequence[str],
    settings: Settings,
    errors: list[str],
) -> Timed:
    before = served(upstream)
    asked = ["--beside", str(plain.port), "--beside-watch", str(plain.pid), "--rounds", str(settings.rounds), *options]
    if settings.prompts is not None:
        asked += ["--prompts", str(settings.prompts)]
    prompts = workload(settings.prompts)
    lasts_s = settings.rounds * len(prompts) * DEADLINE_MS / 1000
    result = PromptResult(**on.client("benchmarks.prompt_load", classified, asked, lasts_s))
    errors += [f"{title}: {count} × {kind}" for kind, count in result.errors.items()]
    if result.first_error:
        errors.append(f"{title}: the first was {result.first_error}")
    elif (gave := served(upstream) - before) != result.answered:
        errors.append(f"{title}: {result.answered} answers, but the upstream gave {gave}")
    return Timed(title, prompts, result)


def _lag(on: Stage, upstream: Server, subject: str, settings: Settings, errors: list[str]) -> Lag:
    """A Cortex of its own, which notes its loop's lag."""
    say(f"{settings.rate:g} requests a second: {subject}")
    apart, config, port = _configured(on, upstream.port, subject)
    apart.config_file.write_text(config)
    noted = apart.directory / "lag.txt"
    command = [sys.executable, "-m", "benchmarks.lagged_serve", str(apart.config_file), str(noted)]
    before = served(upstream)
    with apart.server("lagged", command, port, "/readyz") as server:
        options = [f"{settings.rate:g}", "--seconds", f"{settings.seconds:g}", "--prompts"]
        load = ArrivalResult(**apart.client("benchmarks.arrivals", server, options, settings.seconds))
        _, told = get(port, "/api/decisions?limit=1000", {"Authorization": f"Bearer {CLIENT_KEY}"})
    errors += [f"{settings.rate:g} a second, {subject}: {count} × {kind}" for kind, count in load.errors.items()]
    if not load.errors and not load.sent == load.answered == (gave := served(upstream) - before):
        errors.append(f"{settings.rate:g} a second, {subject}: {load.answered} answers of {load.sent}, upstream {gave}")
    notes = (map(float, line.split()) for line in noted.read_text().splitlines())
    late_ms = sorted(late * 1000 for due, late in notes if 0 <= due - load.began_s <= settings.seconds)
    decisions = json.loads(told)["decisions"]
    return Lag(subject, late_ms, load, stages_of(each for one in decisions for each in one["classify"]))


def _outcome(
    on: Stage,
    settings: Settings,
    starts: Sequence[Start],
    timed: Sequence[Timed],
    rss_bytes_after: Mapping[str, int],
    lags: Sequence[Lag],
    errors: Sequence[str],
) -> Outcome:
    # Where it classifies, what its loop waits for is its own worker.
    waited = [lag.load.server_waited_s / lag.load.seconds * 100 for lag in lags if lag.subject == PLAIN]
    return Outcome(
        name="routing_latency",
        title="What classifying costs a request",
        machine=machine(),
        settings={**asdict(settings), **on.settings()},
        tables=[
            start_table(starts, rss_bytes_after),
            *(table for each in timed for table in (time_table(each), stage_table(each))),
            cpu_table(timed),
            *lag_tables(lags, settings.rate, settings.seconds),
        ],
        data={
            "starts": [asdict(start) for start in starts],
            "rss_bytes_after": dict(rss_bytes_after),
            "timed": {each.title: document(each) for each in timed},
            "lag": {lag.subject: lag_document(lag) for lag in lags},
            "samples": {each.title: asdict(each.result) for each in timed},
        },
        errors=errors,
        notes=[] if quiet(waited) else [NOT_QUIET],
        plots={"routing-latency.svg": plot(timed)},
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = parser("routing_latency", "Measure what a classify node adds to a request.")
    made.add_argument("--rounds", type=int, default=10, help="of all prompts, each way")
    made.add_argument("--starts", type=int, default=3, help="of each Cortex")
    made.add_argument("--rate", type=float, default=200.0, help="requests a second, for the event loop's lag")
    made.add_argument("--seconds", type=float, default=10.0, help="at that rate")
    made.add_argument("--prompts", type=int, help="so many of the workload instead of all")
    made.add_argument("--plots", type=Path, metavar="DIRECTORY", help="write plots there")
    options = made.parse_args(arguments)
    if min(options.rounds, options.starts, options.rate, options.seconds) <= 0:
        made.error("--rounds, --starts, --rate and --seconds must be positive")
    if options.prompts is not None and options.prompts < 1:
        made.error("--prompts must be positive")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    settings = Settings(options.rounds, options.starts, options.rate, options.seconds, options.prompts)
    return perform(lambda stage: measure(stage, settings), options.json, options.plots)


if __name__ == "__main__":
    run(main)
