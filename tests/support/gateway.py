"""Cortex on a real socket, in the test's own event loop, with the configuration that a test writes.

    async with Gateway(config) as gateway:
        ...                                      # gateway.url, gateway.app
        await gateway.settled()                  # no request is in flight, every lease is back

`providers` makes the part of a configuration that most tests need: named upstreams in order of priority.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from cortex.app import App
from cortex.build import build
from cortex.config.load import load
from cortex.server.limits import Limits
from cortex.server.listener import Listener
from cortex.telemetry.log import Log
from cortex.telemetry.telemetry import Telemetry
from cortex.upstream.transport import HttpTransport


def provider(url: str, **settings: Any) -> dict[str, Any]:
    """An OpenAI-compatible provider at this upstream, with one key and one model."""
    return {
        "type": "openai_compatible",
        "base_url": f"{url}/v1",
        "keys": ["sk-test-1"],
        "models": ["test-model"],
        **settings,
    }


def cascade(*upstreams: str, **sections: Any) -> dict[str, Any]:
    """Providers `a`, `b`, `c` … at these upstreams' URLs, in one cascade `chat`, which is the default."""
    names = [chr(ord("a") + n) for n in range(len(upstreams))]
    return {
        "providers": {name: provider(url) for name, url in zip(names, upstreams, strict=True)},
        "models": {"chat": {"cascade": names}},
        "default_model": "chat",
        **sections,
    }


class Gateway:
    """Serves while the context is open. `config` is the content of a cortex.yaml, as a mapping."""

    def __init__(
        self, config: Mapping[str, Any], environ: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> None:
        # Tests ask the same again and again, and mean it: those of the cache switch it on.
        self._config = {"cache": {"exact": {"enabled": False}}, **config}
        self._limits = limits
        self._environ = environ or {}
        self.logged = io.StringIO()

    async def __aenter__(self) -> Self:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cortex.yaml")
            path.write_text(yaml.safe_dump(dict(self._config), sort_keys=False))
            loaded = load(path, self._environ)
        assert loaded.config is not None, "\n".join(map(str, loaded.problems))
        self._http = HttpTransport()
        runtime = build(loaded, None, self._http, Log())
        await runtime.classification.prepare()
        self.log = Log(format="json", level="debug", redact=runtime.redactor.redact, stream=self.logged)
        self.log.start()
        self.app = App(runtime, Telemetry(self.log, asyncio.get_running_loop().time()), self._http, time.time())
        self._listener = Listener(self.app, self._limits)
        self.url = await self._listener.start("127.0.0.1", 0)
        self.client = aiohttp.ClientSession(self.url, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.close()
        await self._listener.close()
        await self._http.close()
        self.app.runtime.classification.close()
        self.log.stop()

    async def settled(self) -> None:
        """Until nothing is in flight: neither a request, nor a key's lease, nor a call to a candidate."""
        async with asyncio.timeout(5):
            while self.app.telemetry.stats.active or self.leases():
                await asyncio.sleep(0.005)

    def leases(self) -> int:
        now = asyncio.get_running_loop().time()
        pools = self.app.runtime.state.pools.values()
        return sum(key.in_flight for pool in pools for key in pool.snapshot(now))

    async def chat(self, body: Mapping[str, Any] | None = None, **options: Any) -> tuple[int, Mapping[str, str], Any]:
        """POST /v1/chat/completions, whole: status, headers, decoded JSON."""
        json = {"messages": [{"role": "user", "content": "hi"}], **(body or {})}
        async with self.client.post("/v1/chat/completions", json=json, **options) as response:
            return response.status, response.headers, await response.json(content_type=None)

    async def stream(
        self, body: Mapping[str, Any] | None = None, path: str = "/v1/chat/completions", **options: Any
    ) -> tuple[int, Mapping[str, str], str]:
        """The same streamed: status, headers, the body's text."""
        json = {"messages": [{"role": "user", "content": "hi"}], "stream": True, **(body or {})}
        async with self.client.post(path, json=json, **options) as response:
            return response.status, response.headers, (await response.read()).decode()

    async def decision(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """The decision record of an answered request."""
        await self.settled()
        async with self.client.get(f"/api/decisions/{headers['x-cortex-request-id']}") as response:
            decision: dict[str, Any] = await response.json()
            return decision


@contextlib.asynccontextmanager
async def leaving(gateway: Gateway, body: Mapping[str, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A request under way whose client leaves at the end of the block, whatever it was waiting for."""
    task = asyncio.create_task(gateway.stream(body))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
