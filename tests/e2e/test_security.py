"""What must hold by default, each line on the running gateway or on the configuration that it refuses."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from cortex.config.load import Loaded, load
from cortex.server.auth import Scope
from cortex.server.limits import Limits
from cortex.server.routes import ROUTES
from tests.support import upstream_replies as replies
from tests.support.clients import CLIENTS, OPENAI, PROMPT
from tests.support.fault_table import default
from tests.support.gateway import Gateway, cascade
from tests.support.ports import dead_url
from tests.support.raw_client import RawClient, request
from tests.support.scene import KEYS, Scene, cases
from tests.support.upstream import Upstream
from tests.support.wires import OPENAI as OPENAI_WIRE

CHAT = json.dumps(OPENAI.body("chat", stream=False)).encode()
PATHS = tuple(client.path for client in CLIENTS)
CLIENT_KEY, ADMIN_KEY = "canary-client-key-1", "canary-admin-key-1"
CLIENT = {"Authorization": f"Bearer {CLIENT_KEY}"}
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
LOCKED = {"client_keys": [CLIENT_KEY], "admin_keys": [ADMIN_KEY]}


def loaded(folder: Path, text: str) -> Loaded:
    path = folder / "cortex.yaml"
    path.write_text(text)
    return load(path, {})


def problems(folder: Path, text: str) -> str:
    result = loaded(folder, text)
    assert result.config is None
    return "\n".join(map(str, result.problems))


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
    assert loaded(tmp_path, with_keys).config is not None


@default(6)
def test_without_a_word_it_is_loopback_and_there_is_no_password(tmp_path: Path) -> None:
    config = loaded(tmp_path, "providers: {a: {type: simulated}}").config
    assert config is not None
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


# What goes out, and what comes back


@default(9)
async def test_provider_keys_go_in_headers_and_never_in_urls() -> None:
    async with Scene(lambda case: case.wire.speaking(["hi"])) as scene:
        for told in await scene.ask():
            told.was_whole("hi")
            (sent,) = scene.upstream(told.case).requests
            assert sent.key == KEYS[0]
            assert KEYS[0] not in sent.path
            assert KEYS[0].encode() not in sent.body


@default(10)
async def test_an_upstream_that_quotes_a_key_is_not_passed_on_unredacted() -> None:
    """In a refusal, in an error with 200, and in mid-stream. The scene looks into every output."""

    def script(case: Any) -> Any:
        wire, words = case.wire, f"key {KEYS[0]} and {KEYS[1]} of Bearer {KEYS[2]} are not valid"
        return {
            "refusal": wire.refusal(500, words),
            "bad request": wire.refusal(400, words),
            "200": replies.json(wire.error(words, "")),
            "header": wire.refusal(503, "busy", headers={"X-Debug": words, "Set-Cookie": KEYS[0]}),
            "mid-stream": wire.streamed(*wire.frames(), wire.error_frame(words)),
            "garbage": wire.streamed(*wire.opening, words.encode() + b"\n\n", wire.garbage),
        }[case.variant]

    variants = ("refusal", "bad request", "200", "header", "mid-stream", "garbage")
    async with Scene(script, cases(variants=variants), keys=3) as scene:
        await scene.ask(alone=True)
        async with scene.gateway.client.get("/api/decisions?limit=1000") as response:
            assert "[redacted]" in await response.text(), "what upstreams say is told, without the keys"


@default(11)
async def test_prompts_and_answers_stay_out_of_logs(caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level, of what succeeds and of what fails."""
    caplog.set_level(logging.DEBUG)
    words = "canary-answer"
    async with Upstream(OPENAI_WIRE.speaking([words])) as good, Upstream(replies.html(status=500)) as bad:
        async with Gateway(cascade(bad.url, good.url)) as gateway:
            for client in CLIENTS:
                for stream in (True, False):
                    for model in ("chat", "a", PROMPT[:0] or "b"):
                        async with gateway.client.post(client.path, json=client.body(model, stream=stream)) as response:
                            assert (words in await response.text()) is (model != "a")
            async with gateway.client.get("/api/decisions?limit=1000") as response:
                told = await response.text()
        logged = gateway.logged.getvalue()
        assert logged.count('"message": "request"') == 12
        assert "canary" not in logged + told + caplog.text


@default(12)
async def test_headers_pass_neither_way() -> None:
    """Upstreams get what Cortex says, clients get what Cortex says: no credentials, cookies, or hop-by-hop headers."""
    secret = {
        "Authorization": "Bearer canary-client-key-1",
        "Cookie": "session=canary",
        "Proxy-Authorization": "Basic canary",
        "X-Custom": "canary",
        "X-Forwarded-For": "192.0.2.1",
        "OpenAI-Organization": "canary",
        "Connection": "keep-alive, X-Custom",
        "TE": "trailers",
        "User-Agent": "canary",
    }
    theirs = {
        "Set-Cookie": "session=canary",
        "X-Powered-By": "canary",
        "Server": "canary",
        "Access-Control-Allow-Origin": "*",
        "X-RateLimit-Remaining": "canary",
        "Location": "http://canary.example",
    }
    answers = {
        True: replies.sse(*OPENAI_WIRE.frames(), *OPENAI_WIRE.ending, headers=theirs),
        False: replies.json(OPENAI_WIRE.whole("hi"), headers=theirs),
    }
    async with Upstream(lambda sent: answers[OPENAI_WIRE.wants_stream(sent)]) as upstream:
        async with Gateway(cascade(upstream.url, server={"client_keys": [CLIENT_KEY]})) as gateway:
            for client in CLIENTS:
                for stream in (True, False):
                    body = json.dumps(client.body("chat", stream=stream)).encode()
                    async with RawClient(gateway.url) as raw:
                        await raw.send(request(client.path, body, secret))
                        answer = await raw.answer()
                    assert answer.status == 200
                    told = {name: text for name, text in answer.headers.items() if not name.startswith("x-cortex-")}
                    assert "canary" not in str(told)
                    assert told.keys() <= _CLIENT_MAY_SEE, told
        for sent in upstream.requests:
            assert sent.headers.keys() <= _UPSTREAM_MAY_SEE, sent.headers
            assert "canary" not in str(sent.headers)


_UPSTREAM_MAY_SEE = frozenset(
    ("host", "user-agent", "accept", "accept-encoding", "content-type", "content-length", "authorization")
)
_CLIENT_MAY_SEE = frozenset(
    [
        "content-type",
        "content-length",
        "transfer-encoding",
        "date",
        "server",
        "cache-control",
        "x-accel-buffering",
        "x-request-id",
        "request-id",
        "connection",
    ]
)


@default(13)
async def test_a_line_break_or_a_nul_gets_into_no_header() -> None:
    """Not as raw bytes from a client, nor by way of a name that Cortex repeats in a header."""
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url)) as gateway:
        for bad in (b"\x00", b"\r", b"\n", b"\r\n b"):
            async with RawClient(gateway.url) as client:
                head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Cortex-Timeout: 5s" + bad
                await client.send(head + b"x\r\nContent-Length: 2\r\n\r\n{}")
                assert (await client.answer()).status == 400
        for name in ("a\r\nx-evil: 1", "a\nb", "a\x00b"):
            for client_ in CLIENTS:
                async with gateway.client.post(client_.path, json=client_.body(name, stream=False)) as response:
                    assert response.status == 404
                    assert "x-evil" not in response.headers
        async with gateway.client.get("/api/decisions?limit=1000") as response:
            assert response.status == 200
        assert upstream.requests == []


# How much


@default(14)
async def test_a_body_may_have_32_mib_and_no_more(tmp_path: Path) -> None:
    config = loaded(tmp_path, "providers: {a: {type: simulated}}").config
    assert config is not None
    assert config.server.max_body == 32 * 1024 * 1024
    assert Limits().bodies_bytes(config.server.max_body) == 256 * 1024 * 1024, "all bodies in flight together"
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url)) as gateway:
        async with RawClient(gateway.url) as client:
            await client.send(request(headers={"Content-Length": str(config.server.max_body + 1)}))
            assert (await client.answer()).status == 413
        assert upstream.requests == []


@default(15)
@pytest.mark.parametrize("path", [*PATHS, "/v1/embeddings"])
async def test_json_is_at_most_64_levels_deep(path: str) -> None:
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url)) as gateway:
        for depth, refused in ((63, False), (64, True), (100_000, True)):  # the object around it is one more
            nested = b"[" * depth + b"]" * depth
            body = CHAT[:-1] + b', "input": "hi", "metadata": ' + nested + b"}"
            async with gateway.client.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
                code = (await response.json()).get("error", {}).get("code")
                assert (code == "invalid_json") is refused, (depth, response.status)


@default(16)
@pytest.mark.parametrize(
    "text",
    [
        "providers: !!python/object/apply:os.system [echo canary]",
        'providers: {a: {type: simulated, models: [!!python/name:os.system ""]}}',
        "providers: &a {b: {type: simulated}}\nmodels: *a",
        "providers: {a: {type: simulated}}\nsurprise: true",
        "providers: {a: {type: simulated, surprise: true}}",
        "server: {prot: 4000}\nproviders: {a: {type: simulated}}",
        "providers: {a: {type: simulated}}\n#" + "x" * 2_000_000,
        "providers: " + "{a: " * 500 + "1" + "}" * 500,
    ],
    ids=["object", "name", "alias", "unknown section", "unknown key", "misspelt key", "too large", "too deep"],
)
def test_a_configuration_is_data_and_nothing_in_it_is_overlooked(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


@default(17)
def test_slow_clients_have_so_long_and_no_longer() -> None:
    """What each limit does is shown with shorter ones, on sockets."""
    limits = Limits()
    assert (limits.head_s, limits.body_idle_s, limits.keep_alive_s) == (10, 30, 75)


@default(17)
@pytest.mark.parametrize(
    ("limits", "sent", "status"),
    [
        ({"head_s": 0.05}, b"POST /v1/chat/completions HTTP/1.1\r\nHost", 408),
        ({"body_idle_s": 0.05}, request(headers={"Content-Length": "100"}) + b"{", 408),
        ({"keep_alive_s": 0.05}, b"", None),
    ],
    ids=["headers", "body", "keep-alive"],
)
async def test_a_client_that_is_slower_is_let_go(limits: Mapping[str, float], sent: bytes, status: int | None) -> None:
    settings: dict[str, Any] = {"sweep_s": 0.01, "linger_s": 0.05, **limits}
    async with Upstream(OPENAI_WIRE.speaking()) as upstream:
        async with (
            Gateway(cascade(upstream.url), limits=Limits(**settings)) as gateway,
            RawClient(gateway.url) as client,
        ):
            await client.send(sent)
            if status is not None:
                assert (await client.answer()).status == status
            assert await client.closed() == b""


@default(18)
def test_aiohttp_is_recent_enough() -> None:
    """3.14.1 mends request smuggling; nothing older may be installed, locked or asked for."""
    least = (3, 14, 1)
    assert tuple(map(int, version("aiohttp").split(".")[:3])) >= least
    asked = [Requirement(each) for each in requires("cortex-gateway") or ()]
    (aiohttp,) = (each for each in asked if each.name == "aiohttp" and each.marker is None)
    assert not aiohttp.specifier.contains("3.14.0")
    locks = Path(__file__).parents[2] / "requirements"
    for lock in locks.glob("*.lock"):
        (line,) = (line for line in lock.read_text().splitlines() if line.startswith("aiohttp=="))
        assert tuple(map(int, line.removeprefix("aiohttp==").split()[0].split(".")[:3])) >= least


@default(20)
@pytest.mark.parametrize("path", [*PATHS, "/v1/models", "/api/stats", "/livez"])
async def test_no_page_of_another_site_is_let_in(path: str) -> None:
    async with Upstream(OPENAI_WIRE.speaking()) as upstream, Gateway(cascade(upstream.url)) as gateway:
        preflight = {
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, authorization",
        }
        method = "POST" if path in PATHS else "GET"
        for asked, headers in (("OPTIONS", preflight), (method, {"Origin": "https://evil.example"}), (method, {})):
            body = {"data": CHAT} if asked == "POST" else {}
            told = {**headers, "Content-Type": "application/json"}
            async with gateway.client.request(asked, path, headers=told, **body) as response:
                assert [name for name in response.headers if name.lower().startswith("access-control-")] == []
                if asked == "OPTIONS":
                    assert response.status == 405
                elif headers and path != "/livez":
                    assert response.status == 403
