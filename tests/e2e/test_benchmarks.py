"""The benchmark works and does not flatter: it counts right answers only, and whatever is wrong fails the run.

Nothing here looks at a time: a tiny run on a busy machine says nothing about speed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.exchange import CLIENT_KEY, EVENTS, SCENARIOS, TRANSLATED, Scenario, completion, stream_frames
from benchmarks.figures import BARE, CORTEX, UPSTREAM
from benchmarks.load import AnswerReader, LoadResult
from benchmarks.numbered import numbered
from benchmarks.overhead import run_once
from benchmarks.processes import Server, ServerFailed, free_port, get
from benchmarks.report import Report, Sample
from benchmarks.stage import Stage
from tests.support.benchmark import client, command, scripted

STREAM = b"".join(stream_frames(include_usage=False))


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def chunked(*pieces: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, gateway_core=None, load_core=None)


async def load(port: int, scenario: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status of the load client, and what it printed."""
    return await client("load", str(port), scenario, "--warm-up", "0", *options)


@pytest.mark.parametrize("scenario", ["latency", "json", "stream", "body-100k"])
async def test_the_load_client_counts_what_the_upstream_gave(stage: Stage, scenario: str) -> None:
    with stage.upstream() as upstream:
        code, result = await load(upstream.port, scenario, "--requests", "100", "--watch", str(upstream.pid))
        served = int(get(upstream.port, "/served")[1])
    assert (code, result["errors"], result["first_error"]) == (0, {}, "")
    assert result["requests"] == 100
    assert result["events"] == (100 * EVENTS if scenario == "stream" else 0)
    # The answers under way when the hundredth came are checked too, and not counted as measured.
    assert 100 <= result["answered"] == served < 100 + SCENARIOS[scenario].connections
    assert 0 < result["p50_ms"] <= result["p90_ms"] <= result["p99_ms"]


@pytest.mark.parametrize("scenario", ["json", "stream"])
def test_the_bare_proxy_passes_everything_on(stage: Stage, scenario: str) -> None:
    with stage.upstream() as upstream, stage.bare_proxy(upstream.port) as bare:
        sample, faults = run_once(stage, upstream, bare, SCENARIOS[scenario], BARE, 0, seconds=0.1)
        _, models = get(bare.port, "/v1/models")
    assert faults == []
    assert sample.load.requests > 0
    assert sample.rss_bytes > 0
    assert json.loads(models)["data"][0]["id"] == "bench"


@pytest.mark.parametrize("type_", TRANSLATED)
def test_an_upstream_of_another_protocol_says_the_same_through_cortex(stage: Stage, type_: str) -> None:
    scenario = SCENARIOS[f"stream-{type_}"]
    with stage.upstream() as upstream, stage.cortex(upstream.port) as cortex:
        sample, faults = run_once(stage, upstream, cortex, scenario, CORTEX, 0, seconds=0.1)
        _, decisions = get(cortex.port, "/api/decisions", {"authorization": f"Bearer {CLIENT_KEY}"})
    assert faults == []
    assert {decision["model"] for decision in json.loads(decisions)["decisions"]} == {f"{type_}/bench"}
    assert sample.load.events == sample.load.requests * EVENTS > 0


def test_little_time_is_spent_on_one_translated_stream_of_four() -> None:
    quick = [name for name, scenario in SCENARIOS.items() if scenario.default and scenario.quick]
    assert quick == ["latency", "json", "stream", "stream-anthropic"]
    assert [name for name, scenario in SCENARIOS.items() if scenario.translated] == [f"stream-{t}" for t in TRANSLATED]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_no_two_requests_are_the_same_and_all_are_of_one_length(scenario: Scenario) -> None:
    requests = list(islice(numbered(scenario.request()), 100))
    assert len(set(requests)) == 100
    assert {len(request) for request in requests} == {len(scenario.request())}
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert json.loads(body)["model"] == scenario.model


async def test_requests_that_come_again_are_answered_from_memory(stage: Stage) -> None:
    with stage.upstream() as upstream, stage.cortex(upstream.port) as cortex:
        options = ("--requests", "200", "--questions", "80", "--watch", str(cortex.pid))
        code, result = await load(cortex.port, "json", *options)
        served = int(get(upstream.port, "/served")[1])
    assert (code, result["errors"]) == (0, {})
    assert result["answered"] >= 200
    assert served == 80


def test_answers_that_the_upstream_did_not_give_are_told(stage: Stage) -> None:
    with stage.upstream() as counted, stage.upstream() as elsewhere:
        _, faults = run_once(stage, counted, elsewhere, SCENARIOS["json"], CORTEX, 0, seconds=0.1)
    assert len(faults) == 1
    assert "but the upstream gave 0" in faults[0]


@pytest.mark.parametrize(
    ("scenario", "answer", "kind"),
    [
        ("json", whole(completion(), "502 Bad Gateway"), "status 502"),
        ("json", whole(completion()[:-1]), "not a completion"),
        ("json", whole(completion().replace(b"token07", b"token70")), "another text"),
        ("json", whole(completion()) + b"x", "bytes after the answer"),
        ("json", b"SSH-2.0-x\r\n\r\n", "not HTTP/1.1"),
        ("json", b"HTTP/1.1 200 OK\r\n\r\n", "an answer without length"),
        ("stream", chunked(STREAM.replace(b"data: [DONE]\n\n", b"")), "no [DONE]"),
        ("stream", chunked(b"".join(stream_frames(include_usage=True))), "65 events"),
        ("stream", chunked(STREAM.replace(b"token07", b"token70")), "another text"),
        ("stream", chunked(STREAM.replace(b'"choices"', b"choices", 1)), "not a chunk"),
    ],
)
async def test_a_wrong_answer_is_an_error(scenario: str, answer: bytes, kind: str) -> None:
    code, result = await _load_scripted(scenario, lambda writer: writer.write(answer), "--requests", "64")
    assert code == 1
    assert kind in result["errors"]
    assert result["requests"] == 0
    assert result["first_error"].startswith(kind)


async def test_a_connection_that_closes_is_an_error() -> None:
    def close(writer: asyncio.StreamWriter) -> None:
        writer.write(whole(completion())[:-10])
        writer.close()

    code, result = await _load_scripted("json", close, "--requests", "64")
    assert (code, result["errors"]) == (1, {"connection closed": 64})


async def test_an_answer_that_never_comes_is_an_error() -> None:
    options = ("--seconds", "0.1", "--patience", "0.1")
    code, result = await _load_scripted("stream", lambda writer: writer.write(chunked(STREAM)[:-7]), *options)
    assert (code, result["errors"]) == (1, {"no answer": 64})


async def _load_scripted(
    scenario: str, reply: Callable[[asyncio.StreamWriter], None], *options: str
) -> tuple[int, dict[str, Any]]:
    async with scripted(reply) as port:
        return await load(port, scenario, *options)


@given(st.lists(st.integers(0, 20_000), max_size=8))
def test_answers_in_any_pieces_are_the_same(cuts: list[int]) -> None:
    for raw, body in ((whole(completion()), completion()), (chunked(*stream_frames(include_usage=False)), STREAM)):
        edges = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})
        reader = AnswerReader()
        for _ in range(2):  # the second answer on the same connection
            answers = [reader.feed(raw[start:end]) for start, end in pairwise(edges)]
            assert answers == [None] * (len(edges) - 2) + [(200, body)]


def test_comments_in_a_stream_are_no_events() -> None:
    assert SCENARIOS["stream"].fault(200, b": waiting\n\n" + STREAM.replace(b"\n", b"\r\n")) is None


def test_request_bodies_have_the_size_they_are_named_after() -> None:
    for name, size in (("body-1k", 1_000), ("body-10k", 10_000), ("body-100k", 100_000)):
        body = SCENARIOS[name].request().partition(b"\r\n\r\n")[2]
        assert len(body) == size
        assert json.loads(body)["model"] == "chat"


@pytest.mark.parametrize(("code", "said"), [(3, "exited with 3 before it was ready"), (0, "exited with 0")])
def test_a_server_that_does_not_start_tells_why(tmp_path: Path, code: int, said: str) -> None:
    command = [sys.executable, "-c", f"print('no such planet'); raise SystemExit({code})"]
    server = Server("mars", command, free_port(), log=tmp_path / "mars.log", ready_path="/")
    with pytest.raises(ServerFailed, match="(?s)mars " + said + ".*no such planet"):
        server.__enter__()


def _sample(subject: str, number: int, requests: int, p50_ms: float, waited_s: float = 0.0) -> Sample:
    load = LoadResult(
        seconds=2.0,
        requests=requests,
        events=0,
        p50_ms=p50_ms,
        p90_ms=p50_ms,
        p99_ms=p50_ms,
        server_cpu_s=1.0,
        server_waited_s=waited_s,
        answered=requests,
        errors={},
        first_error="",
    )
    return Sample("latency", subject, number, rss_bytes=1024 * 1024, load=load)


def test_ratios_and_added_times_compare_runs_of_one_round() -> None:
    # The machine was ten times slower in the second round; the ratio of each round is 2 or 4 all the same.
    samples = [
        *(_sample(UPSTREAM, number, 8000, p50_ms) for number, p50_ms in enumerate((1.0, 10.0))),
        *(_sample(BARE, number, requests, 5.0) for number, requests in enumerate((1000, 100))),
        *(_sample(CORTEX, number, requests, 12.0) for number, requests in enumerate((2000, 400))),
    ]
    report = Report(machine={}, settings={}, starts=[], samples=samples, errors=[])
    metrics = report.document()["scenarios"]["latency"]["metrics"]
    assert metrics["rate"]["cortex / bare proxy"] == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert metrics["rate"]["bare proxy"] == {"median": 275.0, "low": 50.0, "high": 500.0}
    assert metrics["added_p50_ms"]["cortex"] == {"median": 6.5, "low": 2.0, "high": 11.0}
    assert metrics["cpu_us"]["cortex"]["low"] == 500.0


def test_figures_from_a_core_that_others_used_are_marked() -> None:
    def report(*waited_s: float) -> Report:
        samples = [_sample(CORTEX, number, 1000, 1.0, waited) for number, waited in enumerate(waited_s)]
        return Report(machine={}, settings={}, starts=[], samples=samples, errors=[])

    assert report(0.0, 0.0, 0.9).quiet
    assert "NOT QUIET" not in report(0.0, 0.0, 0.9).text()
    assert not report(0.0, 0.9, 0.9).quiet
    assert "NOT QUIET" in report(0.0, 0.9, 0.9).text()


def test_errors_stand_below_the_table_and_in_the_document() -> None:
    report = Report(machine={}, settings={}, starts=[], samples=[], errors=["json, cortex: 3 × status 502"])
    assert report.text().endswith("json, cortex: 3 × status 502")
    assert report.document()["errors"] == ["json, cortex: 3 × status 502"]


def test_a_whole_run(tmp_path: Path) -> None:
    scenarios = ("--scenario", "stream", "stream-ollama")
    options = ("--rounds", "1", "--seconds", "0.1", *scenarios, "--subjects", "bare", "cortex")
    code, printed, document = command(tmp_path / "figures.json", "overhead", *options)
    assert code == 0
    assert document["errors"] == []
    assert set(document["start"]) == {"ready_s", "idle_rss_mib"}
    assert set(document["scenarios"]) == {"stream", "stream-ollama"}
    assert set(document["scenarios"]["stream-ollama"]["metrics"]["rate"]) == {CORTEX}
    metrics = document["scenarios"]["stream"]["metrics"]
    assert set(metrics["rate"]) == {UPSTREAM, BARE, CORTEX, "cortex / bare proxy"}
    assert "added_p99_ms" not in metrics
    assert [sample["subject"] for sample in document["samples"]] == [UPSTREAM, BARE, CORTEX, CORTEX]
    assert "streams of 64 events, 64 connections" in printed
