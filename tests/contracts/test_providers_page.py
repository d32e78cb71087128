"""docs/providers.md says what the tests show, no more and no less."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.providers_page import PAGE, page
from tests.support.capabilities import CAPABILITIES, NONE, PROVIDERS, proofs

ROOT = Path(__file__).parents[2]
PROOFS = proofs()  # here, because some of the vendors' clients keep something open from their import on
CELLS = [(provider, capability) for provider in PROVIDERS for capability in CAPABILITIES]


@pytest.mark.parametrize(("provider", "capability"), CELLS)
def test_every_cell_is_proven_or_the_provider_has_none(provider: str, capability: str) -> None:
    proven = (provider, capability) in {(proof.provider, proof.capability) for proof in PROOFS}
    assert proven != ((provider, capability) in NONE), "a cell has a proof, or a reason in NONE, and never both"


def test_nothing_is_claimed_of_what_is_not_in_the_table() -> None:
    claimed = {(proof.provider, proof.capability) for proof in PROOFS}
    assert claimed | NONE.keys() == set(CELLS)


def test_every_named_test_is_one_that_runs() -> None:
    """Asked of pytest itself, for a name alone proves nothing."""
    claimed = {proof.test for proof in PROOFS}
    files = sorted({proof.file for proof in PROOFS})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    runs = {*listed, *(line.partition("[")[0] for line in listed)}
    assert claimed <= runs, claimed - runs


def test_the_page_is_up_to_date() -> None:
    """If this fails: `python -m scripts.providers_page`."""
    assert PAGE.read_text(encoding="utf-8") == page()
