"""What many requests do together: nobody stampedes a candidate that recovers, nobody multiplies attempts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from routing.health import Standing
from tests.support.clients import OPENAI
from tests.support.fault_table import fault
from tests.support.gateway import Gateway
from tests.support.invariants import assert_settled
from tests.support.scene import KEYS, Case, Scene, cases
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply, raw, stall, until
from tests.support.wires import WIRES

HERD = 40


def calls(upstreams: Sequence[Upstream]) -> int:
    return sum(len(upstream.requests) for upstream in upstreams)


async def half_open(scene: Scene, case: Case) -> None:
    """Until its ejection is over, and the next call is its probe."""
    health, name = scene.gateway.app.runtime.state.health, scene.target(case, alone=True)
    async with asyncio.timeout(5):
        while health.standing(name, asyncio.get_running_loop().time()) is not Standing.HALF_OPEN:
            await asyncio.sleep(0.005)


@fault(56)
@pytest.mark.parametrize("recovered", [True, False], ids=["recovers", "still ill"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
async def test_a_herd_sends_one_probe_to_a_candidate_that_may_have_recovered(stream: bool, recovered: bool) -> None:
    """All the others are served by the next candidate, while the probe is on its way and without waiting for it."""
    answer = asyncio.Event()

    def script(case: Case) -> Any:
        failing = case.wire.refusal(500, "The server had an error")
        good = case.wire.stream() if case.stream else case.wire.answer("ok")

        def reply(request: Request) -> Reply:
            if request.number == 0:
                return failing
            return raw(until(answer), *(good if recovered else failing).steps)

        return reply

    sections = {"health": {"eject_after": 1, "eject_for": "100ms"}}
    played = cases(stream=stream, clients=[OPENAI])
    async with Scene(script, played, sections=sections) as scene:
        for told in await scene.ask():
            told.moved_on("server_error")
        for case in played:
            await half_open(scene, case)
        herd = [asyncio.create_task(scene.view(case)) for case in played for _ in range(HERD)]
        done = 0
        async with asyncio.timeout(10):
            while done < len(herd) - len(played):
                done = sum(task.done() for task in herd)
                await asyncio.sleep(0.005)
        assert [len(scene.upstream(case).requests) for case in played] == [2] * len(played), "one probe each"
        answer.set()
        views = await asyncio.gather(*herd)
        assert all(view.whole for view in views)
        await scene.gateway.settled()
        ejections = {told.name: told.ejections for told in scene.gateway.app.runtime.state.health.snapshot(0)}
        for case in played:
            assert ejections.get(scene.target(case, alone=True), 0) == (0 if recovered else 2), case


@fault(56)
async def test_a_probe_whose_client_leaves_makes_way_for_the_next() -> None:
    def script(case: Case) -> Any:
        first_two = [case.wire.refusal(500, "The server had an error"), raw(stall)]
        speaks = case.wire.speaking(["hi"])
        return lambda request: first_two[request.number] if request.number < 2 else speaks(request)

    sections = {"health": {"eject_after": 1, "eject_for": "50ms"}}
    async with Scene(script, cases(clients=[OPENAI]), sections=sections) as scene:
        await scene.ask()
        for case in scene.cases:
            await half_open(scene, case)
        probes = [asyncio.create_task(scene.view(case)) for case in scene.cases]
        await asyncio.gather(*(scene.upstream(case).wait_requests(2) for case in scene.cases))
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await scene.gateway.settled()
        for told in await scene.ask():
            told.was_whole("hi")


@fault(57)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("attempts", [1, 3, 7])
async def test_keys_retries_failovers_and_nesting_never_make_more_calls_than_allowed(
    attempts: int, stream: bool
) -> None:
    """Three keys at each candidate, each of which fails in its own way, in cascades within cascades."""
    failures = (
        (429, "Rate limit reached"),
        (500, "broken"),
        (401, "no such key"),
        (503, "busy"),
        (404, "no model"),
        (529, "busy"),
    )
    async with contextlib.AsyncExitStack() as stack:
        upstreams = [
            await stack.enter_async_context(Upstream(wire.refusal(status, message)))
            for wire, (status, message) in zip(WIRES, failures, strict=True)
        ]
        bad = {
            f"p{number}": {
                "type": wire.type,
                "base_url": upstream.url + wire.base_path,
                "keys": list(KEYS),
                "models": [wire.model],
            }
            for number, (wire, upstream) in enumerate(zip(WIRES, upstreams, strict=True))
        }
        names = list(bad)
        nodes = {
            "inner": {"cascade": names[::-1]},
            "middle": {"balance": {"strategy": "round_robin", "targets": [*names, "inner"]}},
            "outer": {"cascade": ["middle", *names, "inner"]},
        }
        retries = {"attempts": attempts, "backoff": "1ms", "budget": "100%"}
        async with Gateway({"providers": bad, "models": nodes, "retries": retries}) as gateway:
            body = OPENAI.body("outer", stream=stream)
            for asked in range(1, 4):
                before = calls(upstreams)
                async with gateway.client.post(OPENAI.path, json=body) as response:
                    view = OPENAI.read(response.status, response.headers, await response.read())
                assert view.error, "nobody can answer"
                await gateway.settled()
                assert calls(upstreams) - before == len(view.error.get("attempts", [])) <= attempts
                assert int(view.headers["x-cortex-attempts"]) == calls(upstreams) - before
                if asked == 1:
                    assert calls(upstreams) == attempts, "as many as are allowed"
            await assert_settled(gateway, 3, [])
