"""What must hold by default of who may ask, and where requests go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.server.auth import Scope
from cortex.server.routes import ROUTES
from tests.support import upstream_replies as replies
from tests.support.clients import CLIENTS, OPENAI
from tests.support.configuration import loaded, problems
from tests.support.fault_table import default
from tests.support.gateway import Gateway, cascade
from tests.support.ports import dead_url
from tests.support.raw_client import RawClient, request
from tests.support.scene import Scene
from tests.support.upstream import Upstream
from tests.support.wires import OPENAI as OPENAI_WIRE

CHAT = json.dumps(OPENAI.body("chat", stream=False)).encode()
PATHS = tuple(client.path for client in CLIENTS)
CLIENT_KEY, ADMIN_KEY = "canary-client-key-1", "canary-admin-key-1"
CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
LOCKED = {"client_keys": [CLIENT_KEY], "admin_keys": [ADMIN_KEY]}


# Where requests go


@default(1)
@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key"])
async def test_a_caller_cannot_say_where_its_request_goes(name: str) -> None:
    async with Upstream(OPENAI_WIRE.speaking(["stolen"])) as elsewhere, Upstream(OPENAI_WIRE.speaking()) as upstream:
        async with Gateway(cascade(upstream.url)) as gateway:
            for path in (*PATHS, "/v1/embeddings"):
                body = {**json.loads(CHAT), "input": "hi", name: elsewhere.url}
                async with gateway.client.post(path, json=body) as response:
                    assert response.status == 400
                    assert (await response.json())["error"]["param"] == name
        assert (elsewhere.connections, upstream.connections) == ([], [])


@default(1)
async def test_neither_headers_nor_the_request_line_can_say_it() -> None:
    async with Upstream(OPENAI_WIRE.speaking(["stolen"])) as elsewhere, Upstream(OPENAI_WIRE.speaking()) as upstream:
        async with Gateway(cascade(upstream.url)) as gateway:
            said = {"X-Forwarded-Host": elsewhere.url, "X-Base-Url": elsewhere.url, "Host": elsewhere.url[7:]}
            for target in ("/v1/chat/completions", f"{elsewhere.url}/v1/chat/completions"):
                async with RawClient(gateway.url) as client:
                    await client.send(request(target, CHAT, said))
                    await client.answer()
        assert elsewhere.connections == []


@default(2)
async def test_a_redirect_is_not_followed() -> None:
    async with Upstream(OPENAI_WIRE.speaking(["stolen"])) as elsewhere:
        async with Scene(lambda case: replies.redirect(f"{elsewhere.url}/v1/chat/completions", 307)) as scene:
            for told in await scene.ask():
                told.moved_on("invalid_response")
        assert elsewhere.connections == []


@default(2)
async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead_url())
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url)) as gateway:
        assert (await gateway.chat())[0] == 200


@default(2)
@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]", "metadata.google.internal"]
)
def test_link_local_and_metadata_addresses_are_refused(tmp_path: Path, host: str) -> None:
    config = f'providers: {{a: {{type: openai_compatible, base_url: "http://{host}/v1", models: [m]}}}}'
    assert "base_url: " in problems(tmp_path, config)


# Who may ask

_ODD_PATHS = (
    "/api/decisions/",
    "//api/decisions",
    "/./api/decisions",
    "/v1/../api/decisions",
    "/livez/../api/decisions",
    "/api/%64ecisions",
    "/api%2Fdecisions",
    "/api/decisions%00",
    "/API/DECISIONS",
    "/api/decisions;x=/livez",
    "/api/decisions?x=/livez",
    "/api/decisions#/livez",
)


@default(5)
@pytest.mark.parametrize("path", _ODD_PATHS)
async def test_no_spelling_of_a_path_gets_round_its_scope(path: str) -> None:
    """Whatever a path resolves to, a client's key must not open an admin's route."""
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url, server=LOCKED)) as gateway:
        for headers in ({}, CLIENT):
            async with RawClient(gateway.url) as client:
                await client.send(request(path, method="GET", headers=headers))
                answer = await client.answer()
            assert answer.status in (400, 401, 403, 404), answer.body
            assert b"decisions" not in answer.body or b'"error"' in answer.body


@default(5)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_route_asks_for_the_key_that_its_scope_needs(route: Any) -> None:
    path = route.path.partition("{")[0] + ("chat" if "{" in route.path else "")
    body = {"json": {**json.loads(CHAT), "input": "hi"}} if route.method == "POST" else {}
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url, server=LOCKED)) as gateway:
        statuses = []
        for headers in ({}, {"Authorization": "Bearer wrong"}, CLIENT, ADMIN):
            async with gateway.client.request(route.method, path, headers=headers, **body) as response:
                statuses.append(response.status)
                assert "canary" not in await response.text()
        refused = [status if status in (401, 403) else None for status in statuses]
        assert (
            refused
            == {
                Scope.OPEN: [None] * 4,
                Scope.CLIENT: [401, 401, None, 401],
                Scope.STATUS: [401, 401, None, None],
                Scope.ADMIN: [401, 401, 403, None],
            }[route.scope]
        )


@default(6)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_any_address_but_loopback_needs_client_keys(tmp_path: Path, host: str) -> None:
    config = f'server: {{host: "{host}"}}\nproviders: {{a: {{type: simulated}}}}'
    assert "client_keys" in problems(tmp_path, config)
    with_keys = config.replace("}", ", client_keys: [canary-key-long-enough]}", 1)
    assert loaded(tmp_path, with_keys).server.client_keys


@default(6)
def test_without_a_word_it_is_loopback_and_there_is_no_password(tmp_path: Path) -> None:
    config = loaded(tmp_path, "providers: {a: {type: simulated}}")
    assert config.server.host == "127.0.0.1"
    assert (config.server.client_keys, config.server.admin_keys) == ((), ())


@default(8)
async def test_client_keys_are_kept_as_digests_and_a_near_miss_opens_nothing() -> None:
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url, server=LOCKED)) as gateway:
        runtime = gateway.app.runtime
        assert all(isinstance(key, bytes) and len(key) == 32 for key in (*runtime.client_keys, *runtime.admin_keys))
        assert "canary" not in repr(runtime) + repr(runtime.config)
        digest = next(iter(runtime.client_keys)).hex()
        for near in (CLIENT_KEY[:-1], CLIENT_KEY + "x", CLIENT_KEY.upper(), digest, "", "*", " "):
            async with gateway.client.post(OPENAI.path, data=CHAT, headers={"x-api-key": near}) as response:
                assert response.status == 401
                assert "canary" not in await response.text()
        assert upstream.requests == []
