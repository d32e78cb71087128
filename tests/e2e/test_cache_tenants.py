"""Whose answers a request may get: its own client's, and only those that lead where it leads. Reloads included."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.reload import Reloader
from tests.support import upstream_openai as openai
from tests.support.caching import Cached, Got
from tests.support.gateway import cascade, provider
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

ONE, OTHER, THIRD = "sk-client-one", "sk-client-other", "sk-client-third"


def counting(name: str = "answer") -> Callable[[Request], Reply]:
    numbers = itertools.count()
    return lambda request: openai.speaking([f"{name} {next(numbers)}"])(request)


def by(key: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **headers}


def told(got: Got) -> tuple[str, str]:
    assert got.status == 200, got
    return got.cache, got.view.text


def clients(*keys: str) -> dict[str, Any]:
    return {"server": {"client_keys": list(keys)}}


async def reload(cached: Cached, folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / "cortex.yaml"
    path.write_text(yaml.safe_dump({"cache": {}, **config}, sort_keys=False))
    before = cached.gateway.app.runtime
    assert await Reloader(cached.gateway.app, path).reload()
    assert cached.gateway.app.runtime is not before


async def test_clients_get_their_own_answers() -> None:
    async with Cached(counting(), **clients(ONE, OTHER)) as cached:
        assert told(await cached.ask(headers=by(ONE))) == ("miss", "answer 0")
        other = await cached.ask(headers=by(OTHER))
        assert told(other) == ("miss", "answer 1")
        again = await cached.ask(headers=by(ONE))
        assert told(again) == ("hit", "answer 0")
        assert again.headers["x-cortex-cache-key"] != other.headers["x-cortex-cache-key"]
        assert told(await cached.ask(headers=by(OTHER))) == ("hit", "answer 1")


async def test_clients_share_answers_where_the_file_says_so() -> None:
    async with Cached(counting(), cache={"share": True}, **clients(ONE, OTHER)) as cached:
        assert told(await cached.ask(headers=by(ONE))) == ("miss", "answer 0")
        assert told(await cached.ask(headers=by(OTHER))) == ("hit", "answer 0")


async def test_a_client_cannot_ask_for_anothers_namespace() -> None:
    body = {"cache": {"namespace": "ours"}}
    async with Cached(counting(), **clients(ONE, OTHER)) as cached:
        await cached.ask(body, headers=by(ONE))
        assert told(await cached.ask(body, headers=by(OTHER))) == ("miss", "answer 1")


@pytest.mark.parametrize("keys", [(OTHER, ONE), (THIRD, OTHER, ONE), (OTHER,), (THIRD,)], ids="-".join)
async def test_a_reload_that_reorders_keys_hands_no_answer_to_another(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Keys are called client#1, client#2 …: after the reload each name is another's."""
    script = counting()
    async with Cached(script, **clients(ONE, OTHER)) as cached:
        mine = {ONE: (await cached.ask(headers=by(ONE))).view.text, OTHER: "answer 1"}
        assert (await cached.ask(headers=by(OTHER))).view.text == "answer 1"
        await reload(cached, tmp_path, {**cascade(cached.upstream.url), **clients(*keys)})
        for key in keys:
            got = await cached.ask(headers=by(key))
            if key in mine:
                assert told(got) == ("hit", mine[key])
            else:
                assert told(got)[0] == "miss"
                assert got.view.text not in mine.values()


async def test_a_reload_without_keys_finds_nothing_of_those_with_one_nor_the_other_way_round(tmp_path: Path) -> None:
    async with Cached(counting(), **clients(ONE)) as cached:
        open_to_all = cascade(cached.upstream.url)
        assert told(await cached.ask(headers=by(ONE))) == ("miss", "answer 0")
        await reload(cached, tmp_path, open_to_all)
        assert told(await cached.ask()) == ("miss", "answer 1")
        await reload(cached, tmp_path, {**open_to_all, **clients(ONE)})
        assert told(await cached.ask(headers=by(ONE))) == ("hit", "answer 0")


Change = Callable[[dict[str, Any]], Any]


def _routed(url: str) -> dict[str, Any]:
    providers = {name: provider(url) for name in "ab"}
    nodes = {"inner": {"cascade": ["a"]}, "chat": {"cascade": ["inner"]}, "else": {"cascade": ["b"]}}
    return {"providers": providers, "models": nodes, "default_model": "chat"}


MISSES: dict[str, Change] = {
    "another target": lambda file: file["models"].update(chat={"cascade": ["b"]}),
    "one target more": lambda file: file["models"].update(chat={"cascade": ["inner", "b"]}),
    "a node inside": lambda file: file["models"].update(inner={"cascade": ["b"]}),
    "another operator": lambda file: file["models"].update(
        inner={"balance": {"strategy": "round_robin", "targets": ["a"]}}
    ),
    "another model": lambda file: file["providers"]["a"].update(models=["test-model-2"]),
    "another default": lambda file: file["providers"]["a"].update(models=["test-model-2", "test-model"]),
    "another address": lambda file: file["providers"]["a"].update(base_url=file["providers"]["a"]["base_url"] + "/x"),
    "another type": lambda file: file["providers"]["a"].update(type="mistral"),
}
HITS: dict[str, Change] = {
    "nothing": lambda file: None,
    "another node": lambda file: file["models"].update({"else": {"cascade": ["a"]}}),
    "a new node": lambda file: file["models"].update(new={"cascade": ["a"]}),
    "another provider": lambda file: file["providers"]["b"].update(models=["m"]),
    "other keys": lambda file: file["providers"]["a"].update(keys=["sk-new", "sk-test-1"]),
    "other times": lambda file: file["providers"]["a"].update(timeouts={"connect": "3s"}),
    "retries": lambda file: file.update(retries={"attempts": 3}),
    "a shorter ttl": lambda file: file.update(cache={"exact": {"ttl": "1m"}}),
}


@pytest.mark.parametrize("change", MISSES.values(), ids=MISSES.keys())
async def test_a_reload_that_changes_the_way_of_the_model_asked_for_misses(tmp_path: Path, change: Change) -> None:
    async with Cached(openai.speaking(["x"]), config=lambda urls: _routed(urls[0])) as cached:
        await cached.ask()
        file = _routed(cached.upstream.url)
        change(file)
        await reload(cached, tmp_path, file)
        assert (await cached.ask()).headers["x-cortex-cache"] == "miss"
        await reload(cached, tmp_path, _routed(cached.upstream.url))
        assert (await cached.ask()).cache == "hit", "the way is the old one again"


@pytest.mark.parametrize("change", HITS.values(), ids=HITS.keys())
async def test_a_reload_that_changes_something_else_still_hits(tmp_path: Path, change: Change) -> None:
    async with Cached(openai.speaking(["x"]), config=lambda urls: _routed(urls[0])) as cached:
        await cached.ask()
        file = _routed(cached.upstream.url)
        change(file)
        await reload(cached, tmp_path, file)
        assert (await cached.ask()).cache == "hit"


async def test_a_reload_that_switches_the_cache_off_frees_it(tmp_path: Path) -> None:
    async with Cached(openai.speaking(["x"])) as cached:
        await cached.ask()
        file = cascade(cached.upstream.url)
        await reload(cached, tmp_path, {**file, "cache": {"exact": {"enabled": False}}})
        assert (len(cached.cache.store), cached.cache.store.size_bytes) == (0, 0)
        assert (await cached.ask()).cache == "bypass"
        await reload(cached, tmp_path, file)
        assert [got.cache for got in await cached.both()] == ["miss", "hit"]


def _ruled(cases: list[dict[str, Any]]) -> Callable[[list[str]], dict[str, Any]]:
    def config(urls: list[str]) -> dict[str, Any]:
        providers = {name: provider(url) for name, url in zip("ab", urls, strict=True)}
        nodes = {"outer": {"cascade": ["chat"]}, "chat": {"rules": [*cases, {"to": "b"}]}}
        return {"providers": providers, "models": nodes, "default_model": "outer"}

    return config


async def test_headers_that_rules_on_the_way_look_at_keep_answers_apart() -> None:
    config = _ruled([{"when": {"header": {"x-tier": ["gold", "silver"]}}, "to": "a"}])
    async with Cached(counting("a"), counting("b"), config=config) as cached:
        assert told(await cached.ask()) == ("miss", "b 0")
        assert told(await cached.ask(headers={"X-Tier": "gold"})) == ("miss", "a 0")
        assert told(await cached.ask(headers={"x-tier": "silver"})) == ("miss", "a 1")
        assert told(await cached.ask(headers={"X-TIER": "gold", "X-Other": "1"})) == ("hit", "a 0")
        assert told(await cached.ask(headers={"X-Other": "2"})) == ("hit", "b 0")
        assert told(await cached.ask({"model": "a"}, headers={"x-tier": "gold"})) == ("miss", "a 2")
        assert told(await cached.ask({"model": "a"}, headers={"x-tier": "iron"})) == ("hit", "a 2"), "no rules there"


async def test_the_client_that_rules_look_at_keeps_answers_apart_even_where_they_are_shared() -> None:
    config = _ruled([{"when": {"client": ["client#1"]}, "to": "a"}])
    keys = clients(ONE, OTHER, THIRD)
    async with Cached(counting("a"), counting("b"), config=config, cache={"share": True}, **keys) as cached:
        assert told(await cached.ask(headers=by(ONE))) == ("miss", "a 0")
        assert told(await cached.ask(headers=by(OTHER))) == ("miss", "b 0")
        assert told(await cached.ask(headers=by(ONE))) == ("hit", "a 0")
        assert told(await cached.ask({"model": "b"}, headers=by(ONE))) == ("miss", "b 1")
        assert told(await cached.ask({"model": "b"}, headers=by(THIRD))) == ("hit", "b 1")


async def test_embeddings_and_chats_are_never_taken_for_each_other() -> None:
    """Two bodies that differ in nothing else that counts."""
    async with Cached(openai.speaking(["x"])) as cached:
        chat = await cached.ask({"input": "a"})
        assert chat.cache == "miss"
        body = b'{"model":"chat","messages":[{"role":"user","content":"hi"}],"input":"a"}'
        got = await cached.post("/v1/embeddings", body)
        assert got.headers["x-cortex-cache"] == "miss"
        assert got.headers["x-cortex-cache-key"] != chat.headers["x-cortex-cache-key"]
