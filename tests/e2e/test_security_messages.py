"""What must hold by default of what goes through: keys, prompts, headers, sizes, slow clients, other sites' pages."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from cortex.server.limits import Limits
from tests.support import upstream_replies as replies
from tests.support.clients import CLIENTS, OPENAI
from tests.support.configuration import loaded, problems
from tests.support.fault_table import default
from tests.support.gateway import Gateway, cascade
from tests.support.raw_client import RawClient, request
from tests.support.scene import KEYS, Scene, cases
from tests.support.upstream import Upstream
from tests.support.wires import OPENAI as OPENAI_WIRE

CHAT = json.dumps(OPENAI.body("chat", stream=False)).encode()
PATHS = tuple(client.path for client in CLIENTS)
CLIENT_KEY = "canary-client-key-1"


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
        async with Gateway(cascade(bad.url, good.url, retries={"attempts": 2})) as gateway:
            for client in CLIENTS:
                for stream in (True, False):
                    for model in ("chat", "a", "b"):
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
                    told = {
                        name: text for name, text in answer.headers.items() if name and not name.startswith("x-cortex-")
                    }
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
    config = loaded(tmp_path, "providers: {a: {type: simulated}}")
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
    root = Path(__file__).parents[2]
    asked = map(Requirement, tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"])
    (aiohttp,) = (each for each in asked if each.name == "aiohttp")
    assert not aiohttp.specifier.contains("3.14.0")
    assert aiohttp.specifier.contains(version("aiohttp"))
    locks = sorted((root / "requirements").glob("*.lock"))
    assert locks
    for lock in locks:
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
