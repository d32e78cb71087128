"""Reloading: a saved file or SIGHUP makes a new runtime, swapped in at once. A bad file changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, awatch

from cortex.app import App
from cortex.build import build
from cortex.classification import START_S
from cortex.config.load import load

_FIXED = ("host", "port", "workers")  # the listening socket's: a restart changes them


class Reloader:
    def __init__(self, app: App, path: Path) -> None:
        self._app = app
        self._path = path
        self._lock = asyncio.Lock()

    async def reload(self) -> bool:
        """True: the new configuration is in force. Requests in flight finish on the old one."""
        async with self._lock:
            return await self._reload()

    async def _reload(self) -> bool:
        log = self._app.telemetry.log
        loaded = await asyncio.to_thread(load, self._path)
        for problem in loaded.problems:
            log.error("configuration problem", problem=str(problem))
        if loaded.config is None:
            log.error("configuration not reloaded: the old one goes on", problems=len(loaded.problems))
            return False
        if not (loaded.config.server.client_keys or self._app.loopback):
            log.error(
                "configuration not reloaded: the address listened on is open to others, and it sets no client keys"
            )
            return False
        previous = self._app.runtime
        runtime = build(loaded, previous, self._app.http, log)
        settings = loaded.config.telemetry.log
        log.configure(format=settings.format, level=settings.level, redact=runtime.redactor.redact)
        await runtime.classification.prepare(START_S)
        self._app.runtime = runtime
        previous.classification.give_way(runtime.classification)
        kept = [name for name in _FIXED if getattr(loaded.config.server, name) != getattr(previous.config.server, name)]
        log.info("configuration reloaded", providers=len(runtime.providers), nodes=len(runtime.graph.nodes))
        if kept:
            log.warning("a restart is needed to change these", settings=", ".join(f"server.{name}" for name in kept))
        return True

    async def watch(self) -> None:
        """Reload when the file, or the .env beside it, is saved; also when an editor replaces it."""
        folder = self._path.resolve().parent
        async for _ in awatch(folder, watch_filter=_these(self._path.resolve().name, ".env"), recursive=False):
            await self.reload()


def _these(*names: str) -> Callable[[Change, str], bool]:
    def wanted(change: Change, path: str) -> bool:
        return change is not Change.deleted and Path(path).name in names

    return wanted
