"""What must be as before when a test, or a part of one, is over: tasks, and open sockets and pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable

SETTLE_S = 1.0
_KINDS = ("socket:", "pipe:")


def open_descriptors() -> Counter[str]:
    """This process's sockets and pipes, each by its kernel name. Empty where /proc does not exist."""
    found: Counter[str] = Counter()
    with contextlib.suppress(FileNotFoundError):
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the directory's own descriptor is gone by now
                target = os.readlink(f"/proc/self/fd/{number}")
                if target.startswith(_KINDS):
                    found[target] += 1
    return found


def other_tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def gone(left: Callable[[], list[str]]) -> None:
    """Raises AssertionError if something is still left after a second."""
    give_up = time.monotonic() + SETTLE_S
    while remains := left():
        if time.monotonic() > give_up:
            raise AssertionError(f"left behind: {', '.join(remains)}")
        await asyncio.sleep(0.005)


class Baseline:
    """Remembers the tasks and descriptors of a moment, and later waits until nothing more is left.

    The fixture `baseline` remembers the start of the test; `mark()` moves that to now. A connection that is kept
    alive on purpose counts as open: mark after it exists, or close the transport before `restored()`.
    """

    def __init__(self) -> None:
        self.mark()

    def mark(self) -> None:
        self._tasks = other_tasks()
        self._descriptors = open_descriptors().total()

    async def restored(self) -> None:
        """Raises AssertionError if a task or a descriptor of a later date outlives the next second."""
        await gone(self._left)

    def _left(self) -> list[str]:
        left = [repr(task) for task in other_tasks() - self._tasks]
        # By number, not by name: uvloop has two sockets of its own, new ones each time it is run.
        if (more := open_descriptors().total() - self._descriptors) > 0:
            left.append(f"{more} socket(s) or pipe(s)")
        return left
