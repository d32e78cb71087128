"""Making a configuration's classifiers: what is not whole in time is made on, and nothing is left behind at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cortex.classification import Classification
from cortex.config.classify import EmbedderConfig
from cortex.embedding import builtin
from cortex.telemetry.log import Log
from routing.graph import Classify, Graph, Node, Route, Target
from tests.support.embedder import GIVE_UP_S, Obstinate, workers
from tests.support.routing import cascade, graph

CODE = "Write a Python function that reverses a linked list"
TASKS = Classify((Route("coding", Target("a"), "coding"),), Target("b"))
OWN = Classify((Route("legal", Target("a"), examples=("Is this lease valid?",), threshold=0.2),), Target("b"))


def classification(node: Node, embedder: str = "builtin") -> Classification:
    return Classification(graph({"auto": node}), EmbedderConfig.model_validate(embedder), Log())


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
    assert await made.vector(CODE, 0.0) == (None, "the embedder was too slow")
    vector, why_not = await made.vector(CODE, 2 * GIVE_UP_S)
    assert (why_not is None) is (vector is not None)
    made.close()
    await until(lambda: not workers())


async def test_an_embedder_is_handed_on_and_closed_by_its_last_owner(embedder: Obstinate) -> None:
    old = classification(TASKS)
    await old.prepare()
    new = classification(OWN)
    new.take_over(old)
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
