#!/bin/sh
# Installs LiteLLM beside the project, for benchmarks.overhead to measure, in an environment of its own: .venv-peers
# Another version: LITELLM=1.109.1 scripts/bench_peers.sh
set -eu
cd "$(dirname "$0")/.."
peers=.venv-peers
"${PYTHON:-python3}" -m venv "$peers"
"$peers/bin/python" -m pip --disable-pip-version-check install --quiet "litellm[proxy]==${LITELLM:-1.106.2}"
"$peers/bin/litellm" --version
