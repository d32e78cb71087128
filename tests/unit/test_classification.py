"""Making a configuration's classifiers: what is not whole in time is made on, and nothing is left behind at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cortex import classification as module
from cortex.classification import Classification
from cortex.config.classify import EmbedderConfig
from cortex.embedding import builtin
from cortex.telemetry.log import Log
from routing.graph import Classify, Graph, Node, Route, Target
from routing.semantic.features import Reading
from tests.support.embedder import GIVE_UP_S, Obstinate, workers
from tests.support.routing import cascade, graph

UNCLEAR = "the app crashes when I open it"
TASKS = Classify((Route("coding", Target("a"), "coding"),), Target("b"))
OWN = Classify((Route("legal", Target("a"), examples=("Is this lease valid?",), threshold=0.2),), Target("b"))


def classification(node: Node, embedder: str = "builtin", previous: Classification | None = None) -> Classification:
    return Classification(graph({"auto": node}), EmbedderConfig.model_validate(embedder), Log(), previous)


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Obstinate:
    """The one that is made."""
    made = Obstinate()
    monkeypatch.setattr(builtin, "BuiltinEmbedder", lambda: made)
    return made


def state(of: Classification) -> str:
    told = of.health()
    assert isinstance(told, dict)
    status = told["status"]
    assert isinstance(status, str)
    return status


def has_vectors(of: Classification) -> bool:
    return of.classifiers["auto"].whole is not None


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while not true():
            await asyncio.sleep(0.005)


async def test_where_no_node_classifies_nothing_is_made() -> None:
    for of in (classification(cascade("a")), Classification(Graph({}, {}), EmbedderConfig(), Log())):
        await of.prepare()
        assert (of.classifiers, of.health()) == ({}, None)
        assert not workers()
        of.close()


async def test_what_takes_longer_than_is_granted_goes_on_by_itself(embedder: Obstinate) -> None:
    embedder.free.clear()
    made = classification(OWN)
    assert state(made) == "loading"
    try:
        await made.prepare(0.01)
        assert state(made) == "loading"
        await until(lambda: bool(made.classifiers))  # by words and shapes, before there is a vector
        assert not has_vectors(made)
        assert embedder.asked in ([], ["Is this lease valid?"])
        await made.prepare(0.01)  # again, while it is under way
        assert state(made) == "loading"
    finally:
        embedder.free.set()
    await until(lambda: state(made) == "ready")
    assert has_vectors(made)
    assert embedder.asked == ["Is this lease valid?"], "once"
    made.close()
    await until(lambda: not workers())


async def test_closed_while_it_is_made_it_leaves_nothing_behind(embedder: Obstinate) -> None:
    embedder.free.clear()
    made = classification(OWN)
    try:
        await made.prepare(0.01)
        made.close()
    finally:
        embedder.free.set()
    await until(lambda: not workers())


async def test_an_embedder_is_loaded_though_no_example_wants_it_yet(embedder: Obstinate) -> None:
    made = classification(TASKS)
    await made.prepare()
    assert (state(made), embedder.asked) == ("ready", [])
    made.within_s = GIVE_UP_S
    assert (await made.judge("auto", Reading(UNCLEAR), 0.0)).no_vector == "the embedder was too slow"
    judged = await made.judge("auto", Reading(UNCLEAR), 2 * GIVE_UP_S)
    assert judged.no_vector is None
    assert embedder.asked == [UNCLEAR]
    assert await made.judge("auto", Reading(UNCLEAR), 0.0) is judged, "what was judged is remembered"
    made.close()
    await until(lambda: not workers())


async def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    made = classification(TASKS, "none")
    await made.prepare()
    first, second, third = [await made.judge("auto", Reading(text), 1.0) for text in ("a", "b", "a")]
    assert first is third
    assert first is not second
    await made.judge("auto", Reading("c"), 1.0)
    assert await made.judge("auto", Reading("a"), 1.0) is first, "asked for of late"
    assert await made.judge("auto", Reading("b"), 1.0) is not second
    made.close()


async def test_what_was_judged_before_there_were_vectors_is_judged_anew(embedder: Obstinate) -> None:
    embedder.free.clear()
    made = classification(OWN)
    await made.prepare(0.0)
    await until(lambda: bool(made.classifiers))
    before = await made.judge("auto", Reading("Is this lease valid?"), 1.0)
    embedder.free.set()
    await until(lambda: state(made) == "ready")
    made.within_s = GIVE_UP_S
    after = await made.judge("auto", Reading("Is this lease valid?"), 2 * GIVE_UP_S)
    assert after is not before
    assert after.stage == "examples"
    made.close()
    await until(lambda: not workers())


async def test_an_embedder_is_handed_on_and_closed_by_its_last_owner(embedder: Obstinate) -> None:
    old = classification(TASKS)
    await old.prepare()
    new = classification(OWN, previous=old)
    await new.prepare()
    old.give_way(new)
    assert (state(new), new.service.status().state) == ("ready", "ready")
    other = classification(TASKS, "none")
    await other.prepare()
    new.give_way(other)
    await until(lambda: not workers())
    assert state(other) == "off"
    other.close()


@pytest.mark.parametrize(
    ("embedder_type", "within_s"), [("builtin", 0.025), ("static", 0.025), ("sentence_transformers", 0.25)]
)
def test_how_long_a_request_waits_for_its_vector(embedder_type: str, within_s: float) -> None:
    for timeout, expected in (({}, within_s), ({"timeout": "2s"}, 2.0)):
        config = EmbedderConfig.model_validate({"type": embedder_type, **timeout})
        made = Classification(graph({"auto": TASKS}), config, Log())
        assert made.within_s == expected
        made.close()
