"""Where the processes of a benchmark run, and the two that it always needs: an upstream, and a client that loads.

Promises that the gateways have one core and whatever loads them another, where there are two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.exchange import CLIENT_KEY, Scenario
from benchmarks.load import LoadResult
from benchmarks.processes import READY_WITHIN_S, ROOT, Server, free_port, settle

_WARM_UP_S = 0.5  # or as long as the run, if that is shorter
_PATIENCE_S = 60.0  # for answers under way when the time is up
_LOAD_MARGIN_S = _PATIENCE_S + 30.0  # and for the load client's own start

_CONFIG = """\
server: {{host: 127.0.0.1, port: {port}, client_keys: {client_key}}}
providers:
  upstream:
    type: openai_compatible
    base_url: http://127.0.0.1:{upstream_port}/v1
    keys: bench-key
    models: [bench]
  anthropic: {{type: anthropic, base_url: "http://127.0.0.1:{upstream_port}", keys: bench-key, models: [bench]}}
  gemini: {{type: gemini, base_url: "http://127.0.0.1:{upstream_port}", keys: bench-key, models: [bench]}}
  cohere: {{type: cohere, base_url: "http://127.0.0.1:{upstream_port}", keys: bench-key, models: [bench]}}
  ollama: {{type: ollama, base_url: "http://127.0.0.1:{upstream_port}", keys: bench-key, models: [bench]}}
models:
  chat: {{cascade: [upstream]}}
  chat-anthropic: {{cascade: [anthropic]}}
  chat-gemini: {{cascade: [gemini]}}
  chat-cohere: {{cascade: [cohere]}}
  chat-ollama: {{cascade: [ollama]}}
default_model: chat
telemetry:
  log: {{format: json, level: info}}
"""


class LoadFailed(Exception):
    """The load client itself did not work."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The gateway on one core, the load client and the upstream on another."""

    directory: Path  # for the configurations and the logs
    gateway_core: int | None
    load_core: int | None

    @classmethod
    def on_this_machine(cls, directory: Path) -> Self:
        """With less than two cores to choose from, nothing is pinned."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(directory, *cores[:2]) if len(cores) >= 2 else cls(directory, None, None)

    def settings(self) -> dict[str, int | None]:
        return {"gateway_core": self.gateway_core, "load_and_upstream_core": self.load_core}

    def upstream(self, module: str = "benchmarks.upstream", *options: str) -> Server:
        """A module that takes a port, and answers /v1/models when it is ready."""
        port = free_port()
        command = [sys.executable, "-m", module, str(port), *options]
        return self.server(module.rpartition(".")[2], command, port, "/v1/models", core=self.load_core)

    def bare_proxy(self, upstream_port: int) -> Server:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.bare_proxy", str(port), str(upstream_port)]
        return self.server("bare_proxy", command, port, "/v1/models")

    def cortex(self, upstream_port: int, more: str = "") -> Server:
        """`more` is put behind the configuration: sections that it does not have."""
        port = free_port()
        config = _CONFIG.format(port=port, upstream_port=upstream_port, client_key=CLIENT_KEY)
        return self.cortex_as(config + more, port)

    def cortex_as(self, config: str, port: int) -> Server:
        """With a configuration of one's own, which names that port."""
        path = self.config_file
        path.write_text(config)
        command = [sys.executable, "-m", "cortex", "serve", "--config", str(path)]
        return self.server("cortex", command, port, "/readyz")

    def apart(self, name: str) -> Self:
        """The same with a directory of its own: Cortex reads its configuration anew when it changes."""
        directory = self.directory / name.replace(" ", "-")
        directory.mkdir(exist_ok=True)
        return replace(self, directory=directory)

    @property
    def config_file(self) -> Path:
        return self.directory / "cortex.yaml"

    def server(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        ready_path: str,
        *,
        core: int | None = None,
        ready_within_s: float = READY_WITHIN_S,
        exit_codes: Collection[int] = (0,),
    ) -> Server:
        """On the gateway's core, unless another is named."""
        return Server(
            name,
            command,
            port,
            log=self.directory / f"{name}.log",
            ready_path=ready_path,
            core=self.gateway_core if core is None else core,
            ready_within_s=ready_within_s,
            exit_codes=exit_codes,
        )

    def load(self, server: Server, scenario: Scenario, seconds: float, questions: int | None = None) -> LoadResult:
        """A closed loop of new requests, or of so many in turn. Raises LoadFailed; wrong answers are in the result."""
        warm_up_s = min(_WARM_UP_S, seconds)
        options = [scenario.name, "--seconds", str(seconds), "--warm-up", str(warm_up_s)]
        options += ["--patience", str(_PATIENCE_S)]
        options += [] if questions is None else ["--questions", str(questions)]
        return LoadResult(**self.client("benchmarks.load", server, options, seconds + warm_up_s))

    def client(self, module: str, server: Server, options: Sequence[str], lasts_s: float) -> dict[str, Any]:
        """What a load client printed, a process of its own that watches the server. Raises LoadFailed."""
        watching = ["--watch", str(server.pid)]
        return self.run(module, [str(server.port), *options, *watching], lasts_s, f"{module} on {server.name}")

    def run(self, module: str, options: Sequence[str], lasts_s: float, what: str) -> dict[str, Any]:
        """What a load client of any kind printed. Raises LoadFailed, and tells of it as `what`."""
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, *options],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=lasts_s + _LOAD_MARGIN_S,
                preexec_fn=lambda: settle(self.load_core),
            )
        except subprocess.TimeoutExpired:
            raise LoadFailed(f"{what} did not end") from None
        try:
            result: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise LoadFailed(f"{what} failed: {done.stderr.strip()}") from None
        return result
