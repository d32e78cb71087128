"""A scripted upstream on a real socket, in the test's own event loop: says what it is told, faults included.

    from tests.support import upstream_faults as faults, upstream_openai as openai
    from tests.support.upstream import Upstream

    async with Upstream([faults.RESET, openai.stream(["Hel", "lo"])]) as upstream:
        ...                                         # the code under test calls upstream.url twice
        assert upstream.requests[1].json["model"] == "gpt"
        assert upstream.calls("sk-1") == 2          # requests that carried this API key
        await upstream.wait_closed()                # the client has dropped a connection

A script is one reply, a list of them (in order of arrival; the last repeats), a mapping from API key to a script
(other keys get a 401) or a function from the request to a reply. Replies: `upstream_replies` (JSON, SSE, NDJSON, raw
bytes and the steps they are made of), `upstream_openai`, `upstream_ollama`, `upstream_faults`.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeAlias

import trustme

from tests.support.ports import HOST
from tests.support.upstream_http import Connection, Request, Watch
from tests.support.upstream_replies import Reply, json

Script: TypeAlias = "Reply | Sequence[Script] | Mapping[str, Script] | Callable[[Request], Reply]"

_UNKNOWN_KEY = json({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, status=401)


def as_function(script: Script) -> Callable[[Request], Reply]:
    """Any form of script as a function. A list remembers how far it has come."""
    if isinstance(script, Reply):
        return lambda request: script
    if isinstance(script, Mapping):
        by_key = {key: as_function(each) for key, each in script.items()}
        return lambda request: by_key.get(request.key or "", as_function(_UNKNOWN_KEY))(request)
    if isinstance(script, Sequence):
        rest = iter([as_function(each) for each in script[:-1]])
        last = as_function(script[-1])
        return lambda request: next(rest, last)(request)
    return script


def by_path(scripts: Mapping[str, Script]) -> Callable[[Request], Reply]:
    """A script for each path (without query); any other path is a 404."""
    functions = {path: as_function(each) for path, each in scripts.items()}
    unknown = as_function(json({"error": {"message": "Unknown request URL"}}, status=404))
    return lambda request: functions.get(request.path.partition("?")[0], unknown)(request)


class Upstream:
    """Serves `script` on a free port while the context is open.

    `certificate_for`: serve TLS with a certificate for this name, of an authority that only `trusting()` knows.
    An error in the script itself is raised where the context closes.
    """

    def __init__(self, script: Script, *, certificate_for: str | None = None) -> None:
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self._answer = as_function(script)
        self._authority = trustme.CA() if certificate_for else None
        self._certificate_for = certificate_for
        self._numbers = itertools.count()
        self._watch = Watch()
        self._errors: list[Exception] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, HOST, 0, backlog=1024, ssl=self._server_tls())
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self.connections:
            if connection.open:
                connection.abort()
            connection.task.cancel()
        await asyncio.gather(*(each.task for each in self.connections), return_exceptions=True)
        await asyncio.gather(*(each.gone() for each in self.connections))
        await self._server.wait_closed()
        if self._errors and error is None:
            raise self._errors[0]

    @property
    def url(self) -> str:
        return f"{'https' if self._authority else 'http'}://{HOST}:{self.port}"

    def trusting(self) -> ssl.SSLContext:
        """A client's TLS context that trusts this upstream's authority, and checks host names."""
        assert self._authority is not None, "this upstream does not speak TLS"
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    @property
    def open_connections(self) -> int:
        return sum(connection.open for connection in self.connections)

    @property
    def dropped(self) -> int:
        """Connections that the client, not this upstream, has closed."""
        return sum(connection.dropped for connection in self.connections)

    def calls(self, key: str) -> int:
        """Requests that carried this API key."""
        return sum(request.key == key for request in self.requests)

    async def wait_requests(self, count: int = 1) -> None:
        """Until so many requests have come whole."""
        await self._watch.until(lambda: len(self.requests) >= count, f"{count} request(s)")

    async def wait_closed(self, count: int = 1) -> None:
        """Until the client has dropped so many connections."""
        await self._watch.until(lambda: self.dropped >= count, f"{count} connection(s) dropped by the client")

    def _accept(self) -> Connection:
        return Connection(self.connections, self._serve, self._watch)

    async def _serve(self, connection: Connection) -> None:
        try:
            while (request := await connection.receive(lambda: next(self._numbers))) is not None:
                self.requests.append(request)
                self._watch.changed()
                await self._answer(request).play(connection)
        except Exception as error:  # noqa: BLE001 - a faulty script fails the test, where the context closes
            self._errors.append(error)
            connection.close()

    def _server_tls(self) -> ssl.SSLContext | None:
        if self._authority is None or self._certificate_for is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(self._certificate_for).configure_cert(context)
        return context
