"""What a request leaves behind: nothing that only the garbage collector could free. A busy process would grow by it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support import upstream_replies as replies
from tests.support.gateway import Gateway, cascade, leaving
from tests.support.upstream import Upstream

REQUESTS = 20
BROKEN = replies.json(openai.error("boom"), status=500)

Ask = Callable[[Gateway], Awaitable[object]]


@contextlib.contextmanager
def unreachable() -> Iterator[Counter[str]]:
    """Cortex's own objects that were left in cycles, by type; filled in at the end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith("cortex"))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def whole(gateway: Gateway) -> None:
    await gateway.chat()


async def streamed(gateway: Gateway) -> None:
    await gateway.stream()


async def unknown(gateway: Gateway) -> None:
    await gateway.chat({"model": "nobody"})


async def left(gateway: Gateway) -> None:
    async with leaving(gateway, {}):
        await asyncio.sleep(0.02)  # somewhere in the middle, whatever it is
    await gateway.settled()


@pytest.mark.parametrize(
    ("reply", "ask"),
    [
        (openai.speaking(["a", " b"]), whole),
        (openai.speaking(["a", " b"]), streamed),
        (openai.speaking(["a", " b"]), unknown),
        (BROKEN, whole),
        (BROKEN, streamed),
        (faults.cut_stream(), streamed),
        (faults.stalled_stream(), left),
    ],
    ids=["whole", "streamed", "unknown model", "failed over", "failed over to a stream", "cut", "left"],
)
async def test_a_request_leaves_no_cycles(reply: replies.Reply, ask: Ask) -> None:
    async with Upstream(reply) as first, Upstream(openai.speaking(["c"])) as second:
        config = {**cascade(first.url, second.url), "health": {"eject_after": 1000}}
        async with Gateway(config) as gateway:
            await ask(gateway)  # whatever is made once
            with unreachable() as found:
                for _ in range(REQUESTS):
                    await ask(gateway)
                await gateway.settled()
    assert sum(found.values()) < REQUESTS, found
