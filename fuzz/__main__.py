"""Coverage-guided fuzzing with atheris. usage: python -m fuzz TARGET [libFuzzer options] (without TARGET: lists them)

Needs atheris (`pip install atheris`), which is no dependency: `make test` runs the same targets with hypothesis.
"""

from __future__ import annotations

import sys

if len(sys.argv) < 2:
    from fuzz.targets import TARGETS

    sys.exit("\n".join(TARGETS))

import atheris

with atheris.instrument_imports(include=["cortex", "routing"]):
    from fuzz.targets import TARGETS

atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
atheris.Fuzz()
