from __future__ import annotations

from routing.health import LONGEST_S, CandidateHealth, Health, Standing

A = "groq/llama"


def fail(health: Health, times: int, now: float = 0, *, probe: bool = False) -> None:
    for _ in range(times):
        health.failed(A, now, probe=probe, cause="timeout")


def test_failures_in_a_row_eject_and_a_success_between_resets_them() -> None:
    health = Health(eject_after=3, eject_for_s=30)
    fail(health, 2)
    health.succeeded(A, probe=False)
    fail(health, 2)
    assert health.standing(A, 0) is Standing.HEALTHY
    fail(health, 1)
    assert health.standing(A, 29.9) is Standing.EJECTED
    assert health.ejected_until(A) == 30
    assert health.standing(A, 30) is Standing.HALF_OPEN
    assert health.standing("other", 0) is Standing.HEALTHY


def test_half_open_gives_one_probe_that_decides() -> None:
    health = Health(eject_after=1)
    fail(health, 1)
    assert not health.begin(A, 10)  # still ejected: forced, but no probe
    assert health.begin(A, 30)
    assert health.standing(A, 30) is Standing.PROBING
    assert not health.begin(A, 30)
    fail(health, 1, 31, probe=True)
    assert health.standing(A, 90.9) is Standing.EJECTED  # twice as long
    assert health.begin(A, 91)
    health.succeeded(A, probe=True)
    assert health.standing(A, 91) is Standing.HEALTHY


def test_a_probe_that_ends_unsettled_makes_way() -> None:
    health = Health(eject_after=1)
    fail(health, 1)
    assert health.begin(A, 30)
    health.released(A, probe=False)  # some other call's end
    assert health.standing(A, 30) is Standing.PROBING
    health.released(A, probe=True)
    assert health.begin(A, 30)


def test_while_ejected_only_the_probe_is_heard() -> None:
    health = Health(eject_after=1)
    fail(health, 1)
    fail(health, 4)  # had begun before
    health.succeeded(A, probe=False)
    assert health.ejected_until(A) == 30
    assert health.begin(A, 30)
    fail(health, 4, 31)
    health.succeeded(A, probe=False)
    assert health.standing(A, 31) is Standing.PROBING


def test_ejections_grow_to_a_cap_and_successes_take_them_back() -> None:
    health = Health(eject_after=1, eject_for_s=100)
    now = 0.0
    lengths = []
    for turn in range(5):
        fail(health, 1, now, probe=turn > 0)
        until = health.ejected_until(A)
        assert until is not None
        lengths.append(until - now)
        now = until
        assert health.begin(A, now)
    assert lengths == [100, 200, LONGEST_S, LONGEST_S, LONGEST_S]
    health.succeeded(A, probe=True)
    health.succeeded(A, probe=False)
    health.succeeded(A, probe=False)
    assert health.snapshot(now) == [CandidateHealth(A, Standing.HEALTHY, 0, 2, None, "timeout")]
    health.succeeded(A, probe=False)
    health.succeeded(A, probe=False)
    assert health.snapshot(now) == []  # nothing to remember


def test_a_configured_ejection_beyond_the_cap_stands() -> None:
    health = Health(eject_after=1, eject_for_s=2 * LONGEST_S)
    fail(health, 1)
    assert health.ejected_until(A) == 2 * LONGEST_S


def test_free_probes_count_as_failures_and_close_only_what_is_half_open() -> None:
    health = Health(eject_after=2)
    health.probe_failed([A, "b"], 0, cause="connect")
    health.probe_ok([A], 0)  # answers, which proves little: the run goes on
    health.probe_failed([A], 0, cause="connect")
    assert health.standing(A, 0) is Standing.EJECTED
    assert health.standing("b", 0) is Standing.HEALTHY
    health.probe_ok([A], 1)
    assert health.standing(A, 1) is Standing.EJECTED
    health.probe_failed([A], 30, cause="connect")
    assert health.ejected_until(A) == 90
    assert health.begin(A, 90)
    health.probe_failed([A], 90, cause="connect")  # the request's own probe decides
    health.probe_ok([A], 90)
    assert health.standing(A, 90) is Standing.PROBING
    health.released(A, probe=True)
    health.probe_ok([A], 90)
    assert health.standing(A, 90) is Standing.HEALTHY


def test_ejections_survive_a_reload_by_name_and_probes_do_not() -> None:
    old = Health(eject_after=1)
    fail(old, 1)
    old.failed("gone", 0, probe=False, cause="timeout")
    assert old.begin(A, 30)
    new = Health(eject_after=1)
    new.carry_over(old, [A, "new"])
    assert new.snapshot(30) == [CandidateHealth(A, Standing.HALF_OPEN, 1, 1, None, "timeout")]
    assert new.begin(A, 30)
    old.succeeded(A, probe=True)
    assert new.standing(A, 30) is Standing.PROBING


def test_the_snapshot_tells_how_much_longer() -> None:
    health = Health(eject_after=1)
    fail(health, 1)
    assert health.snapshot(10) == [CandidateHealth(A, Standing.EJECTED, 1, 1, 20, "timeout")]


def test_a_failed_probe_ejects_however_many_failures_it_takes_otherwise() -> None:
    old = Health(eject_after=1)
    fail(old, 1)
    patient = Health(eject_after=9)
    patient.carry_over(old, [A])
    assert patient.begin(A, 30)
    fail(patient, 1, 30, probe=True)
    assert patient.ejected_until(A) == 90
