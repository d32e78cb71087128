"""The two fixtures of most tests of a provider: a scripted upstream, and Cortex before it.

upstream = an_upstream(reply)
gateway = a_gateway(lambda url: {"providers": {"chat": provider(url)}})
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.upstream import Script, Upstream


def an_upstream(script: Script) -> Any:
    @pytest.fixture
    async def upstream() -> AsyncIterator[Upstream]:
        async with Upstream(script) as each:
            yield each

    return upstream


def a_gateway(config: Callable[[str], Mapping[str, Any]]) -> Any:
    """`config` makes the content of a cortex.yaml with the URL of the fixture `upstream`."""

    @pytest.fixture
    async def gateway(upstream: Upstream) -> AsyncIterator[Gateway]:
        async with Gateway(config(upstream.url)) as each:
            yield each

    return gateway
