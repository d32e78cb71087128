"""Alarms: many wait, the event loop knows of one; each rings when it is due, and what was removed is forgotten."""

from __future__ import annotations

import asyncio
import math
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from cortex.alarms import GRAIN_S, Alarms

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
FAR_S = 60.0
SOON_S = 0.01
EARLY_S = 0.002  # uvloop counts in milliseconds


class Bell:
    """Notes when it rang, and rings `times` times, each `every_s` after the last."""

    def __init__(self, after_s: float, *, times: int = 1, every_s: float = 0.0) -> None:
        self.due = time.monotonic() + after_s
        self.rang_at: list[float] = []
        self.too_early = False
        self.rung = asyncio.Event()  # for the last time
        self._times = times
        self._every_s = every_s

    def ring(self, now: float) -> None:
        self.too_early |= now < self.due
        self.rang_at.append(now)
        self.due = now + self._every_s
        if len(self.rang_at) == self._times:
            self.due = math.inf
            self.rung.set()


async def heard(*bells: Bell) -> None:
    async with asyncio.timeout(FAR_S):
        for bell in bells:
            await bell.rung.wait()
            assert not bell.too_early


class Timers:
    """What the event loop is asked to wait for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._handles: list[asyncio.TimerHandle] = []
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def counted(when: float, callback: Callable[..., object], *arguments: Any, **named: Any) -> asyncio.TimerHandle:
            def fire() -> None:
                self._handles.remove(handle)
                callback(*arguments)

            handle = call_at(when, fire, **named)
            self._handles.append(handle)
            return handle

        monkeypatch.setattr(loop, "call_at", counted)

    @property
    def waiting(self) -> int:
        return sum(not handle.cancelled() for handle in self._handles)


async def test_many_alarms_are_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, alarms = Timers(monkeypatch), Alarms()
    bells = [Bell(FAR_S + n) for n in range(1000)]
    for bell in bells:
        alarms.add(bell)
    assert (len(alarms), timers.waiting) == (1000, 1)
    for bell in bells:
        alarms.remove(bell)


async def test_an_earlier_alarm_takes_the_place_of_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, alarms = Timers(monkeypatch), Alarms()
    bells = [Bell(after_s) for after_s in (FAR_S, FAR_S / 2, SOON_S)]
    for bell in bells:
        alarms.add(bell)
        assert timers.waiting == 1
    await heard(bells[-1])
    assert [len(bell.rang_at) for bell in bells] == [0, 0, 1]


async def test_each_rings_once_it_is_due_and_not_before() -> None:
    alarms = Alarms()
    bells = [Bell(after_s) for after_s in (FAR_S, 3 * SOON_S, SOON_S, 2 * SOON_S, 0.0)]
    for bell in bells:
        alarms.add(bell)
    await heard(*bells[1:])
    assert [len(bell.rang_at) for bell in bells] == [0, 1, 1, 1, 1]


async def test_one_that_comes_nearer_rings_earlier() -> None:
    alarms, bell = Alarms(), Bell(FAR_S)
    alarms.add(bell)
    bell.due = time.monotonic() + SOON_S
    alarms.moved(bell)
    await heard(bell)


async def test_one_that_moves_away_without_a_word_is_found_where_it_went() -> None:
    alarms, bell, other = Alarms(), Bell(SOON_S), Bell(SOON_S)
    alarms.add(bell)
    alarms.add(other)
    bell.due += 3 * SOON_S
    await heard(other, bell)


async def test_one_that_stays_rings_again() -> None:
    alarms, bell = Alarms(), Bell(SOON_S, times=3, every_s=SOON_S)
    alarms.add(bell)
    await heard(bell)
    assert (len(bell.rang_at), len(alarms)) == (3, 1)


async def test_what_was_removed_never_rings() -> None:
    """Not even when the timer was set for it."""
    alarms, removed, later = Alarms(), Bell(SOON_S), Bell(3 * SOON_S)
    alarms.add(removed)
    alarms.add(later)
    alarms.remove(removed)
    await heard(later)
    assert removed.rang_at == []
    alarms.remove(removed)  # a second time does nothing


async def test_nothing_is_kept_of_what_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, alarms = Timers(monkeypatch), Alarms()
    kept = []
    for _ in range(1000):
        bell = Bell(SOON_S)
        alarms.add(bell)
        alarms.remove(bell)
        kept.append(weakref.ref(bell))
        del bell
    assert [alarm() for alarm in kept if alarm() is not None] == []
    assert (len(alarms), timers.waiting) == (0, 1)
    await asyncio.sleep(2 * SOON_S)
    assert timers.waiting == 0, "the one that was set found nothing, and nothing was set after it"


async def test_the_timer_fires_no_more_often_than_its_grain() -> None:
    alarms = Alarms()
    bells = [Bell(SOON_S + n * GRAIN_S / 20) for n in range(100)]
    for bell in bells:
        alarms.add(bell)
    await heard(*bells)
    fired_at = sorted({at for bell in bells for at in bell.rang_at})
    assert all(later - earlier >= GRAIN_S - EARLY_S for earlier, later in pairwise(fired_at))
