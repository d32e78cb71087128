"""What must hold after every request, whatever went wrong: each is settled once, nothing is held, nothing is told."""

from __future__ import annotations

import json
from collections.abc import Iterable

from routing.health import Standing
from tests.support.baseline import gone
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

CANARY = "canary"  # in every key, and in every prompt
_TELLING_PATHS = ("/api/decisions?limit=1000", "/api/stats", "/api/workers", "/api/health", "/v1/models")


async def assert_settled(gateway: Gateway, asked: int, outputs: Iterable[bytes | str]) -> None:
    """`asked`: requests so far. `outputs`: all that clients were given, headers included."""
    await gateway.settled()
    stats, decisions = gateway.app.telemetry.stats, gateway.app.telemetry.decisions
    assert (stats.total, stats.active, stats.completed + stats.failed) == (asked, 0, asked)
    assert len(decisions) == asked, "each request is settled once, under an id of its own"
    _assert_given_back(gateway)
    await _assert_untold(gateway, outputs)


def _assert_given_back(gateway: Gateway) -> None:
    runtime = gateway.app.runtime
    state = runtime.state
    assert gateway.leases() == 0
    names = [candidate.name for provider in runtime.graph.providers.values() for candidate in provider.candidates]
    assert [name for name in names if state.load.in_flight(name)] == []
    assert (state.retries.active, state.retries.retrying) == (0, 0)
    health = state.health.snapshot(0.0)
    assert [record.name for record in health if record.standing is Standing.PROBING] == []
    assert gateway._listener._front._budget.held_bytes == 0


async def _assert_untold(gateway: Gateway, outputs: Iterable[bytes | str]) -> None:
    """No key and no prompt in anything that leaves the process."""
    told = [output.encode() if isinstance(output, str) else output for output in outputs]
    for path in _TELLING_PATHS:
        async with gateway.client.get(path) as response:
            told.append(await response.read())
    gateway.log.stop()
    told.append(gateway.logged.getvalue().encode())
    told.append(json.dumps([repr(gateway.app.runtime), repr(gateway.app.runtime.providers)]).encode())
    for output in told:
        where = output.find(CANARY.encode())
        assert where < 0, output[max(0, where - 200) : where + 100]


async def hung_up(upstreams: Iterable[Upstream]) -> None:
    """Until no connection to these is open. Raises AssertionError after a second."""
    watched = list(upstreams)
    await gone(lambda: [f"{each.open_connections} connection(s)" for each in watched if each.open_connections])
