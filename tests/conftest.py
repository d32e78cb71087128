"""For all tests: a test that leaves a task, a socket or a pipe behind fails.

Event loops: tests run on asyncio's own. A module about sockets runs on uvloop's too, which the product uses:

    pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import uvloop
from hypothesis import settings
from pytest_asyncio import is_async_test

from cortex.upstream.transport import HttpTransport
from tests.support.baseline import SETTLE_S, Baseline, gone, open_descriptors, other_tasks

settings.register_profile("cortex", deadline=None)  # a busy machine is no failure
settings.load_profile("cortex")

_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    marker = item.get_closest_marker("asyncio")
    return _LOOPS if marker is not None and "loop_factories" in marker.kwargs else {"asyncio": _LOOPS["asyncio"]}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and is_async_test(item):
            # First of the test's own fixtures, hence the last to be torn down.
            item.fixturenames.insert(0, "no_leaked_tasks")


@pytest.fixture(autouse=True)
def no_leaked_descriptors() -> Iterator[None]:
    before = open_descriptors()
    yield
    give_up = time.monotonic() + SETTLE_S
    while open_descriptors() - before and time.monotonic() < give_up:
        gc.collect()  # what only garbage still holds is reported as a ResourceWarning instead
        time.sleep(0.005)
    left = open_descriptors() - before
    if left:
        pytest.fail(f"the test left descriptors open: {', '.join(left.elements())}")


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    before = other_tasks()
    yield
    await gone(lambda: [repr(task) for task in other_tasks() - before])


@pytest.fixture
async def baseline() -> Baseline:
    """Tasks and descriptors as they were when the test began: `await baseline.restored()`."""
    return Baseline()


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    """The real HTTP client, closed after the test."""
    transport = HttpTransport()
    yield transport
    await transport.close()
