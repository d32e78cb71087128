"""The log's lines: what is remembered of one request is never told of another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cortex.chat import Usage
from cortex.redact import Redactor
from cortex.telemetry.lines import JsonLines, Lines, TextLines
from cortex.telemetry.record import AttemptRecord, RequestRecord

AT = 1_764_000_000.12345
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def as_it_is(text: str) -> str:
    return text


def failed(n: int = 1) -> list[AttemptRecord]:
    return [AttemptRecord(f"a/{place}", "a#1", 0.0, status=503, kind="overloaded") for place in range(n)]


def record(**changes: Any) -> RequestRecord:
    made = RequestRecord(f"req_{1:024x}", time=0.0, started=0.0, dialect="openai", outcome="completed", status=200)
    made.model, made.model_asked, made.route, made.duration_ms = "b/m", "chat", ("chat", "fast"), 12.345
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def made(format: str) -> Lines:
    return JsonLines(as_it_is) if format == "json" else TextLines(as_it_is, colour=False)


def told(**changes: Any) -> dict[str, Any]:
    line = JsonLines(as_it_is).request(AT, "info", record(**changes))
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    read: dict[str, Any] = json.loads(line)
    return read


def test_a_request_as_json() -> None:
    attempts = [*failed(), AttemptRecord("b/m", "b#1", 0.0, status=200)]
    assert told(
        attempts=attempts, usage=Usage(3, 4), traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01", stream=True
    ) == {
        "time": 1764000000.123,
        "level": "info",
        "message": "request",
        "status": 200,
        "outcome": "completed",
        "model": "b/m",
        "asked": "chat",
        "route": "chat>fast",
        "attempts": 2,
        "failed": "a/0:overloaded",
        "stream": True,
        "tokens": 7,
        "duration_ms": 12.3,
        "request_id": f"req_{1:024x}",
        "trace_id": TRACE_ID,
    }


def test_what_is_not_known_is_null_or_left_out() -> None:
    line = told(model=None, model_asked=None, route=(), status=503, outcome="failed", error="no_candidate_available")
    assert (line["model"], line["asked"], line["tokens"], line["error"]) == (None, None, None, "no_candidate_available")
    assert not {"failed", "trace_id"} & line.keys()


def test_a_request_as_text() -> None:
    lines = made("text")
    line = lines.request(AT, "info", record(usage=Usage(3, 4), attempts=[AttemptRecord("b/m", "b#1", 0.0)]))
    expected = f"200               12.3ms b/m{' ' * 29} asked=chat route=chat>fast attempts=1 tokens=7 request_id=req_"
    assert expected in line
    assert "completed" not in line
    cut = lines.request(AT, "warning", record(outcome="cut", attempts=failed(), error="upstream_error"))
    assert "200 cut" in cut
    assert "failed=a/0:overloaded error=upstream_error" in cut


ALIKE = {
    "status": 500,
    "outcome": "cut",
    "model": "c/m",
    "model_asked": "other",
    "route": ("other",),
    "attempts": failed(),
    "error": "upstream_error",
    "stream": True,
}
OWN = {
    "usage": Usage(1, 1),
    "duration_ms": 99.9,
    "request_id": f"req_{2:024x}",
    "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01",
}


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("member", [*ALIKE, *OWN])
def test_requests_that_differ_in_one_thing_have_lines_that_do(format: str, member: str) -> None:
    """The same whether the lines remember requests of the other kind or none."""
    remembering = made(format)
    for changes in ({}, {member: (ALIKE | OWN)[member]}) * 2:
        assert remembering.request(AT, "info", record(**changes)) == made(format).request(AT, "info", record(**changes))
    assert remembering.request(AT, "info", record()) != remembering.request(
        AT, "info", record(**{member: (ALIKE | OWN)[member]})
    )


@pytest.mark.parametrize("format", ["json", "text"])
def test_more_kinds_of_requests_than_are_remembered_all_have_their_line(format: str) -> None:
    lines = made(format)
    for n in [*range(1100), 0, 1099]:
        assert f"model-{n:04}" in lines.request(AT, "info", record(model_asked=f"model-{n:04}"))


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("asked", ["canary-secret-1", "long " * 50 + "canary-secret-1"])
def test_what_is_remembered_was_redacted(format: str, asked: str) -> None:
    redact = Redactor(["canary-secret-1"]).redact
    lines = JsonLines(redact) if format == "json" else TextLines(redact, colour=False)
    for _ in range(2):
        assert "canary" not in lines.request(AT, "info", record(model_asked=asked))


def test_only_the_first_of_many_failures_are_told() -> None:
    line = told(attempts=failed(25))
    assert line["attempts"] == 25
    assert line["failed"].split(",") == [f"a/{n}:overloaded" for n in range(10)]


@pytest.mark.parametrize(("level", "tint"), [("warning", "\x1b[33m"), ("error", "\x1b[31m"), ("info", "")])
def test_a_terminal_has_colours_that_end_with_the_line(level: str, tint: str) -> None:
    line = TextLines(as_it_is, colour=True).entry(AT, level, {"message": "said"})
    assert line.startswith(tint)
    assert line.endswith("\x1b[0m\n" if tint else "said\n")
    assert "\x1b" not in TextLines(as_it_is, colour=False).entry(AT, level, {"message": "said"})


def test_an_entry_with_fields_of_any_kind() -> None:
    fields = {"message": "reloaded", "nodes": 3, "took_s": 0.5, "forced": False, "path": "a b\nc", "reason": None}
    read = json.loads(JsonLines(as_it_is).entry(AT, "info", fields))
    assert read == {"time": 1764000000.123, "level": "info", **fields}
    text = made("text").entry(AT, "info", fields)
    assert text.endswith('info    reloaded nodes=3 took_s=0.5 path="a b\\nc"\n')
