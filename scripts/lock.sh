#!/bin/sh
# Pins every dependency, with hashes, from pyproject.toml. Needs uv (pip install uv); run after changing a dependency.
set -eu
cd "$(dirname "$0")/.."
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "scripts/lock.sh" \
    "$@"
}
printf '%s\n' 'hatchling==1.33.0' 'editables>=0.5' > requirements/build.in
compile pyproject.toml requirements/build.in --output-file requirements/run.lock
compile pyproject.toml requirements/build.in --extra dev --constraint requirements/run.lock --output-file requirements/dev.lock
