"""The listening socket: where it binds, what it says of it, and how it lets go."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cortex.app import App
from cortex.build import build
from cortex.config.load import load
from cortex.server.listener import Listener
from cortex.telemetry.log import Log
from cortex.telemetry.telemetry import Telemetry
from cortex.upstream.transport import HttpTransport
from tests.support.raw_client import RawClient, request

CONFIG = "providers: {a: {type: simulated, models: [m]}}\n"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    path = tmp_path / "cortex.yaml"
    path.write_text(CONFIG)
    http = HttpTransport()
    yield App(build(load(path, {}), None, http, Log()), Telemetry(Log(), 0.0), http, time.time())
    await http.close()


@contextlib.asynccontextmanager
async def listening(app: App, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[Listener, str]]:
    listener = Listener(app)
    try:
        yield listener, await listener.start(host, port)
    finally:
        await listener.close()


async def alive(url: str) -> bool:
    async with RawClient(url) as client:
        await client.send(request("/livez", method="GET"))
        return (await client.answer()).status == 200


@pytest.mark.parametrize(("host", "begins"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
async def test_a_free_port_is_taken_and_told(app: App, host: str, begins: str) -> None:
    async with listening(app, host) as (_, url):
        assert url.startswith(begins)
        assert urlsplit(url).port
        assert await alive(url)


async def test_a_port_in_use_is_an_oserror(app: App) -> None:
    async with listening(app) as (_, url):
        port = urlsplit(url).port
        assert port is not None
        with pytest.raises(OSError, match="address already in use"):
            async with listening(app, port=port):
                pass


async def test_newcomers_are_refused_and_open_connections_served(app: App) -> None:
    async with listening(app) as (listener, url), RawClient(url) as client:
        await client.send(request("/livez", method="GET"))
        assert (await client.answer()).status == 200
        listener.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await alive(url)
        await client.send(request("/livez", method="GET"))
        assert (await client.answer()).status == 200
        await asyncio.wait_for(listener.idle(), 5)


async def test_closing_drops_idle_and_half_asked_connections_and_may_be_repeated(app: App) -> None:
    async with listening(app) as (listener, url), RawClient(url) as idle, RawClient(url) as asking:
        await idle.send(request("/livez", method="GET"))
        await idle.answer()
        await asking.send(b"GET /livez HT")
        await asking.send(b"TP/1.1\r\n")
        await listener.close()
        assert await idle.closed() == b""
        assert await asking.closed() == b""
        await listener.close()
