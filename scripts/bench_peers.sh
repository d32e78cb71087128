#!/bin/sh
# Installs LiteLLM beside the project, for benchmarks.overhead to measure. Its environment is its own: .venv-peers
set -eu
cd "$(dirname "$0")/.."
peers=.venv-peers
"${PYTHON:-python3}" -m venv "$peers"
"$peers/bin/python" -m pip --disable-pip-version-check install --quiet "litellm[proxy]==1.109.1"
echo "installed $("$peers/bin/litellm" --version) in $peers"
