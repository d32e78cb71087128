"""The gateways that can be measured side by side. What is not installed is left out.

nginx is what any proxy can hope for on this machine. LiteLLM does what Cortex does; `make bench-peers` installs it
beside the project, in an environment of its own.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.exchange import CLIENT_KEY
from benchmarks.figures import BARE, CORTEX
from benchmarks.processes import ROOT, Server, free_port
from benchmarks.stage import Stage

_LITELLM = ROOT / ".venv-peers" / "bin" / "litellm"
_LITELLM_READY_WITHIN_S = 180.0

_NGINX_CONFIG = """\
daemon off;
master_process off;
worker_processes 1;
error_log {directory}/nginx-error.log;
pid {directory}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_max_body_size 32m;
  client_body_temp_path {directory}/nginx-body;
  proxy_temp_path {directory}/nginx-proxy;
  fastcgi_temp_path {directory}/nginx-fastcgi;
  uwsgi_temp_path {directory}/nginx-uwsgi;
  scgi_temp_path {directory}/nginx-scgi;
  keepalive_requests 1000000;
  upstream provider {{ server 127.0.0.1:{upstream_port}; keepalive 1024; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""

_LITELLM_CONFIG = """\
model_list:
  - model_name: chat
    litellm_params: {{model: openai/bench, api_base: "http://127.0.0.1:{upstream_port}/v1", api_key: bench-key}}
general_settings: {{master_key: {client_key}}}
litellm_settings: {{telemetry: false}}
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One gateway: how it is called, and how it is put in front of the upstream at a port."""

    key: str  # on the command line
    title: str  # in tables
    start: Callable[[Stage, int], Server]
    installed: Callable[[], bool] = lambda: True
    least_seconds: float = 0.0  # of a run, where one answer takes long


def _nginx(stage: Stage, upstream_port: int) -> Server:
    port = free_port()
    config = stage.directory / "nginx.conf"
    config.write_text(_NGINX_CONFIG.format(directory=stage.directory, port=port, upstream_port=upstream_port))
    command = [_nginx_path() or "nginx", "-p", str(stage.directory), "-c", str(config)]
    return stage.server("nginx", command, port, "/v1/models")


def _nginx_path() -> str | None:
    return shutil.which("nginx")


def _litellm(stage: Stage, upstream_port: int) -> Server:
    port = free_port()
    config = stage.directory / "litellm.yaml"
    config.write_text(_LITELLM_CONFIG.format(upstream_port=upstream_port, client_key=CLIENT_KEY))
    command = ["env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR", str(_LITELLM)]
    command += ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return stage.server(
        "litellm",
        command,
        port,
        "/health/liveliness",
        ready_within_s=_LITELLM_READY_WITHIN_S,
        exit_codes=(0, -signal.SIGTERM),
    )


SUBJECTS = {
    subject.key: subject
    for subject in (
        Subject("bare", BARE, Stage.bare_proxy),
        Subject("cortex", CORTEX, Stage.cortex),
        Subject("nginx", "nginx", _nginx, installed=lambda: _nginx_path() is not None),
        Subject("litellm", "litellm", _litellm, installed=_LITELLM.exists, least_seconds=15.0),
    )
}
