"""Upstreams with Cortex and its response cache before them, and what must hold when a test of the cache is over.

    async with Cached(openai.speaking(["a", "b"])) as cached:
        assert (await cached.ask()).cache == "miss"
        assert (await cached.ask()).cache == "hit"
        assert cached.calls == 1

Where it closes, nothing may be under way any more: no flight, none of its bytes, no lease, no task.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from cache.store import ENTRY_BYTES
from cortex.caching.cache import ResponseCache
from cortex.server.limits import Limits
from tests.support.clients import OPENAI, Client, View
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Script, Upstream

PATIENCE_S = 10.0
MESSAGES = [{"role": "user", "content": "hi"}]


@dataclass(frozen=True)
class Got:
    """One whole answer."""

    client: Client
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def cache(self) -> str:
        return self.headers["x-cortex-cache"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def view(self) -> View:
        """As its client reads it, strictly."""
        return self.client.read(self.status, self.headers, self.body)

    @property
    def said(self) -> tuple[str, bool, str | None]:
        view = self.view
        return view.text, view.whole, view.finish_reason


async def until(condition: Callable[[], bool], what: str) -> None:
    """Raises AssertionError if it does not come true in time."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        await asyncio.sleep(0.002)


class Cached:
    """Providers `a`, `b` … in the cascade `chat`, one for each script. `cache` is that section of the configuration."""

    def __init__(
        self,
        *scripts: Script,
        cache: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        config: Callable[[list[str]], dict[str, Any]] | None = None,
        **sections: Any,
    ) -> None:
        self._scripts = scripts
        self._sections = {
            "health": {"eject_after": 1000},
            "retries": {"attempts": 1},
            "cache": dict(cache or {}),
            **sections,
        }
        self._limits = limits
        self._config = config or (lambda urls: cascade(*urls))
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self.upstreams = [await stack.enter_async_context(Upstream(script)) for script in self._scripts]
            config = {**self._config([each.url for each in self.upstreams]), **self._sections}
            self.gateway = await stack.enter_async_context(Gateway(config, limits=self._limits))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._stack:
            if error is None:
                await self.settled()

    @property
    def upstream(self) -> Upstream:
        return self.upstreams[0]

    @property
    def calls(self) -> int:
        return sum(len(upstream.requests) for upstream in self.upstreams)

    @property
    def cache(self) -> ResponseCache:
        return self.gateway.app.runtime.caching.cache

    @property
    def followers(self) -> int:
        return sum(flight.followers for flight in self.cache.flights._by_key.values())

    async def wait_followers(self, count: int) -> None:
        await until(lambda: self.followers == count, f"{count} follower(s)")

    async def wait_kept(self, count: int = 1) -> None:
        await until(lambda: len(self.cache.store) == count, f"{count} entries")

    async def settled(self) -> None:
        """Until nothing is under way; then nothing may be held, and what is kept has the size that it is said to."""
        await self.gateway.settled()
        flights, store = self.cache.flights, self.cache.store
        await until(lambda: len(flights) == 0, "the end of every flight")
        assert flights.held_bytes == 0
        kept = [store.peek(key) for key in store._entries]
        assert store.size_bytes == sum(ENTRY_BYTES + value.size_bytes for value in kept if value is not None)
        assert len(store) <= store.bounds.max_entries
        assert store.size_bytes <= store.bounds.max_bytes

    async def ask(
        self,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        client: Client = OPENAI,
        headers: Mapping[str, str] | None = None,
    ) -> Got:
        """A chat, in JSON unless the body says otherwise."""
        data = body if isinstance(body, bytes) else encoded({"stream": False, **(body or {})})
        return await self.post(client.path, data, headers, client)

    async def post(
        self, path: str, data: bytes, headers: Mapping[str, str] | None = None, client: Client = OPENAI
    ) -> Got:
        fields = {"Content-Type": "application/json", **(headers or {})}
        async with (
            asyncio.timeout(PATIENCE_S),
            self.gateway.client.post(path, data=data, headers=fields) as response,
        ):
            return Got(client, response.status, response.headers, await response.read())

    async def stream(self, body: Mapping[str, Any] | None = None, **options: Any) -> Got:
        return await self.ask({**(body or {}), "stream": True}, **options)

    async def both(self, body: Mapping[str, Any] | bytes | None = None, **options: Any) -> tuple[Got, Got]:
        """The same request twice, one after the other."""
        return await self.ask(body, **options), await self.ask(body, **options)


def encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps({"messages": MESSAGES, **body}).encode()


class Reading:
    """A client that reads its answer bit by bit, and may leave: `async with Reading(cached.gateway) as client`."""

    def __init__(
        self,
        gateway: Gateway,
        body: Mapping[str, Any] | None = None,
        *,
        client: Client = OPENAI,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._gateway = gateway
        self._body = encoded({"stream": True, **(body or {})})
        self._client = client
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._response: aiohttp.ClientResponse | None = None
        self.data = b""

    async def __aenter__(self) -> Self:
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def _ask(self) -> aiohttp.ClientResponse:
        path = self._client.path
        return await self._gateway.client.post(path, data=self._body, headers=self._headers)

    async def response(self) -> aiohttp.ClientResponse:
        """With its headers; of the body, what has come."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self._asking)

    async def until(self, text: str) -> None:
        """Read up to and with this text."""
        response = await self.response()
        async with asyncio.timeout(PATIENCE_S):
            while text.encode() not in self.data:
                more = await response.content.readany()
                assert more, f"{text!r} does not come: {self.data!r}"
                self.data += more

    async def got(self) -> Got:
        """Read to the end."""
        response = await self.response()
        async with asyncio.timeout(PATIENCE_S):
            self.data += await response.content.read()
        return Got(self._client, response.status, response.headers, self.data)

    async def leave(self) -> None:
        self._asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await self._asking).close()
