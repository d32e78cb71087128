"""Answers that HTTP finds nothing wrong with: errors that come with 200, empty ones, and ends that are none."""

from __future__ import annotations

import asyncio

from tests.support import upstream_replies as replies
from tests.support.clients import API_CHAT, OPENAI
from tests.support.fault_table import fault
from tests.support.scene import Case, Scene, alike, cases, cuts, moves_on
from tests.support.upstream_replies import Reply, Step, close, stall
from tests.support.wires import OPENAI as OPENAI_WIRE
from tests.support.wires import TEXT, WIRES

MARKED = tuple(wire for wire in WIRES if wire.marker)
CALLING = tuple(wire for wire in WIRES if wire.cut_call is not None)


@fault(20)
async def test_an_error_that_comes_with_200_moves_on() -> None:
    """Also for a stream: the answer to it is JSON then."""
    async with Scene(lambda case: replies.json(case.wire.error("The server had an error", ""))) as scene:
        await moves_on(scene, "server_error", "overloaded", "invalid_response")


@fault(21)
async def test_a_page_instead_of_an_answer_moves_on() -> None:
    async with Scene(lambda case: replies.html("<html><body>Welcome</body></html>")) as scene:
        await moves_on(scene, "invalid_response", "broken")


@fault(21)
async def test_an_answer_with_nothing_in_it_moves_on() -> None:
    """Whole or streamed, and as the JSON answer to a stream."""

    def played(stream: bool) -> list[Case]:
        variants = [(wire, value) for wire in WIRES for value in wire.hollow]
        return [case for case in cases(stream=stream, variants=variants) if case.variant[0] is case.wire]

    kinds = ("invalid_response", "broken", "server_error")
    async with Scene(lambda case: replies.json(case.variant[1]), [*played(False), *played(True)]) as scene:
        await moves_on(scene, *kinds)
    async with Scene(lambda case: case.wire.streamed(case.wire.frame(case.variant[1])), played(True)) as scene:
        await moves_on(scene, *kinds)


@fault(21)
async def test_an_empty_body_moves_on() -> None:
    def script(case: Case) -> Reply:
        return case.wire.streamed() if case.stream else replies.body(b"", content_type="application/json")

    async with Scene(script) as scene:
        await moves_on(scene, "invalid_response", "broken")


@fault(22)
async def test_an_error_before_any_content_moves_on() -> None:
    """The first event, or after frames that say nothing yet."""

    def script(case: Case) -> Reply:
        before = case.wire.opening if case.variant else ()
        return case.wire.streamed(*before, case.wire.error_frame("The model is overloaded"), stall)

    async with Scene(script, cases(stream=True, variants=(False, True))) as scene:
        await moves_on(scene, "overloaded", "server_error", "broken")
        await scene.hung_up()


@fault(23)
async def test_an_error_in_mid_stream_cuts() -> None:
    def script(case: Case) -> Reply:
        wire = case.wire
        return wire.streamed(*wire.frames(), wire.error_frame("The model is overloaded"), *wire.ending, stall)

    async with Scene(script, cases(stream=True)) as scene:
        await cuts(scene, TEXT, "overloaded", "server_error", "broken")


@fault(24)
async def test_an_end_without_the_terminal_marker_cuts() -> None:
    """However clean the end of HTTP is, and however much of the ending has come."""

    def script(case: Case) -> Reply:
        return case.wire.streamed(*case.wire.frames(), *case.wire.ending[: case.variant], framing="close")

    longest = max(len(wire.ending) for wire in WIRES)
    variants = range(longest)
    played = [case for case in cases(stream=True, variants=variants) if case.variant < len(case.wire.ending)]
    async with Scene(script, played) as scene:
        await cuts(scene, TEXT, "broken")


@fault(24)
async def test_openai_s_marker_counts_without_its_blank_line() -> None:
    def script(case: Case) -> Reply:
        *ending, marker = OPENAI_WIRE.ending
        return case.wire.streamed(*case.wire.frames(), *ending, marker.rstrip() + case.variant)

    played = cases(stream=True, wires=[OPENAI_WIRE], variants=(b"", b"\n", b"\r\n"))
    async with Scene(script, played) as scene:
        for told in await scene.ask():
            told.was_whole(TEXT)


@fault(25)
async def test_a_finish_that_says_aborted_cuts() -> None:
    def script(case: Case) -> Reply:
        return case.wire.streamed(*case.wire.frames(), *case.variant, stall)

    played = [case for wire in WIRES for case in cases(stream=True, wires=[wire], variants=wire.aborted)]
    assert played
    async with Scene(script, played) as scene:
        await cuts(scene, TEXT, "broken", "invalid_response", "server_error", "overloaded")


@fault(26)
async def test_a_tool_call_that_is_cut_is_never_completed() -> None:
    """Who gets pieces gets an error after them; who gets whole calls gets none, and so another candidate's answer."""

    def script(case: Case) -> Reply:
        assert case.wire.cut_call is not None
        return case.wire.streamed(*case.wire.cut_call, stall)

    async with Scene(script, cases(stream=True, wires=CALLING, clients=[OPENAI])) as scene:
        for told in await scene.ask():
            told.was_cut("", "broken")
            told.blames("candidate")
            assert "".join(call["function"].get("arguments") or "" for call in told.view.tool_calls) == '{"city":"Os'
        await scene.hung_up()
    async with Scene(script, cases(stream=True, wires=CALLING, clients=[API_CHAT])) as scene:
        await moves_on(scene, "broken")
        await scene.hung_up()


@fault(27)
async def test_an_answer_without_usage_is_a_success_and_its_usage_an_estimate() -> None:
    def script(case: Case) -> Reply:
        wire = case.wire
        if case.stream:
            return wire.streamed(*wire.frames(), *wire.ending_without_usage)
        return replies.json(wire.without_usage(TEXT))

    async with Scene(script) as scene:
        told = await scene.ask()
        for each in told:
            each.was_whole(TEXT)
            assert each.decision["usage"]["estimated"], each
            assert each.decision["usage"]["completion_tokens"] == -(-len(TEXT.encode()) // 4), each
            if each.case.client is API_CHAT:
                assert each.view.usage["estimated"], each
        alike(told)


@fault(28)
async def test_bytes_after_the_marker_are_nobody_s_and_cost_the_connection() -> None:
    """At once, or after a while: the answer is whole, and the connection is not used again."""

    def script(case: Case) -> Reply:
        wire, late = case.wire, case.variant
        ghost: tuple[Step, ...] = (wire.token("ghost"), stall)
        return wire.streamed(*wire.frames(), *wire.ending, *((replies.pause(0.05),) if late else ()), *ghost)

    async with Scene(script, cases(stream=True, wires=MARKED, variants=(False, True))) as scene:
        for told in await scene.ask():
            told.was_whole(TEXT)
            told.blames(None)
        await scene.hung_up()


@fault(28)
async def test_a_body_that_does_not_end_after_the_marker_keeps_no_client_waiting() -> None:
    """Its end is waited for, so that the connection can be used again, but not by the client."""

    def script(case: Case) -> Reply:
        return case.wire.streamed(*case.wire.frames(), *case.wire.ending, stall)

    async with Scene(script, cases(stream=True, wires=MARKED)) as scene:
        views = await asyncio.gather(*map(scene.view, scene.cases))
        assert scene.gateway.app.telemetry.stats.active, "every client has its answer before its upstream is let go"
        assert all(view.whole for view in views)
        await scene.gateway.settled()
        await scene.hung_up()


@fault(28)
async def test_an_upstream_that_closes_after_the_marker_is_a_success() -> None:
    async with Scene(
        lambda case: case.wire.streamed(*case.wire.frames(), *case.wire.ending, close), cases(stream=True, wires=MARKED)
    ) as scene:
        for told in await scene.ask():
            told.was_whole(TEXT)
            told.blames(None)
