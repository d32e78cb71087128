"""Faults of the way to an upstream: before the commit they move on unseen, after it the answer is cut and says so."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import tracemalloc
import zlib
from random import Random
from typing import Any

import pytest

from cortex.dispatch import MAX_ANSWER_BYTES
from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.clients import CLIENTS
from tests.support.fault_table import fault
from tests.support.ports import dead_url, silent_url
from tests.support.scene import SOUND, Case, Scene, alike, cases, cuts, moves_on
from tests.support.upstream import Upstream
from tests.support.upstream_http import Connection
from tests.support.upstream_replies import Reply, Step, close, head, raw, reset, stall
from tests.support.wires import OPENAI, TOKENS

TEXT = "".join(TOKENS)
SHORT, LONG = "150ms", "30s"


def slow(case: Case) -> dict[str, Any]:
    """The limit that counts is short; the one that is for the other kind of answer must not matter."""
    mine, other = ("first_token", "response") if case.stream else ("response", "first_token")
    return {"timeouts": {mine: SHORT, other: LONG, "idle": LONG}}


def whole(case: Case) -> bytes:
    return json.dumps(case.wire.whole(TEXT)).encode()


def json_head(length: int | None = None, **headers: str) -> bytes:
    framing = {"Connection": "close"} if length is None else {"Content-Length": str(length)}
    return head(200, {"Content-Type": "application/json", **framing, **headers})


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
            return raw(json_head(1000) + whole(case)[: 10 if opened else 0], stall)
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
        return raw(json_head(len(whole(case))) + whole(case)[:-1], stall)

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
        return replies.stream(whole(case)[:10], _drip, content_type="application/json")

    async with Scene(script, settings=slow) as scene:
        for told in await scene.ask(alone=True, headers={"x-cortex-timeout": "100ms"}):
            told.was_refused(504, "deadline_exceeded", "deadline")
            told.blames(None)
        await moves_on(scene, "timeout")
        await scene.hung_up()


# Cut bodies

ENDINGS = pytest.mark.parametrize("ending", [close, reset], ids=["fin", "rst"])


@fault(11)
@ENDINGS
async def test_a_chunked_stream_that_is_cut_says_so(ending: Step) -> None:
    async with Scene(lambda case: case.wire.streamed(*case.wire.frames(), ending), cases(stream=True)) as scene:
        await cuts(scene, TEXT, "broken")


@fault(11)
@ENDINGS
async def test_chunked_json_that_is_cut_moves_on(ending: Step) -> None:
    """Even where all of the JSON has come: the last chunk is what says so."""

    def script(case: Case) -> Reply:
        sent = whole(case)[: case.variant]
        return replies.stream(sent, ending, content_type="application/json")

    async with Scene(script, cases(stream=False, variants=(-5, None))) as scene:
        await moves_on(scene, "broken")


@fault(12)
@ENDINGS
async def test_a_body_shorter_than_its_length_is_never_passed_on(ending: Step) -> None:
    def script(case: Case) -> Reply:
        return raw(json_head(len(whole(case)) + 10) + whole(case), ending)

    async with Scene(script, cases(stream=False)) as scene:
        await moves_on(scene, "broken")


@fault(12)
async def test_a_stream_shorter_than_its_length_is_cut() -> None:
    def script(case: Case) -> Reply:
        *sent, _ = case.wire.streamed(*case.wire.frames(), b"the rest", framing="length").steps
        return raw(*sent, close)

    async with Scene(script, cases(stream=True)) as scene:
        await cuts(scene, TEXT, "broken")


@fault(13)
@ENDINGS
async def test_a_stream_without_framing_that_is_cut_says_so(ending: Step) -> None:
    """HTTP cannot tell: only the provider's own end marker can."""

    def script(case: Case) -> Reply:
        return case.wire.streamed(*case.wire.frames(), ending, framing="close")

    async with Scene(script, cases(stream=True)) as scene:
        await cuts(scene, TEXT, "broken")


@fault(13)
@ENDINGS
async def test_json_without_framing_that_is_cut_moves_on(ending: Step) -> None:
    async with Scene(lambda case: raw(json_head() + whole(case)[:-1], ending), cases(stream=False)) as scene:
        await moves_on(scene, "invalid_response", "broken")


# Bad framing


@fault(14)
@pytest.mark.parametrize(
    "reply", [faults.BAD_STATUS_LINE, faults.NOT_HTTP, faults.HALF_A_HEAD, faults.both_lengths({})]
)
async def test_an_answer_that_is_not_http_moves_on(reply: Reply) -> None:
    async with Scene(lambda case: reply) as scene:
        await moves_on(scene, "broken")
        await scene.hung_up()


@fault(14)
async def test_a_bad_chunk_moves_on_before_content_and_cuts_after_it() -> None:
    bad = b"zz\r\ndata: x\r\n"

    def script(case: Case) -> Reply:
        sent = case.wire.frames() if case.variant else list(case.wire.opening)
        return raw(*case.wire.streamed(*sent).steps[:-1], replies.pause(0.02), bad, stall)

    async with Scene(script, cases(stream=True, variants=(False,))) as scene:
        await moves_on(scene, "broken")
    async with Scene(script, cases(stream=True, variants=(True,))) as scene:
        await cuts(scene, TEXT, "broken")


# Content coding


@fault(15)
async def test_a_coding_that_cannot_be_taken_off_moves_on() -> None:
    def script(case: Case) -> Reply:
        content_type = case.wire.stream_type if case.stream else "application/json"
        cut_gzip = gzip.compress(Random(5).randbytes(500))[:100]
        coding, body = {"garbage": ("gzip", b"no gzip at all"), "cut": ("gzip", cut_gzip), "unknown": ("br", b"{}")}[
            case.variant
        ]
        return replies.body(body, content_type=content_type, headers={"Content-Encoding": coding})

    async with Scene(script, cases(variants=("garbage", "cut", "unknown"))) as scene:
        await moves_on(scene, "invalid_response", "broken")


def _bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    blank = b" " * 1024 * 1024
    return b"".join(packer.compress(blank) for _ in range(mebibytes)) + packer.flush()


@fault(15)
async def test_a_bomb_moves_on_and_memory_is_capped() -> None:
    """A quarter of a gibibyte in a quarter of a mebibyte: no more of it is ever held than an answer may have."""
    bomb = replies.body(_bomb(256), content_type="application/json", headers={"Content-Encoding": "gzip"})
    played = cases(wires=[OPENAI], clients=CLIENTS[:1], stream=False)
    async with Scene(lambda case: bomb, played) as scene:
        tracemalloc.start()
        (told,) = await scene.ask()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        told.moved_on("invalid_response")
        assert peak_bytes < MAX_ANSWER_BYTES * 1.25


@fault(15)
async def test_a_bomb_in_a_stream_is_stopped_early() -> None:
    """Nothing of it is content: it is not read to its end."""
    bomb = _bomb(16)

    def script(case: Case) -> Reply:
        return replies.body(bomb, content_type=case.wire.stream_type, headers={"Content-Encoding": "gzip"})

    async with Scene(script, cases(stream=True)) as scene:
        await moves_on(scene, "invalid_response", "broken")


# Large and small pieces


@fault(16)
@pytest.mark.parametrize("before", [[], ["a"]], ids=["first", "later"])
async def test_a_line_of_three_megabytes_is_delivered(before: list[str]) -> None:
    tokens = [*before, "x" * 3_000_000]
    async with Scene(lambda case: case.wire.stream(tokens), cases(stream=True)) as scene:
        for told in await scene.ask():
            told.was_whole("".join(tokens))


@fault(16)
async def test_a_line_beyond_the_cap_cuts() -> None:
    tokens = ["a", "x" * 9_000_000]
    async with Scene(lambda case: case.wire.stream(tokens), cases(stream=True)) as scene:
        await cuts(scene, "a", "invalid_response")


ODD_TOKENS = ("Zoë", " \u2028\u0085\x0b", "😀", "\r\n\\n", "e\u0301nd")


def _with_newline(data: bytes, newline: bytes) -> bytes:
    return data.replace(b"\n", newline)


@fault(17)
@pytest.mark.parametrize("size", [1, Random(17)], ids=["bytes", "random"])
async def test_any_split_gives_the_same_answer(size: int | Random) -> None:
    def script(case: Case) -> Reply:
        wire, text = case.wire, "".join(ODD_TOKENS)
        return (wire.stream(ODD_TOKENS) if case.stream else wire.answer(text)).in_pieces(size)

    async with Scene(script) as scene:
        told = await scene.ask()
        for each in told:
            each.was_whole("".join(ODD_TOKENS))
        alike(told)


@fault(17)
async def test_line_ends_byte_order_mark_and_comments_change_nothing() -> None:
    newlines = (b"\n", b"\r\n", b"\r")

    def script(case: Case) -> Reply:
        wire = case.wire
        frames = [*wire.frames(ODD_TOKENS), *wire.ending]
        if wire.stream_type == "text/event-stream":
            comments = itertools.repeat(b": a comment\n\n")
            frames = [part for pair in zip(comments, frames, strict=False) for part in pair]
            frames = [_with_newline(frame, case.variant) for frame in frames]
            frames[0] = b"\xef\xbb\xbf" + frames[0]
        return wire.streamed(*frames).in_pieces(Random(3))

    async with Scene(script, cases(stream=True, variants=newlines)) as scene:
        told = await scene.ask()
        for each in told:
            each.was_whole("".join(ODD_TOKENS))
        alike(told)


@fault(18)
async def test_an_event_that_is_not_json_moves_on_before_content_and_cuts_after_it() -> None:
    def script(case: Case) -> Reply:
        wire = case.wire
        before = wire.frames() if case.variant else wire.opening
        return wire.streamed(*before, wire.garbage, *wire.ending, stall)

    async with Scene(script, cases(stream=True, variants=(False,))) as scene:
        await moves_on(scene, "invalid_response")
    async with Scene(script, cases(stream=True, variants=(True,))) as scene:
        await cuts(scene, TEXT, "invalid_response")


@fault(18)
async def test_json_that_is_none_moves_on() -> None:
    broken = replies.body(b'{"choices": [{"message"', content_type="application/json")
    async with Scene(lambda case: broken, cases(stream=False)) as scene:
        await moves_on(scene, "invalid_response")


@fault(19)
async def test_a_redirect_moves_on_and_nothing_follows_it() -> None:
    async with Upstream(OPENAI.speaking(["stolen"])) as elsewhere:
        statuses = (301, 302, 303, 307, 308)
        async with Scene(
            lambda case: replies.redirect(f"{elsewhere.url}/v1/chat/completions", case.variant),
            cases(variants=statuses),
        ) as scene:
            await moves_on(scene, "invalid_response")
        assert elsewhere.connections == []
