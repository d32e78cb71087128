"""What Cortex adds: the same traffic to an upstream alone, through a bare aiohttp proxy and through Cortex, in turn.

Prints a table, and with `--json FILE` writes everything. Promises that the three are measured in interleaved rounds on
the same cores, that every answer was checked, and that each came from the upstream; otherwise it ends with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.exchange import CLIENT_KEY, SCENARIOS, Scenario
from benchmarks.load import LoadResult
from benchmarks.processes import ROOT, Server, ServerFailed, free_port, get, pin, rss_bytes
from benchmarks.report import SUBJECTS, Report, Sample, Start

_WARM_UP_S = 0.5  # or as long as the run, if that is shorter
_LOAD_MARGIN_S = 30.0  # for the load client's own start, and for answers under way when the time is up
_SETTLE_S = 0.5  # after the start, before idle memory is read
_PACKAGES = ("aiohttp", "uvloop", "msgspec", "pydantic")

_CONFIG = """\
server: {{host: 127.0.0.1, port: {port}, client_keys: {client_key}}}
providers:
  upstream:
    type: openai_compatible
    base_url: http://127.0.0.1:{upstream_port}/v1
    keys: bench-key
    models: [bench]
models:
  chat: {{cascade: [upstream]}}
default_model: chat
telemetry:
  log: {{format: json, level: info}}
"""


class LoadFailed(Exception):
    """The load client itself did not work."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the processes run: the gateway on one core, the load client and the upstream on another."""

    directory: Path  # for the configuration and the logs
    gateway_core: int | None
    load_core: int | None

    @classmethod
    def on_this_machine(cls, directory: Path) -> Self:
        """With less than two cores to choose from, nothing is pinned."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(directory, *cores[:2]) if len(cores) >= 2 else cls(directory, None, None)

    def upstream(self) -> Server:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.upstream", str(port)]
        return self._server("upstream", command, port, "/v1/models", self.load_core)

    def bare_proxy(self, upstream_port: int) -> Server:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.bare_proxy", str(port), str(upstream_port)]
        return self._server("bare_proxy", command, port, "/v1/models", self.gateway_core)

    def cortex(self, upstream_port: int) -> Server:
        port = free_port()
        config = self.directory / "cortex.yaml"
        config.write_text(_CONFIG.format(port=port, upstream_port=upstream_port, client_key=CLIENT_KEY))
        command = [sys.executable, "-m", "cortex", "serve", "--config", str(config)]
        return self._server("cortex", command, port, "/readyz", self.gateway_core)

    def _server(self, name: str, command: list[str], port: int, ready_path: str, core: int | None) -> Server:
        return Server(name, command, port, log=self.directory / f"{name}.log", ready_path=ready_path, core=core)

    def load(self, server: Server, scenario: Scenario, seconds: float) -> LoadResult:
        """Raises LoadFailed. Errors in answers are in the result."""
        warm_up_s = min(_WARM_UP_S, seconds)
        command = [sys.executable, "-m", "benchmarks.load", str(server.port), scenario.name]
        command += ["--seconds", str(seconds), "--warm-up", str(warm_up_s), "--watch", str(server.pid)]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=seconds + warm_up_s + _LOAD_MARGIN_S,
                preexec_fn=lambda: pin(self.load_core),
            )
        except subprocess.TimeoutExpired:
            raise LoadFailed(f"the load client on {server.name} did not end") from None
        try:
            return LoadResult(**json.loads(done.stdout))
        except (ValueError, TypeError):
            raise LoadFailed(f"the load client failed on {server.name}: {done.stderr.strip()}") from None


def measure(on: Stage, scenarios: list[Scenario], rounds: int, seconds: float) -> Report:
    """Everything, from starts to streams. Raises ServerFailed or LoadFailed."""
    samples: list[Sample] = []
    errors: list[str] = []
    with on.upstream() as upstream:
        starts = [_start(on, upstream.port) for _ in range(rounds)]
        with on.bare_proxy(upstream.port) as bare, on.cortex(upstream.port) as cortex:
            servers = dict(zip(SUBJECTS, (upstream, bare, cortex), strict=True))
            for scenario in scenarios:
                for number in range(rounds):
                    # To and fro, so that none always follows the same one.
                    for subject in SUBJECTS if number % 2 == 0 else SUBJECTS[::-1]:
                        _say(f"{scenario.name}, round {number + 1} of {rounds}: {subject}")
                        sample, faults = run_once(on, upstream, servers[subject], scenario, subject, number, seconds)
                        samples.append(sample)
                        errors += faults
    return Report(
        machine=_machine(),
        settings={
            "rounds": rounds,
            "seconds": seconds,
            "gateway_core": on.gateway_core,
            "load_and_upstream_core": on.load_core,
        },
        starts=starts,
        samples=samples,
        errors=errors,
    )


def _start(on: Stage, upstream_port: int) -> Start:
    _say("starting cortex")
    with on.cortex(upstream_port) as server:
        time.sleep(_SETTLE_S)
        return Start(server.ready_s, rss_bytes(server.pid))


def run_once(
    on: Stage, upstream: Server, server: Server, scenario: Scenario, subject: str, number: int, seconds: float
) -> tuple[Sample, list[str]]:
    """One run, and what was wrong with it. Raises LoadFailed."""
    served = _served(upstream)
    load = on.load(server, scenario, seconds)
    served = _served(upstream) - served
    where = f"{scenario.name}, {subject}, round {number + 1}"
    faults = [f"{where}: {count} × {kind}" for kind, count in load.errors.items()]
    if load.first_error:
        faults.append(f"{where}: the first was {load.first_error}")
    elif served != load.answered:
        faults.append(f"{where}: {load.answered} answers, but the upstream gave {served}")
    return Sample(scenario.name, subject, number, rss_bytes(server.pid), load), faults


def _served(upstream: Server) -> int:
    """How many completions the upstream has given so far."""
    return int(get(upstream.port, "/served")[1])


def _machine() -> dict[str, str | int | None]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **versions,
        "commit": _commit(),
    }


def _cpu_model() -> str | None:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return None


def _commit() -> str | None:
    """The commit that is measured, marked if files differ from it; None outside a repository."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        changes = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    if commit.returncode:
        return None
    return commit.stdout.strip() + (" with changes" if changes.stdout else "")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.overhead", description="Measure Cortex beside a bare aiohttp proxy and the upstream alone."
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (2)")
    parser.add_argument("--rounds", type=int, default=5, help="of each scenario (5)")
    parser.add_argument(
        "--scenario",
        nargs="+",
        choices=SCENARIOS,
        default=[scenario.name for scenario in SCENARIOS.values() if scenario.default],
        help="what to measure (latency json stream)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and samples to a file")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return options


def main(arguments: list[str] | None = None) -> int:
    """0 if every answer was right, 1 if not or if a server failed."""
    options = _options(arguments)
    scenarios = [SCENARIOS[name] for name in options.scenario]
    directory = Path(tempfile.mkdtemp(prefix="cortex-bench-"))
    try:
        report = measure(Stage.on_this_machine(directory), scenarios, options.rounds, options.seconds)
    except (ServerFailed, LoadFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        options.json.write_text(json.dumps(report.document(), indent=2) + "\n")
    print(report.text())
    if report.errors:
        print(f"logs are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
