"""The embedder behind `classify` nodes: what it adds, and that nothing fails with it; and what a reload keeps."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.embedding import builtin
from cortex.embedding.builtin import BuiltinEmbedder
from cortex.embedding.embedder import EmbedderError
from cortex.embedding.service import MAX_WAITING
from cortex.reload import Reloader
from tests.support import upstream_openai as openai
from tests.support.choosing import CODE, POEM, UNCLEAR, ask, by_task, choosing, conversation
from tests.support.embedder import GIVE_UP_S, Obstinate, workers
from tests.support.gateway import Gateway
from tests.support.served import an_upstream
from tests.support.upstream import Upstream

upstream = an_upstream(openai.speaking(["Hel", "lo"]))

LEGAL = [
    "Is this clause in my lease enforceable?",
    "Can my landlord keep the deposit?",
    "Is a verbal contract binding?",
]
TRAVEL = ["Find me a hotel near the old town", "Which flights go to Madrid on Friday?", "Do I need a visa for Japan?"]
CASE = "Is this clause in my rental contract enforceable?"
TRIP = "Which flights go to Lisbon on Sunday?"


def by_examples(**more: Any) -> dict[str, Any]:
    """A node whose every prompt is judged with its vector: it has examples of its own."""
    routes = {
        "legal": {"to": "up/m0", "examples": list(LEGAL), "threshold": 0.2},
        "travel": {"to": "up/m1", "examples": list(TRAVEL), "threshold": 0.2},
    }
    return {"classify": {"routes": routes, "default": "up/rest", **more}}


@pytest.fixture
def embedders(monkeypatch: pytest.MonkeyPatch) -> list[Obstinate]:
    """Those that are made, in their order."""
    made: list[Obstinate] = []

    def make() -> Obstinate:
        made.append(Obstinate())
        return made[-1]

    monkeypatch.setattr(builtin, "BuiltinEmbedder", make)
    return made


async def health(gateway: Gateway) -> Any:
    async with gateway.client.get("/api/health") as response:
        assert response.status == 200
        return (await response.json()).get("classifier")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while not true():
            await asyncio.sleep(0.005)


# The embedder


async def test_health_tells_of_no_classifier_where_no_node_asks_for_one(upstream: Upstream) -> None:
    config = choosing(upstream.url, {"auto": {"rules": [{"to": "up/rest"}]}}, embedder="builtin")
    async with Gateway(config) as gateway:
        assert (await ask(gateway, CODE)).model == "rest"
        assert await health(gateway) is None
        assert not workers(), "nothing is loaded that nobody asked for"


async def test_prompts_like_the_examples_take_their_route_by_their_vectors(upstream: Upstream) -> None:
    config = choosing(upstream.url, {"auto": by_examples()}, embedder="builtin")
    async with Gateway(config) as gateway:
        assert await health(gateway) == {"embedder": "builtin", "status": "ready"}
        service = gateway.app.runtime.classification.service
        gateway.app.runtime.classification.within_s = GIVE_UP_S  # a busy machine is no failure
        for prompt, model, route in ((CASE, "m0", "legal"), (TRIP, "m1", "travel")):
            found = await ask(gateway, prompt)
            assert (found.model, found.judged["route"], found.judged["stage"]) == (model, route, "examples")
        assert service.status().computed == 2
        assert (await ask(gateway, CASE)).judged["route"] == "legal"
        assert (service.status().computed, service.status().memoised) == (2, 0), "the judgement itself is remembered"
    await until(lambda: not workers())


async def test_every_kind_of_shipped_embedder_serves(upstream: Upstream) -> None:
    for kind in ("static", "none"):
        config = choosing(upstream.url, {"auto": by_task()}, embedder=kind)
        async with Gateway(config) as gateway:
            assert await health(gateway) == {"embedder": kind, "status": "off" if kind == "none" else "ready"}
            assert [(await ask(gateway, prompt)).model for prompt in (CODE, POEM)] == ["coder", "writer"]


async def test_an_embedder_that_cannot_be_loaded_fails_no_request_and_is_told(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(builtin, "BuiltinEmbedder", functools.partial(BuiltinEmbedder, tmp_path))
    models = {"auto": by_task(), "own": by_examples()}
    async with Gateway(choosing(upstream.url, models, embedder="builtin")) as gateway:
        told = await health(gateway)
        assert (told["embedder"], told["status"]) == ("builtin", "failed")
        assert "tokenizer.json cannot be read" in told["reason"]
        assert told["meanwhile"]
        for prompt, model in ((CODE, "coder"), (POEM, "writer"), (UNCLEAR, "rest")):
            found = await ask(gateway, prompt)
            assert found.model == model
            assert found.judged["stage"] in ("features", "abstained")
        found = await ask(gateway, LEGAL[0], model="own")
        assert (found.model, found.judged["stage"]) == ("m0", "examples")  # by their words alone
        await gateway.app.runtime.classification.prepare()
        assert (await health(gateway))["status"] == "failed"  # it is not tried again at once

        monkeypatch.setattr(builtin, "BuiltinEmbedder", BuiltinEmbedder)
        service = gateway.app.runtime.classification.service
        service._retry_at = 0.0  # as if a minute had passed
        await gateway.app.runtime.classification.prepare()
        assert await health(gateway) == {"embedder": "builtin", "status": "ready"}


async def test_an_embedder_that_is_too_slow_is_not_waited_for(upstream: Upstream, embedders: list[Obstinate]) -> None:
    async with Gateway(choosing(upstream.url, {"auto": by_examples()}, embedder="builtin")) as gateway:
        (embedder,) = embedders
        embedder.free.clear()
        try:
            found = await ask(gateway, LEGAL[0])
            assert (found.model, found.judged["stage"]) == ("m0", "examples")  # by their words alone
            strange = await ask(gateway, "colourless green ideas sleep furiously")
            assert (strange.model, strange.judged["route"]) == ("rest", None)
            assert strange.judged["reason"].endswith("; the embedder was too slow")
        finally:
            embedder.free.set()
        service = gateway.app.runtime.classification.service
        await until(lambda: service.status().waiting == 0)
        assert service.status().late == 2
        assert (await health(gateway))["status"] == "ready"


async def test_waiting_for_a_vector_leaves_time_for_the_answer(upstream: Upstream, embedders: list[Obstinate]) -> None:
    embedder = {"type": "builtin", "timeout": "1h"}
    async with Gateway(choosing(upstream.url, {"auto": by_examples()}, embedder=embedder)) as gateway:
        embedders[0].free.clear()
        try:
            found = await ask(gateway, LEGAL[0], headers={"x-cortex-timeout": "3s"})
            assert (found.model, found.judged["stage"]) == ("m0", "examples")
        finally:
            embedders[0].free.set()


async def test_a_text_that_cannot_be_embedded_fails_no_request(upstream: Upstream, embedders: list[Obstinate]) -> None:
    async with Gateway(choosing(upstream.url, {"auto": by_examples()}, embedder="builtin")) as gateway:
        embedders[0].error = EmbedderError("onnxruntime: no")
        found = await ask(gateway, LEGAL[0])
        assert (found.model, found.judged["stage"]) == ("m0", "examples")
        embedders[0].error = RuntimeError("a bug")
        assert (await ask(gateway, TRAVEL[0])).model == "m1"
        embedders[0].error = None
        gateway.app.runtime.classification.within_s = GIVE_UP_S
        found = await ask(gateway, CASE)
        assert (found.model, found.judged["stage"]) == ("m0", "examples")


async def test_many_at_once_are_all_answered(upstream: Upstream) -> None:
    async with Gateway(choosing(upstream.url, {"auto": by_examples()}, embedder="builtin")) as gateway:
        bodies = [{"model": "auto", "messages": conversation(f"{CASE} {number}")} for number in range(MAX_WAITING * 2)]
        answers = await asyncio.gather(*(gateway.chat(body) for body in bodies))
        assert [status for status, _, _ in answers] == [200] * len(bodies)
        await gateway.settled()


async def test_only_the_beginning_and_the_end_of_a_long_prompt_are_embedded(
    upstream: Upstream, embedders: list[Obstinate]
) -> None:
    async with Gateway(choosing(upstream.url, {"auto": by_examples()}, embedder="builtin")) as gateway:
        await ask(gateway, f"{CASE} {'It says so. ' * 50_000} {TRIP}")
        (text,) = embedders[0].asked[len(LEGAL) + len(TRAVEL) :]
        assert text.startswith(CASE)
        assert text.endswith(TRIP)
        assert len(text) < 400


# Reloads


class Reloaded:
    """A gateway whose file is saved anew."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self.gateway = gateway
        self._path = path
        self._reloader = Reloader(gateway.app, path)

    async def with_file(self, config: Mapping[str, Any]) -> None:
        self._path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
        before = self.gateway.app.runtime
        assert await self._reloader.reload()
        assert self.gateway.app.runtime is not before


async def test_a_reload_keeps_conversations_and_what_the_embedder_remembers(upstream: Upstream, tmp_path: Path) -> None:
    config = choosing(upstream.url, {"auto": by_examples()}, embedder={"type": "builtin", "timeout": "30s"})
    async with Gateway(config) as gateway:
        assert (await ask(gateway, CASE)).model == "m0"
        before = gateway.app.runtime.classification.service
        config["models"]["auto"]["classify"]["routes"]["legal"]["to"] = "up/m2"
        config["models"]["more"] = by_task()
        await Reloaded(gateway, tmp_path / "cortex.yaml").with_file(config)

        service = gateway.app.runtime.classification.service
        assert service is before
        computed = service.status().computed
        assert (await ask(gateway, CASE)).model == "m2"
        assert service.status().computed == computed, "it was remembered"
        found = await ask(gateway, CASE, UNCLEAR)
        assert (found.model, found.judged["route"], found.judged["stage"]) == ("m2", "legal", "affinity")
        assert (await ask(gateway, CODE, model="more")).model == "coder"
        assert await health(gateway) == {"embedder": "builtin", "status": "ready"}


async def test_a_reload_with_another_embedder_ends_the_old_one(upstream: Upstream, tmp_path: Path) -> None:
    config = choosing(upstream.url, {"auto": by_task()}, embedder="builtin")
    async with Gateway(config) as gateway:
        before = gateway.app.runtime.classification.service
        config["embedder"] = "none"
        await Reloaded(gateway, tmp_path / "cortex.yaml").with_file(config)
        await until(lambda: not workers())
        assert before.status().state == "off"
        assert (await health(gateway))["status"] == "off"
        assert (await ask(gateway, CODE)).model == "coder"


async def test_a_bad_file_leaves_the_embedder_alone(upstream: Upstream, tmp_path: Path) -> None:
    async with Gateway(choosing(upstream.url, {"auto": by_task()}, embedder="builtin")) as gateway:
        before = gateway.app.runtime
        (tmp_path / "cortex.yaml").write_text("models: {auto: {cascade: [nobody]}}\n")
        assert not await Reloader(gateway.app, tmp_path / "cortex.yaml").reload()
        assert gateway.app.runtime is before
        assert (await health(gateway))["status"] == "ready"


@pytest.mark.parametrize("said", [[UNCLEAR], [UNCLEAR, "thanks"]])
async def test_a_conversation_whose_route_is_gone_after_a_reload_goes_on(
    upstream: Upstream, tmp_path: Path, said: list[str]
) -> None:
    config = choosing(upstream.url, {"auto": by_task()})
    async with Gateway(config) as gateway:
        assert (await ask(gateway, CODE)).model == "coder"
        routes = config["models"]["auto"]["classify"]["routes"]
        routes["code"] = routes.pop("coding")
        await Reloaded(gateway, tmp_path / "cortex.yaml").with_file(config)
        for place in range(len(said)):
            found = await ask(gateway, CODE, *said[: place + 1])
            assert found.model == "rest"
            assert (found.judged["route"], found.judged["stage"]) == (None, "abstained")


async def test_a_node_that_no_longer_chooses_does_not_choose(upstream: Upstream, tmp_path: Path) -> None:
    config = choosing(upstream.url, {"auto": by_task()})
    async with Gateway(config) as gateway:
        await ask(gateway, CODE)
        config["models"]["auto"] = {"cascade": ["up/m3"]}
        await Reloaded(gateway, tmp_path / "cortex.yaml").with_file(config)
        found = await ask(gateway, CODE, UNCLEAR)
        assert (found.model, found.decision["classify"]) == ("m3", [])
        assert await health(gateway) is None
