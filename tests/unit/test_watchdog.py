"""The watchdog: a phase that takes too long, the deadline, and a cancellation that is not its own."""

from __future__ import annotations

import asyncio

import pytest

from cortex.alarms import Alarms
from cortex.watchdog import Expired, Watchdog

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
FAR_S = 60.0


def deadline(after_s: float = FAR_S) -> float:
    return asyncio.get_running_loop().time() + after_s


def watchdog_until(at: float) -> Watchdog:
    return Watchdog(Alarms(), at, "first", FAR_S)


async def test_a_phase_that_outlasts_its_limit_is_named() -> None:
    with pytest.raises(Expired) as caught, watchdog_until(deadline()) as watchdog:
        watchdog.phase("connect", FAR_S)
        watchdog.phase("idle", 0.01)
        await asyncio.Event().wait()
    assert (caught.value.phase, caught.value.deadline) == ("idle", False)


async def test_the_deadline_comes_before_a_longer_phase() -> None:
    with pytest.raises(Expired) as caught, watchdog_until(deadline(0.01)) as watchdog:
        watchdog.phase("idle", FAR_S)
        await asyncio.Event().wait()
    assert (caught.value.phase, caught.value.deadline) == ("idle", True)


async def test_a_phase_begun_in_time_is_given_its_whole_limit() -> None:
    """The timer that was set for an earlier phase must not end a later one."""
    with watchdog_until(deadline()) as watchdog:
        watchdog.phase("first", 0.02)
        await asyncio.sleep(0.01)
        watchdog.phase("second", FAR_S)
        await asyncio.sleep(0.03)


async def test_a_cancellation_from_elsewhere_passes_through() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        with watchdog_until(deadline()) as watchdog:
            watchdog.phase("idle", FAR_S)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_expiring_the_task_goes_on_as_if_never_cancelled() -> None:
    with pytest.raises(Expired), watchdog_until(deadline()) as watchdog:
        watchdog.phase("idle", 0.0)
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_an_error_of_the_work_itself_is_not_covered() -> None:
    with pytest.raises(ValueError, match="mine"), watchdog_until(deadline()):
        raise ValueError("mine")
