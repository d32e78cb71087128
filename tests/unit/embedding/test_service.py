"""The embedding service: it remembers, shares, gives up in time, never holds up the event loop, and ends cleanly."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cortex.embedding.embedder import Embedder, EmbedderError
from cortex.embedding.factory import EmbedderSettings
from cortex.embedding.service import CHUNK, MAX_WAITING, MEMO_ENTRIES, RETRY_S, EmbeddingService
from cortex.telemetry.log import Log
from tests.support.embedder import GIVE_UP_S, ScriptedEmbedder, vector_of, workers

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
SETTINGS = EmbedderSettings("builtin")
SOON_S = 0.01


class Bench:
    """A service around a scripted embedder, a clock that stands, and the log."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.embedder = ScriptedEmbedder()
        self.load_error: Exception | None = None
        self.loads = 0
        self.may_load = threading.Event()
        self.may_load.set()
        self._stream = io.StringIO()
        self._log = Log(format="json", stream=self._stream)
        self.service = EmbeddingService(SETTINGS, self._log, make=self._make, now=lambda: self.now)

    def _make(self, settings: EmbedderSettings) -> Embedder:
        assert settings is SETTINGS
        assert threading.current_thread().name.startswith("cortex-embedding")
        self.loads += 1
        assert self.may_load.wait(GIVE_UP_S)
        if self.load_error is not None:
            raise self.load_error
        return self.embedder

    async def ready(self) -> EmbeddingService:
        self.service.start()
        await until(lambda: self.service.status().state == "ready")
        return self.service

    async def held(self) -> asyncio.Task[Any]:
        """The worker is busy with the text "first" until the embedder is let go."""
        self.embedder.hold()
        task = asyncio.create_task(self.service.vector("first", within_s=GIVE_UP_S))
        await until(lambda: self.embedder.entered.acquire(blocking=False))
        return task

    def logged(self) -> list[dict[str, Any]]:
        """Ends the log."""
        self._log.start()
        self._log.stop()
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def count(self, name: str) -> int:
        number = getattr(self.service.status(), name)
        assert isinstance(number, int)
        return number


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while not true():
            await asyncio.sleep(0.001)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.embedder.let_go()
    bench.may_load.set()
    bench.service.close()


async def test_there_is_no_vector_before_it_has_loaded_and_nobody_waits_for_it(bench: Bench) -> None:
    bench.may_load.clear()
    assert bench.service.status().state == "off"
    assert await bench.service.vector("a", within_s=GIVE_UP_S) is None, "the first ask begins to load"
    assert bench.service.status().state == "loading"
    assert await bench.service.vector("a", within_s=GIVE_UP_S) is None
    bench.may_load.set()
    service = await bench.ready()
    vector = await service.vector("a", within_s=GIVE_UP_S)
    np.testing.assert_array_equal(vector, vector_of("a"))
    status = service.status()
    assert (status.embedder, status.dimensions, status.reason) == ("scripted", 8, None)
    assert status.loaded_in_s is not None
    assert bench.loads == 1
    assert [line["message"] for line in bench.logged()] == ["embedder ready"]


async def test_a_text_is_embedded_once(bench: Bench) -> None:
    service = await bench.ready()
    assert service.cached("a") is None
    first = await service.vector("a", within_s=GIVE_UP_S)
    again = await service.vector("a", within_s=0)
    assert first is not None
    assert again is first
    assert service.cached("a") is first
    assert not first.flags.writeable
    assert bench.embedder.asked == ["a"]
    assert (bench.count("computed"), bench.count("memoised"), bench.count("remembered")) == (1, 2, 1)


async def test_who_asks_for_the_same_at_the_same_time_shares_one_computation(bench: Bench) -> None:
    service = await bench.ready()
    first = await bench.held()
    others = [asyncio.create_task(service.vector("first", within_s=GIVE_UP_S)) for _ in range(5)]
    await asyncio.sleep(0)
    bench.embedder.let_go()
    vectors = await asyncio.gather(first, *others)
    assert all(vector is vectors[0] for vector in vectors)
    assert bench.embedder.asked == ["first"]


async def test_one_of_them_that_leaves_takes_nothing_from_the_others(bench: Bench) -> None:
    service = await bench.ready()
    first = await bench.held()
    other = asyncio.create_task(service.vector("first", within_s=GIVE_UP_S))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    bench.embedder.let_go()
    assert await other is not None


async def test_who_runs_out_of_time_gets_nothing_and_the_memo_gets_it_all_the_same(bench: Bench) -> None:
    service = await bench.ready()
    bench.embedder.hold()
    assert await service.vector("slow", within_s=SOON_S) is None
    assert bench.count("late") == 1
    bench.embedder.let_go()
    await until(lambda: service.cached("slow") is not None)


async def test_what_has_not_begun_in_time_is_skipped(bench: Bench) -> None:
    service = await bench.ready()
    first = await bench.held()
    assert await service.vector("second", within_s=SOON_S) is None
    third = asyncio.create_task(service.vector("third", within_s=GIVE_UP_S))
    await asyncio.sleep(0)
    bench.now += 2 * SOON_S
    bench.embedder.let_go()
    await asyncio.gather(first, third)
    assert bench.embedder.asked == ["first", "third"]
    assert bench.count("waiting") == 0
    assert await service.vector("second", within_s=GIVE_UP_S) is not None


async def test_what_is_asked_for_again_before_it_has_begun_is_not_skipped(bench: Bench) -> None:
    service = await bench.ready()
    first = await bench.held()
    assert await service.vector("second", within_s=SOON_S) is None
    bench.now += 2 * SOON_S
    again = asyncio.create_task(service.vector("second", within_s=GIVE_UP_S))
    await asyncio.sleep(0)
    bench.embedder.let_go()
    await first
    assert await again is not None
    assert bench.embedder.asked == ["first", "second"]


async def test_what_was_just_skipped_and_is_asked_for_again_is_computed(bench: Bench) -> None:
    """The ask comes after the worker has skipped the text, and before the loop knows."""
    service = await bench.ready()
    first = await bench.held()
    assert await service.vector("second", within_s=SOON_S) is None
    examples = asyncio.create_task(service.vectors(["example"]))
    await asyncio.sleep(0)
    bench.now += 2 * SOON_S
    bench.embedder.let_go()
    assert bench.embedder.entered.acquire(timeout=GIVE_UP_S), "the worker is past the second text"
    assert await service.vector("second", within_s=GIVE_UP_S) is not None
    assert await first is not None
    await examples
    assert bench.embedder.asked == ["first", "example", "second"]


async def test_no_time_is_no_vector(bench: Bench) -> None:
    service = await bench.ready()
    assert await service.vector("a", within_s=0) is None
    assert bench.embedder.asked == []


async def test_too_many_that_wait_are_refused_at_once(bench: Bench) -> None:
    service = await bench.ready()
    first = await bench.held()
    waiting = [asyncio.create_task(service.vector(str(n), within_s=GIVE_UP_S)) for n in range(MAX_WAITING - 1)]
    await asyncio.sleep(0)
    assert bench.count("waiting") == MAX_WAITING
    assert await service.vector("one too many", within_s=GIVE_UP_S) is None
    shared = asyncio.create_task(service.vector("first", within_s=GIVE_UP_S))
    await asyncio.sleep(0)
    assert bench.count("refused") == 1, "one that shares is not one more"
    bench.embedder.let_go()
    assert all(vector is not None for vector in await asyncio.gather(first, shared, *waiting))
    assert bench.count("waiting") == 0
    assert await service.vector("one too many", within_s=GIVE_UP_S) is not None


async def test_the_memo_forgets_what_was_longest_not_asked_for(bench: Bench) -> None:
    service = await bench.ready()
    for n in range(MEMO_ENTRIES):
        await service.vector(str(n), within_s=GIVE_UP_S)
    assert service.cached("0") is not None
    await service.vector("one more", within_s=GIVE_UP_S)
    assert bench.count("remembered") == MEMO_ENTRIES
    assert service.cached("0") is not None
    assert service.cached("1") is None


async def test_a_failed_load_is_told_once_and_tried_again_after_a_while(bench: Bench) -> None:
    bench.load_error = EmbedderError("no such model")
    service = bench.service
    service.start()
    await until(lambda: service.status().state == "failed")
    assert service.status().reason == "no such model"
    bench.now += RETRY_S - 1
    assert await service.vector("a", within_s=GIVE_UP_S) is None
    assert (service.status().state, bench.loads) == ("failed", 1)

    bench.now += 1
    assert await service.vector("a", within_s=GIVE_UP_S) is None
    await until(lambda: service.status().state == "failed")
    assert bench.loads == 2

    bench.now += RETRY_S
    bench.load_error = None
    await bench.ready()
    assert await service.vector("a", within_s=GIVE_UP_S) is not None
    assert service.status().reason is None
    told = [(line["level"], line["message"]) for line in bench.logged()]
    assert told == [("error", "the embedder cannot be loaded"), ("info", "embedder ready")]


async def test_any_error_of_a_load_is_a_failed_load(bench: Bench) -> None:
    bench.load_error = ZeroDivisionError("what?")
    bench.service.start()
    await until(lambda: bench.service.status().state == "failed")
    assert bench.service.status().reason == "ZeroDivisionError: what?"


@pytest.mark.parametrize("error", [EmbedderError("out of memory"), IndexError("out of memory")])
async def test_a_text_that_cannot_be_embedded_is_no_vector_and_the_next_goes(bench: Bench, error: Exception) -> None:
    service = await bench.ready()
    bench.embedder.error = error
    assert await service.vector("a", within_s=GIVE_UP_S) is None
    assert await service.vector("b", within_s=GIVE_UP_S) is None
    bench.embedder.error = None
    assert await service.vector("a", within_s=GIVE_UP_S) is not None
    assert (bench.count("failed"), bench.count("computed"), service.status().state) == (2, 1, "ready")
    told = [line for line in bench.logged() if line["level"] == "error"]
    assert len(told) == 1
    assert "out of memory" in told[0]["reason"]


async def test_examples_wait_for_the_load(bench: Bench) -> None:
    bench.may_load.clear()
    task = asyncio.create_task(bench.service.vectors(["a", "b", "c", "d", "e"]))
    await until(lambda: bench.loads == 1)
    assert not task.done()
    bench.may_load.set()
    vectors = await task
    np.testing.assert_array_equal(vectors, np.stack([vector_of(text) for text in "abcde"]))
    assert [len(batch) for batch in bench.embedder.batches] == [CHUNK, 1]


async def test_no_examples_are_no_vectors(bench: Bench) -> None:
    assert (await bench.service.vectors([])).shape == (0, 8)


async def test_a_request_waits_for_one_chunk_of_examples_at_most(bench: Bench) -> None:
    service = await bench.ready()
    bench.embedder.hold()
    bulks = [asyncio.create_task(service.vectors([f"{bulk}{n}" for n in range(3 * CHUNK)])) for bulk in "xy"]
    await until(lambda: bench.embedder.entered.acquire(blocking=False))
    live = asyncio.create_task(service.vector("live", within_s=GIVE_UP_S))
    await asyncio.sleep(0)
    bench.embedder.let_go()
    await asyncio.gather(live, *bulks)
    assert bench.embedder.batches[1] == ["live"]


async def test_examples_fail_with_the_reason(bench: Bench) -> None:
    bench.load_error = EmbedderError("no such model")
    for _ in range(2):
        with pytest.raises(EmbedderError, match="no such model"):
            await bench.service.vectors(["a"])
    assert bench.loads == 1
    bench.now += RETRY_S
    bench.load_error = None
    bench.embedder.error = ValueError("too odd")
    with pytest.raises(EmbedderError, match="ValueError: too odd"):
        await bench.service.vectors(["a"])


async def test_examples_that_nobody_waits_for_any_more_are_left(bench: Bench) -> None:
    """Neither the load nor a chunk is in the way of whoever comes next."""
    bench.may_load.clear()
    early = asyncio.create_task(bench.service.vectors(["a"]))
    await until(lambda: bench.loads == 1)
    early.cancel()
    bench.may_load.set()
    service = await bench.ready()
    bench.embedder.hold()
    task = asyncio.create_task(service.vectors([str(n) for n in range(2 * CHUNK)]))
    await until(lambda: bench.embedder.entered.acquire(blocking=False))
    task.cancel()
    bench.embedder.let_go()
    assert (await service.vectors(["b"])).shape == (1, 8)
    assert len(bench.embedder.batches) == 2


async def test_close_lets_everybody_go(bench: Bench) -> None:
    service = await bench.ready()
    first = await bench.held()
    second = asyncio.create_task(service.vector("second", within_s=GIVE_UP_S))
    bulk = asyncio.create_task(service.vectors(["a", "b"]))
    next_bulk = asyncio.create_task(service.vectors(["c"]))
    await asyncio.sleep(0)
    service.close()
    assert await asyncio.gather(first, second) == [None, None]
    for task in (bulk, next_bulk):
        with pytest.raises(EmbedderError, match="closed"):
            await task
    bench.embedder.let_go()
    assert bench.embedder.asked == ["first"]
    assert await service.vector("third", within_s=GIVE_UP_S) is None
    assert service.status().state == "off"
    service.close()


async def test_close_amid_the_load(bench: Bench) -> None:
    bench.may_load.clear()
    task = asyncio.create_task(bench.service.vectors(["a"]))
    await until(lambda: bench.loads == 1)
    bench.service.close()
    with pytest.raises(EmbedderError, match="closed"):
        await task
    bench.may_load.set()
    await until(lambda: not workers())
    assert bench.service.status().state == "off"


async def test_none_is_off() -> None:
    service = EmbeddingService(EmbedderSettings("none"), Log())
    service.start()
    assert await service.vector("a", within_s=GIVE_UP_S) is None
    assert service.cached("a") is None
    with pytest.raises(EmbedderError, match="no embedder is configured"):
        await service.vectors(["a"])
    assert service.status().state == "off"
    service.close()


async def test_any_text_has_a_place_in_the_memo(bench: Bench) -> None:
    service = await bench.ready()
    for text in ("", "\ud800", "\x00", "🎉" * 10_000):
        assert service.cached(text) is None
        assert await service.vector(text, within_s=GIVE_UP_S) is not None
        assert service.cached(text) is not None
