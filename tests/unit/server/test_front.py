"""The front door: routing, supervision, and one answer a request. On real sockets, with routes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cortex.app import App
from cortex.build import build
from cortex.config.load import load
from cortex.dialects.api_chat import ApiChatDialect
from cortex.errors import ClientError
from cortex.server.auth import Scope
from cortex.server.connections import Connections
from cortex.server.errors import Refused
from cortex.server.front import Front, RouteTable
from cortex.server.incoming import Incoming
from cortex.server.limits import Limits
from cortex.server.route import Handler, Route
from cortex.server.routes import ROUTES
from cortex.sink import ClientGone
from cortex.telemetry.log import Log
from cortex.telemetry.telemetry import Telemetry
from cortex.upstream.transport import HttpTransport
from tests.support.raw_client import Answer, RawClient, request

CONFIG = """
providers: {a: {type: simulated, models: [m]}}
"""
LIMITS = Limits(sweep_s=0.01, linger_s=0.05)


class Served:
    """One handler behind the front door, at GET /it."""

    def __init__(self, url: str, front: Front, log: Log, stream: io.StringIO) -> None:
        self.url = url
        self.front = front
        self._log = log
        self._stream = stream

    def logged(self) -> list[dict[str, Any]]:
        self._log.stop()
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@contextlib.asynccontextmanager
async def serving(folder: Path, handler: Handler) -> AsyncIterator[Served]:
    path = folder / "cortex.yaml"
    path.write_text(CONFIG)
    http = HttpTransport()
    runtime = build(load(path, {}), None, http, Log())
    stream = io.StringIO()
    log = Log(format="json", redact=runtime.redactor.redact, stream=stream)
    log.start()
    app = App(runtime, Telemetry(log, 0.0), http, time.time())
    front = Front(app, [Route("GET", "/it", Scope.OPEN, handler, "")], LIMITS)
    connections = Connections(front, log, LIMITS)
    server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
    connections.start_sweeping()
    try:
        port = server.sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", front, log, stream)
    finally:
        server.close()
        await connections.close()
        await http.close()
        log.stop()


async def get(served: Served) -> Answer:
    async with RawClient(served.url) as client:
        await client.send(request("/it", method="GET"))
        return await client.answer()


async def test_an_unexpected_exception_is_told_without_its_cause_and_logged_with_it(tmp_path: Path) -> None:
    async def broken(incoming: Incoming) -> None:
        raise ZeroDivisionError("Bearer sk-canary-canary-canary")

    async with serving(tmp_path, broken) as served:
        answer = await get(served)
        assert (answer.status, answer.error["code"]) == (500, "internal_error")
        assert answer.error["request_id"] == answer.headers["x-cortex-request-id"]
        assert answer.headers["connection"] == "close"
        (line,) = served.logged()
    assert line["level"] == "error"
    assert line["error"] == "ZeroDivisionError"
    assert "in broken" in line["traceback"]
    assert "canary" not in json.dumps(line) + answer.body.decode()


async def test_an_unexpected_exception_in_a_stream_ends_it_with_one_error_event(tmp_path: Path) -> None:
    async def broken(incoming: Incoming) -> None:
        incoming.speaks = ApiChatDialect()
        await incoming.sink.start_stream({})
        await incoming.sink.write(b"data: 1\n\n")
        raise ZeroDivisionError

    async with serving(tmp_path, broken) as served, RawClient(served.url) as client:
        await client.send(request("/it", method="GET"))
        answer = await client.answer()
        first, error, rest = answer.body.split(b"\n\n")
        assert (answer.status, first, rest) == (200, b"data: 1", b"")
        assert error.startswith(b"event: error\ndata: {")
        assert b"internal_error" in error
        assert await client.closed() == b""


async def test_a_stream_that_is_not_ended_is_cut(tmp_path: Path) -> None:
    async def forgetful(incoming: Incoming) -> None:
        await incoming.sink.start_stream({})
        await incoming.sink.write(b"data: 1\n\n")

    async with serving(tmp_path, forgetful) as served, RawClient(served.url) as client:
        await client.send(request("/it", method="GET"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.answer()


async def test_a_client_that_has_gone_is_no_failure(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def writing(incoming: Incoming) -> None:
        assert incoming.request.transport is not None
        incoming.request.transport.abort()  # as if the client had left a moment before the write
        try:
            await incoming.sink.start_stream({})
            await incoming.sink.write(b"data: 1\n\n")
        except ClientGone:
            left.set()
            raise

    async with serving(tmp_path, writing) as served, RawClient(served.url) as client:
        await client.send(request("/it", method="GET"))
        assert await client.closed() == b""
        assert left.is_set()
        await served.front.idle()
        assert served.logged() == []


async def test_headers_that_cannot_be_sent_are_a_bug_not_a_second_answer(tmp_path: Path) -> None:
    async def injecting(incoming: Incoming) -> None:
        await incoming.sink.send(200, {"x-model": "a\r\nx-evil: 1"}, b"{}")

    async with serving(tmp_path, injecting) as served:
        answer = await get(served)
        assert answer.status == 500
        assert "x-evil" not in answer.headers


async def test_a_refusal_is_one_json_error(tmp_path: Path) -> None:
    async def refusing(incoming: Incoming) -> None:
        error = ClientError(402, "no", "t", "c", param="p", retry_after_s=5, should_retry=False)
        raise Refused(error, {"X-Extra": "1"})

    async with serving(tmp_path, refusing) as served:
        answer = await get(served)
        assert answer.status == 402
        assert answer.error.items() >= {"message": "no", "type": "t", "code": "c", "param": "p"}.items()
        assert answer.headers["x-extra"] == "1"
        assert answer.headers["x-should-retry"] == "false"
        assert int(answer.headers["retry-after"]) >= 5


async def test_idle_waits_for_the_last_request(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(incoming: Incoming) -> None:
        begun.set()
        await go_on.wait()
        await incoming.send_json({})

    async with serving(tmp_path, slow) as served, RawClient(served.url) as client:
        await served.front.idle()
        await client.send(request("/it", method="GET"))
        await begun.wait()
        idle = asyncio.create_task(served.front.idle())
        await asyncio.sleep(0)
        assert not idle.done()
        go_on.set()
        await idle
        assert (await client.answer()).status == 200


async def test_a_handler_that_is_cancelled_answers_nobody(tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(incoming: Incoming) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(tmp_path, slow) as served:
        async with RawClient(served.url) as client:
            await client.send(request("/it", method="GET"))
            await begun.wait()
        await ended.wait()
        await served.front.idle()
        assert served.logged() == []


@pytest.mark.parametrize(
    ("method", "path", "found", "tail"),
    [
        ("GET", "/v1/models", "/v1/models", ""),
        ("HEAD", "/v1/models", "/v1/models", ""),
        ("GET", "/v1/models/a", "/v1/models/{id}", "a"),
        ("GET", "/v1/models/groq/openai/gpt-oss-20b", "/v1/models/{id}", "groq/openai/gpt-oss-20b"),
        ("GET", "/v1/models/a/", "/v1/models/{id}", "a/"),
        ("POST", "/v1/chat/completions", "/v1/chat/completions", ""),
        ("GET", "/", "/", ""),
    ],
)
def test_a_path_finds_its_route(method: str, path: str, found: str, tail: str) -> None:
    route, rest = RouteTable(ROUTES).find(method, path)
    assert (route.path, rest) == (found, tail)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("HEAD", "/v1/chat/completions", 405, "POST"),
        ("DELETE", "/v1/models/a", 405, "GET, HEAD"),
        ("OPTIONS", "/api/health", 405, "GET, HEAD"),
        ("GET", "/v1/models/", 404, None),
        ("GET", "/v1/model", 404, None),
        ("GET", "//v1/models", 404, None),
        ("GET", "/V1/models", 404, None),
        ("POST", "/api/chat/", 404, None),
        ("OPTIONS", "*", 404, None),
        ("CONNECT", "", 404, None),
    ],
)
def test_other_paths_and_methods_are_refused(method: str, path: str, status: int, allow: str | None) -> None:
    with pytest.raises(Refused) as refused:
        RouteTable(ROUTES).find(method, path)
    assert refused.value.error.status == status
    assert refused.value.headers.get("Allow") == allow
