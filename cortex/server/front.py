"""The front door: every request comes in here, is routed, authorised, handed to its handler and seen off.

The one place where an unexpected exception of a handler ends. Exactly one answer a request, whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from cortex.dialects.openai import OpenAIDialect
from cortex.server.auth import authorise
from cortex.server.body import BodyBudget, BodyShare
from cortex.server.errors import INTERNAL_ERROR, Refused, unknown_path, wrong_method
from cortex.server.ids import new_request_id
from cortex.server.incoming import Incoming
from cortex.server.limits import Limits
from cortex.server.route import Route
from cortex.server.sink import ResponseSink
from cortex.sink import ClientGone

if TYPE_CHECKING:
    from cortex.app import App

_MAX_TRACEBACK_CHARS = 8000


class Front:
    """What aiohttp calls with each request."""

    def __init__(self, app: App, routes: Iterable[Route], limits: Limits) -> None:
        self._app = app
        self._table = RouteTable(routes)
        self._limits = limits
        self._budget = BodyBudget()
        self._speaks = OpenAIDialect()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Returns when no request is being served."""
        await self._idle.wait()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        runtime = self._app.runtime
        request_id = new_request_id()
        sink = ResponseSink(request, request_id, self._draining)
        share = BodyShare(self._budget, self._limits, runtime.config.server.max_body)
        started = time.monotonic()
        incoming = Incoming(
            self._app, runtime, request, request_id, started, sink, share, self._limits.body_idle_s, self._speaks
        )
        if not self._in_flight:
            self._idle.clear()
        self._in_flight += 1
        try:
            route = self._table.direct.get((request.method, request.raw_path))
            if route is None:
                route, incoming.tail = self._table.find(request.method, request.path)
            incoming.client = authorise(route.scope, request, runtime.client_keys, runtime.admin_keys)
            await route.handler(incoming)
        except ClientGone:
            pass  # nobody is left to be told
        except Exception as error:  # noqa: BLE001 - the supervision point of all handlers
            await self._refuse(incoming, error)
        finally:
            share.give_back()
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        return sink.finish()

    async def _refuse(self, incoming: Incoming, error: Exception) -> None:
        with contextlib.suppress(ClientGone):
            if isinstance(error, Refused):
                incoming.sink.close_after |= error.close
                await incoming.refuse(error.error, error.headers)
            else:
                self._report(error, incoming)
                incoming.sink.close_after = True
                await incoming.refuse(INTERNAL_ERROR)

    def _report(self, error: Exception, incoming: Incoming) -> None:
        redact = incoming.runtime.redactor.redact
        self._app.telemetry.log.error(
            "a request failed unexpectedly",
            error=type(error).__name__,
            detail=redact(str(error)),
            request_id=incoming.request_id,
            traceback=redact("".join(traceback.format_exception(error))[-_MAX_TRACEBACK_CHARS:]),
        )

    def _draining(self) -> bool:
        return self._app.draining


class RouteTable:
    """Finds the route of a method and path. A route whose path ends in `{…}` takes the whole rest, slashes included.

    `direct` spares taking most requests' paths apart; what it does not hold, `find` may still find.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.direct: dict[tuple[str, str], Route] = {}  # by method and the path as it stands in the request
        self._exact: dict[str, dict[str, Route]] = {}
        self._prefixes: dict[str, dict[str, Route]] = {}
        for route in routes:
            fixed, variable, _ = route.path.partition("{")
            (self._prefixes if variable else self._exact).setdefault(fixed, {})[route.method] = route
            if not variable:
                self.direct[route.method, route.path] = route

    def find(self, method: str, path: str) -> tuple[Route, str]:
        """The route and the path's variable rest. Raises Refused (404, 405)."""
        methods, tail = self._exact.get(path), ""
        if methods is None:
            methods, tail = self._by_prefix(path)
        if methods is None:
            raise unknown_path(method, path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise wrong_method(method, _allowed(methods))
        return route, tail

    def _by_prefix(self, path: str) -> tuple[dict[str, Route] | None, str]:
        for prefix, methods in self._prefixes.items():
            if path.startswith(prefix) and len(path) > len(prefix):
                return methods, path[len(prefix) :]
        return None, ""


def _allowed(methods: Iterable[str]) -> list[str]:
    return sorted({*methods, "HEAD"} if "GET" in methods else methods)
