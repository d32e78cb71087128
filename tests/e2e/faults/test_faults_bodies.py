"""Faults of an answer's body: cut, badly framed, badly coded, too long, in odd pieces, not JSON, or a redirect."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from random import Random

import pytest

from cortex.attempt import MAX_ANSWER_BYTES
from tests.support import upstream_faults as faults
from tests.support import upstream_replies as replies
from tests.support.clients import CLIENTS
from tests.support.fault_table import fault
from tests.support.scene import Case, Scene, alike, cases, cuts, moves_on
from tests.support.upstream import Upstream
from tests.support.upstream_replies import Reply, Step, close, json_head, raw, reset, stall
from tests.support.wires import OPENAI, TEXT

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
        sent = case.wire.body()[: case.variant]
        return replies.stream(sent, ending, content_type="application/json")

    async with Scene(script, cases(stream=False, variants=(-5, None))) as scene:
        await moves_on(scene, "broken")


@fault(12)
@ENDINGS
async def test_a_body_shorter_than_its_length_is_never_passed_on(ending: Step) -> None:
    def script(case: Case) -> Reply:
        return raw(json_head(len(case.wire.body()) + 10) + case.wire.body(), ending)

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
    async with Scene(lambda case: raw(json_head() + case.wire.body()[:-1], ending), cases(stream=False)) as scene:
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
            if wire.opening[0].startswith(b"data:"):
                frames = frames[len(wire.opening) :]  # so that the mark stands before a frame that would be missed
            frames = [part for frame in frames for part in (frame, b": a comment\n\n")]
            frames = [b"\xef\xbb\xbf", *(_with_newline(frame, case.variant) for frame in frames)]
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
