"""/api/chat as its users call it: with curl, streamed and whole."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_ollama as ollama
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Upstream

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
BODY = {"messages": [{"role": "user", "content": "hi"}]}


async def curl(gateway: Gateway, body: dict[str, Any], *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sN", *options, f"{gateway.url}/api/chat"),
        *("-H", "content-type: application/json", "-d", json.dumps(body)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def events(stream: str) -> list[tuple[str, Any]]:
    """(event, data) of each frame."""
    told = []
    for frame in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            told.append((fields.get("event", "message"), json.loads(fields["data"])))
    return told


async def test_the_stream_tells_its_route_and_what_failed_on_the_way() -> None:
    busy = replies.json(openai.error("overloaded"), status=503)
    async with (
        Upstream(busy) as bad,
        Upstream(openai.speaking(["Hel", "lo"])) as good,
        Gateway(cascade(bad.url, good.url)) as gateway,
    ):
        told = events(await curl(gateway, BODY))
        assert [data for event, data in told if event == "message"] == [{"content": "Hel"}, {"content": "lo"}]
        event, done = told[-1]
        assert event == "done"
        assert (done["done"], done["finish_reason"], done["model"]) == (True, "stop", "b/test-model")
        assert done["route"] == "chat"
        assert [attempt["target"] for attempt in done["attempts"]] == ["a/test-model", "b/test-model"]
        assert done["attempts"][0]["status"] == 503
        assert done["usage"]["completion_tokens"] == 2
        assert done["request_id"].startswith("req_")


async def test_the_same_as_one_json_object() -> None:
    async with Upstream(openai.speaking(["Hel", "lo"])) as upstream, Gateway(cascade(upstream.url)) as gateway:
        answer = json.loads(await curl(gateway, BODY | {"stream": False}))
        assert (answer["content"], answer["finish_reason"], answer["model"]) == ("Hello", "stop", "a/test-model")
        assert answer["usage"]["total_tokens"] == 11


async def test_a_native_ollama_speaks_to_both_kinds_of_client() -> None:
    def reply(request: Any) -> Any:
        return ollama.stream(["Hel", "lo"]) if request.json["stream"] else ollama.answer("Hello")

    async with Upstream(reply) as upstream:
        config = cascade(upstream.url)
        config["providers"] = {"a": {"type": "ollama", "base_url": upstream.url, "models": ["qwen3"]}}
        async with Gateway(config) as gateway:
            told = events(await curl(gateway, BODY))
            assert "".join(data["content"] for event, data in told if event == "message") == "Hello"
            assert told[-1][1]["finish_reason"] == "stop"
            _, _, answer = await gateway.chat()
            assert answer["choices"][0]["message"]["content"] == "Hello"
            _, _, text = await gateway.stream()
            assert text.endswith("data: [DONE]\n\n")
        assert {request.path for request in upstream.requests} == {"/api/chat"}


async def test_a_pinned_provider_is_not_left() -> None:
    async with (
        Upstream(replies.json(openai.error(), status=500)) as bad,
        Upstream(openai.speaking(["x"])) as good,
        Gateway(cascade(bad.url, good.url, retries={"attempts": 3, "backoff": "1ms"})) as gateway,
    ):
        out = json.loads(await curl(gateway, BODY | {"provider": "a", "stream": False}))
        assert {attempt["target"] for attempt in out["error"]["attempts"]} == {"a/test-model"}
        assert not good.requests
        out = json.loads(await curl(gateway, BODY | {"provider": "b", "model": "test-model", "stream": False}))
        assert out["content"] == "x"
        out = json.loads(await curl(gateway, BODY | {"provider": "nobody"}))
        assert out["error"]["code"] == "provider_not_found"


async def test_a_cut_answer_ends_with_an_error_event() -> None:
    async with Upstream(faults.cut_stream(["Hel"])) as upstream, Gateway(cascade(upstream.url)) as gateway:
        told = events(await curl(gateway, BODY))
        assert [event for event, _ in told] == ["message", "error"]
        assert told[-1][1]["error"]["message"]
