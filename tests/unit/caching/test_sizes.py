"""What entries are said to take is what they take: by the allocator's own account, over thousands of them."""

from __future__ import annotations

import base64
import gc
import json
import random
import tracemalloc
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cache.key import Keys
from cache.store import Bounds, Store
from cortex.caching.answer import Answer, Origin, bare
from cortex.caching.repeats import MAX_BODIES_BYTES, Repeats
from cortex.caching.vectors import KeptVector, packed
from cortex.chat import ChatRequest, Usage
from cortex.dialects.openai import OpenAIDialect
from cortex.operation import Chat, Operation
from cortex.providers import CODECS
from cortex.providers.codec import Model
from cortex.relay import Tally
from cortex.server.ids import new_request_id
from routing.demand import Demand
from routing.graph import Candidate
from tests.support import upstream_openai as openai

ENTRIES = 2000
WITHIN = 0.10
ROOM = Bounds(10_000, 1 << 30, 1 << 30)
CANDIDATE = Candidate("a", "test-model")
ROUTE = ("chat",)
CODEC = CODECS["openai_compatible"]()
KEYS = Keys(b"secret").scope("chat")


@contextmanager
def taken() -> Iterator[list[int]]:
    """Bytes that were allocated in the block and are held after it; one number, at the end."""
    found: list[int] = []
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield found
        gc.collect()
        found.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


def lengths() -> list[int]:
    """Of realistic answers: most are short."""
    rng = random.Random(1)
    return [int(500 * 40 ** rng.betavariate(1, 2)) for _ in range(ENTRIES)]


def whole(length: int) -> bytes:
    return json.dumps(openai.completion("é" + "x" * length)).encode()


def streamed(length: int) -> bytes:
    """About so long in all: a frame takes 200 bytes around its token."""
    frames = openai.chunks(["word "] * max(1, length // 200), usage=openai.usage())
    return b"".join(f"data: {frame}\n\n".encode() for frame in frames)


def asking(**members: Any) -> tuple[ChatRequest, Operation]:
    request = OpenAIDialect().parse(json.dumps({"messages": [{"role": "user", "content": "hi"}], **members}).encode())
    return request, Chat(request, OpenAIDialect(), Demand(1, request.stream), b"")


def answer(data: bytes, *, stream: bool) -> Answer:
    """As one attempt leaves it."""
    request, _ = asking(stream=stream)
    call = bare(CODEC.encode_chat(request, Model("test-model", None, None, "a/test-model")))
    usage = Usage(random.randrange(300, 9000), random.randrange(300, 9000))
    tally = Tally("".join(["test", "-model"]), "stop", usage, complete=True, frames=random.randrange(300, 900))
    origin = Origin(CODEC, call, CANDIDATE, ROUTE, stream, new_request_id(), 1_764_000_000 + len(data), 1000)
    return Answer(origin, data, tally, "chat")


def assert_true(store: Store[Any], held: int) -> None:
    assert len(store) == ENTRIES
    assert abs(store.size_bytes / held - 1) <= WITHIN, f"said to be {store.size_bytes}, and takes {held}"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_answers_take_what_they_are_said_to(stream: bool) -> None:
    make: Callable[[int], bytes] = streamed if stream else whole
    sizes = lengths()
    with taken() as held:
        store: Store[Answer] = Store(ROOM)
        for number, length in enumerate(sizes):
            key = KEYS.digest(b'{"n":%d}' % number, ())
            store.put(key, answer(make(length), stream=stream), float(number), 3600.0)
    assert_true(store, held[0])


@pytest.mark.parametrize("form", [{"stream": False}, {"stream": True}], ids=["as JSON", "as a stream"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_so_do_answers_that_were_given_in_another_form(stream: bool, form: dict[str, Any]) -> None:
    make: Callable[[int], bytes] = streamed if stream else whole
    _, operation = asking(**form)
    sizes = lengths()
    answer(make(500), stream=stream).render(operation, "warm")
    with taken() as held:
        store: Store[Answer] = Store(ROOM)
        for number, length in enumerate(sizes):
            key = KEYS.digest(b'{"n":%d}' % number, ())
            store.put(key, answer(make(length), stream=stream), float(number), 3600.0)
            entry = store.get(key, float(number))
            assert entry is not None
            entry.value.render(operation, "req")
            store.grown(key, entry.value)
    assert_true(store, held[0])


def _floats(rng: random.Random, size: int) -> Sequence[float] | str:
    return array("d", rng.randbytes(8 * size)).tolist()


def _base64(rng: random.Random, size: int) -> Sequence[float] | str:
    return base64.b64encode(rng.randbytes(4 * size)).decode()


@pytest.mark.parametrize("make", [_floats, _base64], ids=["numbers", "base64"])
@pytest.mark.parametrize("size", [256, 1536])
def test_vectors_take_what_they_are_said_to(make: Callable[[random.Random, int], Any], size: int) -> None:
    rng = random.Random(1)
    with taken() as held:
        store: Store[KeptVector] = Store(ROOM)
        for number in range(ENTRIES):
            value = KeptVector(
                CANDIDATE, ROUTE, "chat", "".join(["test", "-model"]), packed(make(rng, size)), 300 + number
            )
            store.put(KEYS.part(b"x", str(number)), value, float(number), 3600.0)
    assert_true(store, held[0])


@pytest.mark.parametrize("size", [1, 400, 8000])
def test_remembered_requests_take_no_more_than_they_may(size: int) -> None:
    """However short they are."""
    rng = random.Random(1)
    with taken() as held:
        repeats = Repeats()
        for number in range(3 * ENTRIES):
            content = f"{number} {'x' * rng.randint(0, 2 * size)}"
            body = json.dumps({"messages": [{"role": "user", "content": content}], "temperature": 0.5}).encode()
            request = OpenAIDialect().parse(body)
            chat = Chat(request, OpenAIDialect(), Demand(1, stream=False), body)
            chat.digests[KEYS, (None, None, "client")] = KEYS.digest(body, ())
            repeats.add(chat)
        del body, request, chat
    assert abs(repeats.size_bytes / held[0] - 1) <= 0.2, f"said to be {repeats.size_bytes}, and takes {held[0]}"
    assert repeats.size_bytes <= MAX_BODIES_BYTES
