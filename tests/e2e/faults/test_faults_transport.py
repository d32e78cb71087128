"""Faults of the way to an upstream: before the commit they move on unseen, after it the answer is cut and says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.fault_table import fault
from tests.support.ports import dead_url, silent_url
from tests.support.scene import SOUND, Case, Scene, cases, cuts, moves_on
from tests.support.upstream import Upstream
from tests.support.upstream_http import Connection
from tests.support.upstream_replies import Reply, close, json_head, raw, reset, stall
from tests.support.wires import OPENAI, TEXT

SHORT, LONG = "150ms", "30s"


def slow(case: Case) -> dict[str, Any]:
    """The limit that counts is short; the one that is for the other kind of answer must not matter."""
    mine, other = ("first_token", "response") if case.stream else ("response", "first_token")
    return {"timeouts": {mine: SHORT, other: LONG, "idle": LONG}}


# No connection


@fault(1)
async def test_a_refused_connection_moves_on() -> None:
    async with Scene(url=dead_url()) as scene:
        await moves_on(scene, "connect")


@fault(2)
async def test_a_connect_that_nobody_answers_moves_on_in_time() -> None:
    with silent_url() as url:
        async with Scene(url=url, settings={"timeouts": {"connect": "60ms"}}) as scene:
            await moves_on(scene, "connect")


@fault(3)
async def test_a_host_without_an_address_moves_on() -> None:
    async with Scene(url="http://nobody.invalid:8080") as scene:
        await moves_on(scene, "connect")


@fault(4)
async def test_an_untrusted_certificate_moves_on_and_learns_nothing() -> None:
    async with Upstream(OPENAI.speaking(), certificate_for="127.0.0.1") as upstream:
        async with Scene(url=upstream.url) as scene:
            await moves_on(scene, "connect")
        assert upstream.requests == []


@fault(4)
async def test_a_tls_handshake_that_stalls_moves_on_without_a_downgrade() -> None:
    async with Upstream(OPENAI.speaking()) as upstream:
        url = upstream.url.replace("http:", "https:")
        async with Scene(url=url, settings={"timeouts": {"connect": "60ms"}}) as scene:
            await moves_on(scene, "connect")
        assert upstream.requests == []


# No answer


@fault(5)
@pytest.mark.parametrize("reply", [faults.RESET, faults.CLOSE], ids=["reset", "closed"])
async def test_a_connection_lost_before_the_answer_moves_on(reply: Reply) -> None:
    async with Scene(lambda case: reply) as scene:
        await moves_on(scene, "broken")


@fault(6)
@pytest.mark.parametrize("ending", [close, reset])
async def test_a_stale_connection_is_invisible_and_costs_one_budgeted_retry(ending: replies.Action) -> None:
    def script(case: Case) -> Any:
        speaks, gone = case.wire.speaking(), raw(ending)
        return lambda request: gone if request.number == 1 else speaks(request)

    async with Scene(script) as scene:
        for told in await scene.ask():
            told.was_whole(TEXT)
        for case in scene.cases:
            (told,) = await scene.ask(only=[case])
            told.was_whole(TEXT)
            name = scene.name(case)
            assert told.attempts == [(name, "stale_connection"), (name, "ok")], told
            assert told.decision["attempts"][0]["next"] == "retry", told
            told.blames(None)
            assert len(scene.upstream(case).connections) == 2
        assert not scene.sound.requests


@fault(6)
async def test_a_burst_of_stale_connections_beyond_the_retry_budget_goes_to_the_next_candidate() -> None:
    def script(case: Case) -> Any:
        speaks = case.wire.speaking()
        return lambda request: raw(close) if request.nth_on_connection else speaks(request)

    async with Scene(script, sections={"retries": {"attempts": 2, "backoff": "1ms", "budget": "0%"}}) as scene:
        await scene.ask()
        burst = await scene.ask()
        retried = [told for told in burst if told.attempts[-1][0] != SOUND]
        assert 0 < len(retried) <= len(burst)
        for told in burst:
            assert told.view.whole, told
            assert [kind for _, kind in told.attempts] == ["stale_connection", "ok"], told
            told.blames(None)


@fault(7)
async def test_no_headers_in_time_moves_on() -> None:
    async with Scene(lambda case: faults.BLACK_HOLE, settings=slow) as scene:
        await moves_on(scene, "timeout")
        await scene.hung_up()


@fault(8)
@pytest.mark.parametrize("opened", [False, True], ids=["headers", "first frame"])
async def test_silence_after_the_headers_moves_on(opened: bool) -> None:
    def script(case: Case) -> Reply:
        if not case.stream:
            return raw(json_head(1000) + case.wire.body()[: 10 if opened else 0], stall)
        return case.wire.streamed(*(case.wire.opening if opened else ()), stall)

    async with Scene(script, settings=slow) as scene:
        await moves_on(scene, "timeout")
        await scene.hung_up()


@fault(9)
async def test_silence_in_mid_stream_cuts() -> None:
    settings = {"timeouts": {"idle": SHORT}}
    async with Scene(
        lambda case: case.wire.streamed(*case.wire.frames(), stall), cases(stream=True), settings=settings
    ) as scene:
        await cuts(scene, TEXT, "timeout")


@fault(9)
async def test_silence_in_mid_json_moves_on() -> None:
    def script(case: Case) -> Reply:
        return raw(json_head(len(case.wire.body())) + case.wire.body()[:-1], stall)

    async with Scene(script, cases(stream=False), settings=slow) as scene:
        await moves_on(scene, "timeout")
        await scene.hung_up()


async def _drip(connection: Connection) -> None:
    """Spaces and line ends, which say nothing on any wire, for as long as anybody listens."""
    while not connection.ended:
        await connection.send(replies.chunk(b" \n"))
        await asyncio.sleep(0.02)


@fault(10)
async def test_a_drip_after_content_is_cut_at_the_deadline() -> None:
    async with Scene(
        lambda case: case.wire.streamed(*case.wire.frames(), _drip),
        cases(stream=True),
        settings={"timeouts": {"idle": "10s"}},
    ) as scene:
        for told in await scene.ask(headers={"x-cortex-timeout": "300ms"}):
            told.was_cut(TEXT, "deadline", code="deadline_exceeded")
            told.blames(None)
        await scene.hung_up()


@fault(10)
async def test_a_drip_before_content_is_a_504_at_the_deadline_and_another_candidate_before_it() -> None:
    def script(case: Case) -> Reply:
        if case.stream:
            return case.wire.streamed(*case.wire.opening, _drip)
        return replies.stream(case.wire.body()[:10], _drip, content_type="application/json")

    async with Scene(script, settings=slow) as scene:
        for told in await scene.ask(alone=True, headers={"x-cortex-timeout": "100ms"}):
            told.was_refused(504, "deadline_exceeded", "deadline")
            told.blames(None)
        await moves_on(scene, "timeout")
        await scene.hung_up()
