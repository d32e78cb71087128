"""The log: a line a request, redacted, bounded, and never in the way."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cortex.chat import Usage
from cortex.redact import Redactor
from cortex.telemetry.decisions import Decisions
from cortex.telemetry.log import Log
from cortex.telemetry.record import AttemptRecord, RequestRecord
from cortex.telemetry.stats import Stats

LIMIT_S = 30.0
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def record(n: int = 1, **changes: Any) -> RequestRecord:
    made = RequestRecord(f"req_{n:024x}", time=0.0, started=0.0, dialect="openai", outcome="completed", status=200)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def logged(write: Any, **options: Any) -> str:
    stream = io.StringIO()
    log = Log(stream=stream, **options)
    log.start()
    write(log)
    log.stop()
    return stream.getvalue()


def test_a_request_is_one_line_of_json() -> None:
    attempt = AttemptRecord("a/m", "a#1", 0.0, status=503, kind="overloaded")
    traceparent = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
    said = record(model="b/m", route=("chat",), attempts=[attempt], usage=Usage(1, 2), traceparent=traceparent)
    (line,) = logged(lambda log: log.request(said), format="json").splitlines()
    told = json.loads(line)
    assert (told["status"], told["model"], told["failed"], told["tokens"]) == (200, "b/m", "a/m:overloaded", 3)
    assert (told["request_id"], told["trace_id"], told["route"]) == (said.request_id, TRACE_ID, "chat")


def test_a_request_is_one_line_of_text_whatever_it_asks_for() -> None:
    said = record(model_asked="chat\nerror   forged line\x1b[31m")
    text = logged(lambda log: log.request(said))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert said.request_id in text


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_written(format: str) -> None:
    redact = Redactor(["canary-secret-1"]).redact
    said = record(model_asked="canary-secret-1", error="sk-abcdefghijklmnop")
    text = logged(
        lambda log: (log.request(said), log.error("refused", reason="key canary-secret-1 is bad", key="a#1")),
        format=format,
        redact=redact,
    )
    assert "canary" not in text
    assert "sk-abc" not in text
    assert "a#1" in text


def test_a_level_leaves_out_what_is_below_it() -> None:
    text = logged(lambda log: (log.info("quiet"), log.warning("loud")), level="warning")
    assert "loud" in text
    assert "quiet" not in text


class Stuck(io.StringIO):
    """A terminal that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = threading.Event()

    def write(self, text: str) -> int:
        self.taken.wait()
        return super().write(text)


def test_a_log_that_cannot_keep_up_drops_lines_and_says_how_many() -> None:
    stream = Stuck()
    log = Log(stream=stream, format="json")
    for n in range(10_050):  # more than the queue holds; the thread has not begun
        log.info("line", n=n)
    log.start()
    stream.taken.set()
    log.stop()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["dropped"] for line in lines if "dropped" in line] == [50]
    assert sum(line["message"] == "line" for line in lines) == 10_000


def test_a_terminal_that_has_gone_ends_nothing() -> None:
    stream = io.StringIO()
    log = Log(stream=stream)
    log.start()
    stream.close()
    log.info("to nobody")
    log.stop()


class Watched(io.StringIO):
    """Tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        size = super().write(text)
        if text:
            self.written.set()
        return size


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


def said_in(stream: io.StringIO) -> list[Any]:
    return [json.loads(line)["n"] for line in stream.getvalue().splitlines()]


@pytest.mark.usefixtures("hasty")
def test_a_line_is_written_whether_the_log_was_about_to_rest_or_not() -> None:
    stream = Watched()
    log = Log(stream=stream, format="json")
    log.start()
    for n in range(20):  # each comes while the thread that wrote the last looks whether there is more
        stream.written.clear()
        log.info("line", n=n)
        assert stream.written.wait(LIMIT_S), f"line {n} waits for another"
    log.stop()
    assert said_in(stream) == list(range(20))


@pytest.mark.usefixtures("hasty")
def test_lines_of_several_threads_all_come_and_in_order() -> None:
    stream = io.StringIO()
    log = Log(stream=stream, format="json")
    log.start()

    def say(who: int) -> None:
        for n in range(500):
            log.info("line", n=who * 1000 + n)

    threads = [threading.Thread(target=say, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.stop()
    said = said_in(stream)
    assert sorted(said) == [who * 1000 + n for who in range(4) for n in range(500)]
    for who in range(4):
        assert [n for n in said if n // 1000 == who] == [who * 1000 + n for n in range(500)]


def test_stopping_writes_what_is_queued_and_a_new_start_goes_on() -> None:
    stream = io.StringIO()
    log = Log(stream=stream, format="json")
    log.stop()  # before it was started there is nothing to stop
    for began in (0, 1000):
        log.info("line", n=began)  # nobody writes yet
        log.start()
        for n in range(1, 1000):
            log.info("line", n=began + n)
        log.stop()
        assert said_in(stream) == list(range(began + 1000))


def test_a_reload_redacts_anew_what_was_told_before() -> None:
    stream, said = io.StringIO(), record(model_asked="canary-secret-1")
    log = Log(stream=stream)
    for redact in (str, Redactor(["canary-secret-1"]).redact):
        log.configure(format="console", level="info", redact=redact)
        log.start()
        log.request(said)
        log.stop()
    before, after = stream.getvalue().splitlines()
    assert "canary" in before
    assert "canary" not in after


def test_decisions_keep_the_newest() -> None:
    decisions = Decisions(kept=3)
    for n in range(5):
        decisions.add(record(n))
    assert len(decisions) == 3
    assert [kept.request_id for kept in decisions.newest(2)] == [record(4).request_id, record(3).request_id]
    assert decisions.get(record(0).request_id) is None
    assert decisions.get(record(2).request_id) is not None


def test_stats_settle_each_request_once() -> None:
    stats = Stats(started=0.0)
    for n in range(3):
        stats.begin()
        failed = n == 2
        settled = record(n, duration_ms=100.0, usage=Usage(10, 20), cost_usd=None if failed else 0.5)
        if failed:
            settled.outcome, settled.error = "failed", "no_candidate_available"
        stats.settle(settled)
    assert stats.requests() == {"total": 3, "completed": 2, "failed": 1, "no_workers": 1, "active": 0}
    assert stats.performance() == {"average_duration_ms": 100.0, "total_tokens": 90, "tokens_per_second": 200.0}
    assert stats.cost() == {"usd": 1.0, "unpriced_requests": 1}
