"""The soak: everything happens in it, and what should not is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import MIB
from benchmarks.soak import Sample, log_faults, slope_mib_hour
from tests.support.benchmark import command


def test_a_whole_run(tmp_path: Path) -> None:
    code, printed, document = command(tmp_path / "figures.json", "soak", "--minutes", "0.04", "--reload-every-s", "0.5")
    assert (code, document["errors"]) == (0, [])
    shared = [f"answers from the cache: {how}" for how in ("hit", "coalesced")]
    for outcome in ("JSON answers", "whole streams", "clients that left", "reloads", *shared):
        assert document["outcomes"][outcome] > 0
        assert outcome in printed
    assert len(document["samples"]) > 2
    assert document["open_files"]["most"] >= document["open_files"]["before"] > 0


def test_the_slope_is_that_of_the_samples_after_the_warm_up() -> None:
    started = [Sample(float(at_s), 100 * MIB * at_s, 1) for at_s in range(120)]
    steady = [Sample(float(at_s), 20_000 * MIB + at_s * MIB // 60, 1) for at_s in range(120, 720)]
    assert slope_mib_hour(started + steady) == pytest.approx(60, rel=0.01)
    assert slope_mib_hour(steady[:1]) is None
    assert slope_mib_hour([]) is None


def test_errors_in_the_log_are_found() -> None:
    fine = 'Cortex listens on http://127.0.0.1:4000\n{"level": "warning", "message": "request"}\n'
    assert log_faults(fine) == []
    for line in ('{"level": "error", "message": "a task failed"}', "Traceback (most recent call last):", "{cut"):
        (fault,) = log_faults(fine + line)
        assert line in fault
