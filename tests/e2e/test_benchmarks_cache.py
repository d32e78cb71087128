"""The benchmark of the cache: every part runs, and counts nothing but right answers from where they are due.

Nothing here looks at a time, nor at how good a figure is.
"""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

import pytest

from benchmarks.cache_hits import HITS, MEASURED, NEW, QUESTIONS
from benchmarks.cache_memory import FILLINGS, Filled, MemorySample, memory_table
from benchmarks.cache_misses import MissSample, miss_figures
from benchmarks.cache_page import outcome
from benchmarks.cache_stampede import OFF, ON
from benchmarks.cache_turns import TurnResult
from benchmarks.cache_upstream import fault, text
from benchmarks.exchange import completion
from benchmarks.figures import MIB, UPSTREAM
from benchmarks.pacing import completion as paced_completion
from benchmarks.pacing import completion_faults
from benchmarks.processes import get
from benchmarks.stage import Stage
from tests.support.benchmark import client, command, scripted


def whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, gateway_core=None, load_core=None)


def test_a_whole_run(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    code, printed, document = command(tmp_path / "figures.json", "cache", "--tiny", "--page", str(page))
    assert (code, document["errors"]) == (0, [])

    hits = document["hits"]
    assert {(each["scenario"], each["subject"]) for each in hits["samples"]} == set(
        product(MEASURED, (UPSTREAM, NEW, HITS))
    )
    assert set(hits["scenarios"]["json"]["requests_s"]) == {UPSTREAM, NEW, HITS}
    assert set(hits["scenarios"]["latency"]["added_p50_ms"]) == {NEW, HITS}

    (figures,) = document["misses"]["figures"].values()
    assert set(figures) == {f"cpu_{name}_us" for name in ("on", "off", "more", "chance")}

    calls = {(each["kind"], each["subject"]): each["upstream_calls"] for each in document["stampede"]["samples"]}
    for kind in ("JSON", "streams"):
        assert (calls[kind, ON], calls[kind, OFF]) == (1, 40)
    assert all(each["result"]["answered"] == 40 for each in document["stampede"]["samples"])

    (samples,) = document["memory"].values()
    assert 0 < samples[0]["entries"] < samples[1]["entries"] <= 100
    assert samples[1]["counted_bytes"] > samples[1]["entries"] * 350

    assert {budget["kept"] for budget in document["budgets"]} <= {True, False}
    written = page.read_text()
    for title in ("Budgets", "Hits: JSON, 64 connections", "Misses: CPU", "Stampede: 40 ask", "Memory, filled"):
        assert title in written
        assert title in printed
    plots = {file.name for file in tmp_path.glob("*.svg")}
    assert plots == {"cache-hits.svg", "cache-misses.svg", "cache-memory.svg"}
    assert json.loads(page.with_suffix(".json").read_text())["benchmark"] == "cache"


async def test_a_crowd_gets_one_answer_by_one_call(stage: Stage) -> None:
    with stage.upstream("benchmarks.paced_upstream", "0.05") as upstream, stage.cortex(upstream.port) as cortex:
        for options in ([], ["--stream"]):
            before = int(get(upstream.port, "/served")[1])
            code, result = await client(
                "cache_crowd", str(cortex.port), "30", "4", *options, "--watch", str(cortex.pid)
            )
            assert (code, result["errors"]) == (0, {})
            assert (result["answered"], result["bodies"]) == (30, 1)
            assert int(get(upstream.port, "/served")[1]) - before == 1
            assert result["last_ns"] > int(get(upstream.port, "/ended")[1])
        assert int(get(upstream.port, "/open")[1]) == 0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (paced_completion([1, 2, 3]), "another text"),
        (paced_completion([1, 2, 3, 4])[:-1], "not a completion"),
        (completion(), "not a completion"),
    ],
)
async def test_a_wrong_answer_to_the_crowd_fails_the_run(answer: bytes, kind: str) -> None:
    async with scripted(lambda writer: writer.write(whole(answer))) as port:
        code, result = await client("cache_crowd", str(port), "3", "4", "--watch", str(os.getpid()))
    assert (code, result["errors"]) == (1, {kind: 3})
    assert result["first_error"].startswith(kind)


def test_a_paced_answer_that_is_no_stream_has_every_event_in_order() -> None:
    assert completion_faults(paced_completion([7, 8, 9]), 3) == {}
    assert completion_faults(paced_completion([7, 8]), 3) == {"another text": 1}


async def test_servers_are_loaded_in_turn_with_ever_new_requests(stage: Stage) -> None:
    with stage.upstream() as upstream, stage.cortex(upstream.port) as cortex:
        targets = [f"{server.port}:{server.pid}" for server in (cortex, upstream)]
        options = ("--block", "10", "--turns", "3", "--warm-up", "5")
        code, result = await client("cache_turns", "1000", "4", *targets, *options)
        served = int(get(upstream.port, "/served")[1])
    assert (code, result["errors"]) == (0, {})
    assert result["answered"] == served == 2 * (5 + 3 * 10)
    assert [len(each) for each in result["cpu_us"]] == [len(each) for each in result["p50_ms"]] == [3, 3]


async def test_a_wrong_answer_in_a_turn_fails_the_run() -> None:
    async with scripted(lambda writer: writer.write(whole(completion().replace(b"token07", b"token70")))) as port:
        code, result = await client("cache_turns", "1000", "2", f"{port}:{os.getpid()}", "--warm-up", "4")
    assert (code, result["errors"]) == (1, {"another text": 4})


@pytest.mark.parametrize("streams_share", ["0", "1"])
async def test_answers_of_all_lengths_are_those_to_their_requests(stage: Stage, streams_share: str) -> None:
    with stage.upstream("benchmarks.cache_upstream") as upstream, stage.cortex(upstream.port) as cortex:
        code, result = await client("cache_fill", str(cortex.port), "200", streams_share)
        served = int(get(upstream.port, "/served")[1])
    assert (code, result["errors"]) == (0, {})
    assert result["answered"] == 200
    assert served == 200 - result["again"] < 200


def test_the_answer_to_another_request_is_found_out() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": text(7, 3)}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice]}).encode()
    assert fault(200, body, 7, 3, stream=False) is None
    assert fault(200, body, 8, 3, stream=False) == fault(200, body, 7, 4, stream=False) == "another text"
    assert fault(503, body, 7, 3, stream=False) == "status 503"
    assert fault(200, b"data: {}\n\n", 7, 3, stream=True) == "no [DONE]"


def test_what_a_miss_costs_more_is_taken_turn_by_turn() -> None:
    turns = TurnResult([[150, 260, 170], [100, 200, 130], [101, 190, 131]], [[1, 1, 1]] * 3, 0.0, 9, {}, "")
    (figures,) = miss_figures([MissSample(1_000, 64, 0, turns)]).values()
    assert figures["cpu_more_us"]["median"] == 50
    assert figures["cpu_chance_us"]["median"] == 1
    assert figures["cpu_off_us"]["median"] == 130
    assert "p50_more_us" not in figures


def test_a_budget_that_is_not_kept_says_so() -> None:
    def filled(without_mib: int) -> Filled:
        end = MemorySample(100, 30 * MIB, without_mib * MIB, 50, 10_000, 24 * MIB, 24 * MIB, 40)
        return Filled(FILLINGS[0], [end])

    def kept(filled: Filled) -> list[bool]:
        return [budget["kept"] for budget in outcome({}, [], [], [], [filled], []).data["budgets"]]

    assert kept(filled(6)) == [True, True]
    assert kept(filled(1)) == [False, False]
    assert ("it takes of max_bytes", ["100 %"]) in memory_table([filled(6)]).rows


def test_hits_are_of_so_many_questions_that_none_is_under_way_twice() -> None:
    assert QUESTIONS > 64
