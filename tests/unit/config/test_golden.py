"""Configuration → diagnostics: each tests/golden/config/*.yaml with what is told of it, line by line, in its *.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex.config.load import load
from cortex.config.provider_types import PROVIDER_TYPES

CASES = sorted((Path(__file__).parents[2] / "golden" / "config").glob("*.yaml"))
CANARIES = ("canary-key-one-1111", "canary-key-two-2222")
ENVIRON = {"SET": "set", "EMPTY": "", "KEYS": ",".join(CANARIES)}


def told(case: Path) -> str:
    """As the golden has it: the file by its name, and no list of provider types, so that one more changes none."""
    text = "".join(f"{problem}\n" for problem in load(case, ENVIRON).problems)
    return text.replace(str(case), case.name).replace(", ".join(PROVIDER_TYPES), "(the types)")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_diagnostics(case: Path) -> None:
    assert told(case) == case.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_configuration_is_given_exactly_if_nothing_is_an_error(case: Path) -> None:
    loaded = load(case, ENVIRON)
    assert (loaded.config is None) == any(problem.severity == "error" for problem in loaded.problems)


def test_no_canary_shows() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CASES[0].parent.glob("*.txt"))
    assert not [canary for canary in (*CANARIES, "canary3", "canary4", "canary5") if canary in text]
