"""The listening socket: opened, closed to newcomers, and closed for good."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cortex.server.connections import Connections
from cortex.server.front import Front
from cortex.server.limits import Limits
from cortex.server.routes import ROUTES

if TYPE_CHECKING:
    from cortex.app import App

_BACKLOG = 1024  # connections that the kernel completes before they are accepted: a burst is not refused


class Listener:
    def __init__(self, app: App, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._front = Front(app, ROUTES, limits)
        self._connections = Connections(self._front, app.telemetry.log, limits)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Accept connections; the URL to reach it, without a path. Port 0 takes a free one. Raises OSError."""
        server = await asyncio.get_running_loop().create_server(self._connections, host, port, backlog=_BACKLOG)
        self._server = server
        self._connections.start_sweeping()
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{name}:{bound[1]}"

    def stop_accepting(self) -> None:
        """No new connections. Those that are open are served on; each is closed after its answer while draining."""
        if self._server is not None:
            self._server.close()

    async def idle(self) -> None:
        """Returns when no request is being served."""
        await self._front.idle()

    async def close(self) -> None:
        """Drop every connection; requests in flight are cancelled."""
        self.stop_accepting()
        await self._connections.close()
        if self._server is not None:
            await self._server.wait_closed()
