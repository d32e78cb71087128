"""Background work: started by name, watched, and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from cortex.telemetry.log import Log


class Background:
    """The tasks that live as long as the process. One that fails is logged; the others go on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"cortex-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("background work failed", task=task.get_name(), error=f"{type(error).__name__}: {error}")

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
