"""The benchmark of paced streams accounts for every event: lost, twice, out of order or joined, it shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import BARE, CORTEX, UPSTREAM
from benchmarks.pacing import LAST_CHUNK, Arrival, chunk, ending, event, faults, opening, transcript
from benchmarks.processes import get
from benchmarks.stage import Stage
from tests.support.benchmark import client, command, scripted

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = ending(include_usage=False)


def stream(*places: int) -> bytes:
    return HEAD + opening() + b"".join(event(place, 1000 + place) for place in places) + END


def frame(place: int) -> bytes:
    """An event without its HTTP chunk."""
    return event(place, 1000 + place).partition(b"\r\n")[2].removesuffix(b"\r\n")


JOINED = chunk(frame(1).rstrip() + b"\n" + frame(2))  # two events, no blank line between


def test_a_whole_stream_has_no_faults() -> None:
    seen = transcript([(7, stream(0, 1)), (9, b"")], 2)
    assert seen.faults == {}
    assert seen.arrivals == [Arrival(0, 1000, 7), Arrival(1, 1001, 7)]
    assert seen.bundled == 1


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (stream(0, 2), {"events lost": 1}),
        (stream(0, 1, 1, 2), {"events twice": 1}),
        (stream(0, 2, 1), {"events out of order": 1}),
        (stream(0, 1, 2, 3), {"events that nobody sent": 1}),
        (stream(0, 1, 2).removesuffix(LAST_CHUNK), {"no whole end": 1}),
        (HEAD + event(0, 1) + event(1, 1) + event(2, 1) + LAST_CHUNK, {"no whole end": 1}),
        (stream(0, 1, 2) + b"x", {"bytes after the answer": 1}),
        (stream(0, 1, 2).replace(b"200 OK", b"502 Bad"), {"status 502": 1}),
        (HEAD + event(0, 1) + JOINED + END, {"not one event in a frame": 1, "events lost": 2}),
        (stream(0, 1, 2).replace(b"00000001:", b"00000001 "), {"not one event in a frame": 1, "events lost": 1}),
        (stream(0, 1, 2).replace(b'"stop"', b"'stop'"), {"not one event in a frame": 1, "no whole end": 1}),
    ],
)
def test_whatever_happens_to_an_event_is_told(answer: bytes, kinds: dict[str, int]) -> None:
    seen = transcript([(1, answer)], 3)
    assert seen.faults == kinds


@given(st.lists(st.integers(0, 5_000), max_size=12))
def test_reads_of_any_size_give_the_same_events(cuts: list[int]) -> None:
    answer = stream(0, 1, 2, 3)
    edges = sorted({0, len(answer), *(cut % len(answer) for cut in cuts)})
    seen = transcript([(edge, answer[start:edge]) for start, edge in pairwise(edges)], 4)
    assert seen.faults == {}
    assert [arrival.place for arrival in seen.arrivals] == [0, 1, 2, 3]
    came: Sequence[int] = [arrival.came_ns for arrival in seen.arrivals]
    assert came == sorted(came)


def test_a_body_is_judged_as_its_stream_is() -> None:
    body = b": waiting\n\n" + frame(0) + frame(1)
    assert faults(body, 2) == {"no whole end": 1}
    assert faults(body + b'data: {"error": {"message": "cut"}}\n\n', 2)["not one event in a frame"] == 1


async def test_the_client_gets_every_event_and_the_upstream_counts_the_streams(tmp_path: Path) -> None:
    stage = Stage(tmp_path, gateway_core=None, load_core=None)
    with stage.upstream("benchmarks.paced_upstream", "0.002") as upstream:
        code, result = await client("paced_load", str(upstream.port), "5", "4", "--watch", str(upstream.pid))
        served, still_open = (int(get(upstream.port, path)[1]) for path in ("/served", "/open"))
    assert (code, result["errors"]) == (0, {})
    assert result["events"] == 20
    assert (served, still_open) == (result["streams"], 0)
    assert 0 < result["first_p50_ms"] <= result["first_p99_ms"]


async def test_a_wrong_stream_fails_the_run() -> None:
    async with scripted(lambda writer: writer.write(stream(0, 1, 3))) as port:
        code, result = await client("paced_load", str(port), "2", "4", "--watch", str(os.getpid()))
    assert (code, result["errors"]) == (1, {"events lost": 2})
    assert result["first_error"]


def test_a_whole_run(tmp_path: Path) -> None:
    options = ("--streams", "3", "--events", "4", "--interval-ms", "1", "--rounds", "1", "--idle", "4")
    code, printed, document = command(tmp_path / "figures.json", "streaming", *options)
    assert (code, document["errors"]) == (0, [])
    metrics = document["streams"]["3"]
    assert set(metrics["cpu_us_event"]) >= {UPSTREAM, BARE, CORTEX}
    assert set(metrics["added_first_p50_ms"]) >= {BARE, CORTEX}
    assert set(document["idle"]["mib_1000"]) >= {BARE, CORTEX}
    measured = [(sample["subject"], sample["idle"], sample["result"]["events"]) for sample in document["samples"]]
    assert measured == [
        *((subject, False, 12) for subject in (UPSTREAM, BARE, CORTEX)),
        *((subject, True, 4) for subject in (BARE, CORTEX)),
    ]
    assert "3 streams at once" in printed
