#!/bin/sh
# Installs the locked packages, and Cortex itself from this tree. usage: install.sh VENV LOCK
set -eu
pip="$1/bin/python -m pip --disable-pip-version-check"
echo "installing $2 …"
$pip install --quiet --no-deps --require-hashes --requirement "$2"
$pip install --quiet --no-deps --no-build-isolation --editable .
