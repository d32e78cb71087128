"""What a line of the log looks like: text for people, or JSON. Pure; every text passes the redactor.

A request's line is mostly the same as that of others before it: its model, route and outcome. That part is put together
once and remembered, so that a line costs little more than its numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol, TypeAlias, TypeVar

from cortex.chat import Json
from cortex.telemetry.record import RequestRecord

_REMEMBERED = 1024
_REMEMBERED_CHARS = 100
_MAX_FAILED = 10
_COLOURS = {"debug": "\x1b[2m", "info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}
_RESET = "\x1b[0m"

Redact: TypeAlias = Callable[[str], str]
T = TypeVar("T")


class Lines(Protocol):
    def entry(self, at: float, level: str, fields: Mapping[str, Json]) -> str:
        """One line, ended. `at` is Unix time in seconds; one field is the `message`."""

    def request(self, at: float, level: str, record: RequestRecord) -> str:
        """The line of a settled request. No prompt, no answer, no key."""


class JsonLines:
    def __init__(self, redact: Redact) -> None:
        self._told = _Told(redact)
        self._alike = _again(self._like)

    def entry(self, at: float, level: str, fields: Mapping[str, Json]) -> str:
        return _dumped({"time": round(at, 3), "level": level, **self._told(fields)}) + "\n"

    def request(self, at: float, level: str, record: RequestRecord) -> str:
        tokens = "null" if record.usage is None else record.usage.total_tokens
        trace = f', "trace_id": "{_trace_id(record.traceparent)}"' if record.traceparent else ""
        return (
            f'{{"time": {at:.3f}, "level": "{level}", {self._alike(record)}, "tokens": {tokens}, '
            f'"duration_ms": {record.duration_ms:.1f}, "request_id": "{record.request_id}"{trace}}}\n'
        )

    def _like(self, fields: Mapping[str, Json]) -> str:
        return _dumped(self._told(fields))[1:-1]


class TextLines:
    def __init__(self, redact: Redact, *, colour: bool) -> None:
        self._told = _Told(redact)
        self._colours = {level: (tint, _RESET if tint else "") for level, tint in _COLOURS.items()}
        if not colour:
            self._colours = dict.fromkeys(_COLOURS, ("", ""))
        self._alike = _again(self._like)

    def entry(self, at: float, level: str, fields: Mapping[str, Json]) -> str:
        told = self._told(fields)
        return self._line(at, level, f"{told.pop('message', '')}{_words(told)}")

    def request(self, at: float, level: str, record: RequestRecord) -> str:
        outcome, rest = self._alike(record)
        tokens = "" if record.usage is None else f" tokens={record.usage.total_tokens}"
        trace = f" trace_id={_trace_id(record.traceparent)}" if record.traceparent else ""
        text = f"{outcome} {record.duration_ms:>8.1f}ms {rest}{tokens} request_id={record.request_id}{trace}"
        return self._line(at, level, text)

    def _like(self, fields: Mapping[str, Json]) -> tuple[str, str]:
        """What stands before the duration, and after it."""
        told = self._told(fields)
        del told["message"]
        status, outcome, model = told.pop("status"), told.pop("outcome"), told.pop("model")
        word = "" if outcome == "completed" else f" {outcome}"
        return f"{status}{word:<10}", f"{model or '-':<32}{_words(told)}"

    def _line(self, at: float, level: str, text: str) -> str:
        tint, reset = self._colours[level]
        return f"{tint}{_clock(int(at))} {level:<7} {text}{reset}\n"


class _Told:
    """Fields as they may be written."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._redact_again = lru_cache(_REMEMBERED)(redact)

    def __call__(self, fields: Mapping[str, Json]) -> dict[str, Json]:
        return {name: self._value(name, value) for name, value in fields.items()}

    def _value(self, name: str, value: Json) -> Json:
        if isinstance(value, bool | int | float) or value is None or name == "request_id":  # random, and ours
            return value
        text = str(value)
        return self._redact_again(text) if len(text) <= _REMEMBERED_CHARS else self._redact(text)


def _alike(record: RequestRecord) -> tuple[Json, ...]:
    """What many requests have in common, as `_fields` takes it."""
    failed = [f"{attempt.target}:{attempt.kind}" for attempt in record.attempts if attempt.kind != "ok"]
    return (
        record.status,
        record.outcome,
        record.model,
        record.model_asked,
        record.route,
        len(record.attempts),
        ",".join(failed[:_MAX_FAILED]),
        record.error,
        record.stream,
        record.cache,
    )


def _fields(
    status: int,
    outcome: str,
    model: str | None,
    asked: str | None,
    route: tuple[str, ...],
    attempts: int,
    failed: str,
    error: str | None,
    stream: bool,
    cache: str,
) -> dict[str, Json]:
    return {
        "message": "request",
        "status": status,
        "outcome": outcome,
        "model": model,
        "asked": asked,
        "route": ">".join(route),
        "attempts": attempts,
        **({"failed": failed} if failed else {}),
        **({"error": error} if error else {}),
        "stream": stream,
        **({"cache": cache} if cache != "bypass" else {}),
    }


def _again(like: Callable[[Mapping[str, Json]], T]) -> Callable[[RequestRecord], T]:
    """`like` of what a request's line has in common with others, remembered."""

    def once(*alike: Json) -> T:
        return like(_fields(*alike))

    remembered = lru_cache(_REMEMBERED)(once)

    def of(record: RequestRecord) -> T:
        short = record.model_asked is None or len(record.model_asked) <= _REMEMBERED_CHARS
        return (remembered if short else once)(*_alike(record))

    return of


def _trace_id(traceparent: str) -> str:
    return traceparent.split("-")[1]


def _dumped(fields: Mapping[str, Json]) -> str:
    return json.dumps(fields, ensure_ascii=False, default=str)


@lru_cache(1)
def _clock(at: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _words(fields: Mapping[str, Json]) -> str:
    return "".join([f" {name}={_word(value)}" for name, value in fields.items() if value not in (None, "", False)])


def _word(value: Json) -> str:
    """A value on one line: control characters cannot forge a second one."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c.isspace() or not c.isprintable() for c in text) else text
