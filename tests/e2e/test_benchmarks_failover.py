"""The benchmark of failures: each failure is met, learnt and forgotten, and the answers are right all the time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.failover import DIRECT, LIMITED, STALLING
from tests.support.benchmark import command


def test_a_whole_run(tmp_path: Path) -> None:
    options = ("--rounds", "1", "--requests", "3", "--first-token-ms", "50", "--out-s", "1")
    failures = ("--failures", "limited", "stalling")
    code, printed, document = command(tmp_path / "figures.json", "failover", *options, *failures)
    assert (code, document["errors"]) == (0, [])
    samples = {sample["failure"]: sample for sample in document["samples"]}
    assert set(samples) == {DIRECT, LIMITED, STALLING}
    assert samples[DIRECT]["first_calls"] == 1
    assert samples[DIRECT]["again_s"] is None
    for failure in (LIMITED, STALLING):
        assert samples[failure]["first_calls"] == 2
        assert samples[failure]["learnt_after"] >= 1
        assert samples[failure]["again_s"] is not None
    assert samples[LIMITED]["learnt_after"] == 1
    assert set(document["failures"]) == {LIMITED, STALLING}
    assert STALLING in printed
