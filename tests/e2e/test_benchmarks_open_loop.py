"""The benchmark at a rate: it sends what its schedule says, and counts every answer that is wrong or missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.arrivals import ArrivalResult, schedule
from benchmarks.exchange import completion
from benchmarks.figures import BARE, CORTEX
from benchmarks.open_loop import Climb
from benchmarks.processes import get
from benchmarks.stage import Stage
from tests.support.benchmark import client, command, scripted


@given(st.floats(1, 5000), st.floats(0.01, 2), st.integers(0, 9))
def test_a_schedule_is_in_order_in_time_and_the_same_again(rate: float, seconds: float, seed: int) -> None:
    due = list(schedule(rate, seconds, seed))
    assert due == sorted(due)
    assert all(0 <= at < seconds for at in due)
    assert due == list(schedule(rate, seconds, seed))


def test_a_schedule_has_about_as_many_arrivals_as_its_rate_says() -> None:
    assert 9_500 < len(list(schedule(1_000, 10))) < 10_500


async def test_every_request_of_the_schedule_is_sent_and_answered(tmp_path: Path) -> None:
    stage = Stage(tmp_path, gateway_core=None, load_core=None)
    with stage.upstream() as upstream:
        options = ("300", "--seconds", "0.3", "--watch", str(upstream.pid))
        code, result = await client("arrivals", str(upstream.port), *options)
        served = int(get(upstream.port, "/served")[1])
    assert (code, result["errors"]) == (0, {})
    assert result["sent"] == result["answered"] == served == len(list(schedule(300, 0.3)))
    assert 0 < result["p50_ms"] <= result["p99_ms"] <= result["longest_ms"]


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(completion()), completion())


@pytest.mark.parametrize(
    ("answer", "kind", "patience"),
    [(ANSWER.replace(b"token07", b"token70"), "another text", "30"), (ANSWER[:-1], "no answer", "0.1")],
)
async def test_wrong_and_missing_answers_fail_the_run(answer: bytes, kind: str, patience: str) -> None:
    options = ("200", "--seconds", "0.1", "--patience", patience, "--watch", str(os.getpid()))
    async with scripted(lambda writer: writer.write(answer)) as port:
        code, result = await client("arrivals", str(port), *options)
    assert code == 1
    assert result["errors"] == {kind: result["sent"]}


def _step(rate: float, p99_ms: float) -> ArrivalResult:
    return ArrivalResult(1.0, rate, 1, 1, 1.0, p99_ms, p99_ms, 0.0, 1, 0.1, 0.0, {}, "")


def test_the_frontier_is_the_highest_rate_that_kept_the_limit() -> None:
    climb = Climb(CORTEX, 400.0, [_step(100, 2), _step(200, 60), _step(300, 4), _step(400, 70)])
    assert [climb.frontier(limit) for limit in (1.0, 5.0, 65.0, 100.0)] == [0.0, 300, 300, 400]


def test_a_whole_run(tmp_path: Path) -> None:
    options = ("--seconds", "0.1", "--steps", "1")
    code, printed, document = command(tmp_path / "figures.json", "open_loop", *options)
    assert (code, document["errors"]) == (0, [])
    assert set(document["frontier"]) == {BARE, CORTEX}
    for climb in document["climbs"]:
        assert [step["sent"] == step["answered"] > 0 for step in climb["steps"]] == [True]
    assert "The frontier" in printed
