from __future__ import annotations

import pytest

from routing.load import FAILED_LATENCY_S, HALF_LIFE_S, Load


def called(load: Load, latency_s: float, now: float, *, stream: bool = True) -> None:
    load.begin("a")
    load.end("a")
    load.measured("a", latency_s, now, stream=stream)


def test_streams_and_whole_answers_are_measured_apart() -> None:
    load = Load()
    called(load, 0.5, 0)
    assert load.latency_s("a", stream=True) == 0.5
    assert load.latency_s("a", stream=False) is None
    called(load, 4, 0, stream=False)
    assert load.estimate_s("a", 0, stream=False) == 4
    assert load.estimate_s("b", 0, stream=True) is None


def test_calls_in_flight() -> None:
    load = Load()
    assert load.in_flight("a") == 0
    load.begin("a")
    load.begin("a")
    load.end("a")
    assert load.in_flight("a") == 1


def test_an_estimate_fades_with_its_age_but_not_while_a_call_finds_out() -> None:
    load = Load()
    called(load, 8, 0)
    assert load.estimate_s("a", HALF_LIFE_S, stream=True) == pytest.approx(4)
    assert load.estimate_s("a", 10 * HALF_LIFE_S, stream=True) == pytest.approx(8 / 1024)
    assert load.estimate_s("a", -1, stream=True) == 8
    load.begin("a")
    assert load.estimate_s("a", 10 * HALF_LIFE_S, stream=True) == 8


def test_a_measurement_weighs_more_the_older_the_average() -> None:
    young, old = Load(), Load()
    for load, now in ((young, 0.0), (old, 20 * HALF_LIFE_S)):
        called(load, 1, 0)
        called(load, 3, now)
    assert young.latency_s("a", stream=True) == pytest.approx(1.6)
    assert old.latency_s("a", stream=True) == pytest.approx(3, abs=1e-4)


def test_a_failure_counts_as_a_slow_answer() -> None:
    load = Load()
    load.begin("a")
    load.end("a")
    load.failed("a", 0, stream=True)
    assert load.estimate_s("a", 0, stream=True) == FAILED_LATENCY_S


def test_latencies_survive_a_reload_and_calls_in_flight_do_not() -> None:
    old, new = Load(), Load()
    called(old, 2, 0)
    old.begin("a")
    old.begin("gone")
    new.carry_over(old, ["a", "b"])
    assert new.latency_s("a", stream=True) == 2
    assert new.in_flight("a") == 0
    assert new.latency_s("b", stream=True) is None
