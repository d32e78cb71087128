"""The process: reload by signal and by saving, drain, and what survives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.gateway import cascade
from tests.support.upstream import Upstream

ROOT = Path(__file__).parents[2]
LIMIT_S = 30


class Process:
    """`cortex serve` on a free port, with everything that it says."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.lines: list[str] = []
        self._said = asyncio.Condition()

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._said:
                self.lines.append(line.decode())
                self._said.notify_all()

    async def says(self, text: str, times: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S), self._said:
            await self._said.wait_for(lambda: sum(text in line for line in self.lines) >= times)


@contextlib.asynccontextmanager
async def serving(path: Path, *arguments: str) -> AsyncIterator[Process]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cortex", "serve", "--config", str(path), "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            banner = (await process.stdout.readline()).decode()
        address = re.search(r"http://\S+", banner)
        if address is None:
            raise AssertionError(banner + (await process.communicate())[1].decode())
        running = Process(process, address[0])
        reader = asyncio.create_task(running.read())
        yield running
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(LIMIT_S):
            await process.wait()
            await reader
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        process._transport.close()  # type: ignore[attr-defined]


def save(path: Path, config: dict[str, Any]) -> None:
    """As an editor does it: a new file takes the old one's place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(config, sort_keys=False))
    fresh.replace(path)


async def ask(url: str, model: str | None = None) -> tuple[int, str | None]:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
    if model is not None:
        body["model"] = model
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body) as response,
    ):
        await response.read()
        return response.status, response.headers.get("x-cortex-model")


async def test_a_saved_file_and_a_signal_reload_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cortex.yaml"
    async with Upstream(openai.speaking(["hi"])) as upstream:
        config = cascade(upstream.url, upstream.url)
        save(path, config)
        async with serving(path) as cortex:
            assert await ask(cortex.url) == (200, "a/test-model")

            config["models"]["chat"]["cascade"] = ["b", "a"]
            save(path, config)
            await cortex.says("configuration reloaded")
            assert await ask(cortex.url) == (200, "b/test-model")

            path.write_text("models: {chat: {cascade: [nobody]}}\n")
            await cortex.says("the old one goes on")
            assert any('unknown target \\"nobody\\"' in line or "nobody" in line for line in cortex.lines)
            assert await ask(cortex.url) == (200, "b/test-model")

            config["models"]["late"] = {"cascade": ["a"]}
            save(path, config)
            cortex.process.send_signal(signal.SIGHUP)
            await cortex.says("configuration reloaded", times=2)
            assert await ask(cortex.url, "late") == (200, "a/test-model")


async def test_a_cooling_key_goes_on_cooling_over_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "cortex.yaml"
    limited = replies.json(openai.error("slow down", code="rate_limit_exceeded"), status=429)
    async with Upstream(limited) as bad, Upstream(openai.speaking(["hi"])) as good:
        config = cascade(bad.url, good.url)
        save(path, config)
        async with serving(path) as cortex:
            assert await ask(cortex.url) == (200, "b/test-model")
            config["timeouts"] = {"idle": "50s"}
            save(path, config)
            await cortex.says("configuration reloaded")
            assert await ask(cortex.url) == (200, "b/test-model")
            assert [request.method for request in bad.requests].count("POST") == 1


async def test_a_reload_must_not_open_the_door(tmp_path: Path) -> None:
    path = tmp_path / "cortex.yaml"
    async with Upstream(openai.speaking(["hi"])) as upstream:
        config = cascade(upstream.url, server={"host": "0.0.0.0", "client_keys": ["sk-client"]})
        save(path, config)
        async with serving(path) as cortex:
            url = cortex.url.replace("0.0.0.0", "127.0.0.1")
            assert (await ask(url))[0] == 401
            save(path, cascade(upstream.url))
            await cortex.says("sets no client keys")
            assert (await ask(url))[0] == 401


async def test_a_request_in_flight_finishes_on_its_configuration_while_the_process_drains(tmp_path: Path) -> None:
    path = tmp_path / "cortex.yaml"
    go_on = asyncio.Event()
    frames = openai.chunks(["first", "second"])
    slow = replies.sse(*frames[:2], replies.until(go_on), *frames[2:])
    async with Upstream(lambda request: slow if request.method == "POST" else openai.models("m")) as upstream:
        save(path, cascade(upstream.url))
        async with serving(path) as cortex, aiohttp.ClientSession() as session:
            body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
            async with session.post(f"{cortex.url}/v1/chat/completions", json=body) as response:
                text = b""
                while b"first" not in text:
                    text += await response.content.readany()
                save(path, cascade(upstream.url, default_model="a"))
                await cortex.says("configuration reloaded")
                cortex.process.send_signal(signal.SIGTERM)
                await cortex.says("draining")
                try:
                    await ask(cortex.url)
                    raise AssertionError("a new connection was accepted while draining")
                except aiohttp.ClientConnectorError:
                    pass
                go_on.set()
                text += await response.content.read()
            assert text.endswith(b"data: [DONE]\n\n")
            async with asyncio.timeout(LIMIT_S):
                assert await cortex.process.wait() == 0
