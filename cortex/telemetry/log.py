"""The log: one line a request, and what the process has to say of itself. Written by a thread of its own.

A request never waits for the terminal or the disk: lines go through a bounded queue, and what does not fit is counted
and told with the next line that does. Every text passes the redactor.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TextIO

from cortex.chat import Json
from cortex.telemetry.record import RequestRecord

LEVELS = ("debug", "info", "warning", "error")
_QUEUED_LINES = 10_000
_BATCH_S = 0.05
_REMEMBERED = 1024
_REMEMBERED_CHARS = 100
_IDENTIFIERS = frozenset({"request_id", "trace_id"})  # random by design, and checked to be no more than that
_COLOURS = {"debug": "\x1b[2m", "info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}
_RESET = "\x1b[0m"


class Log:
    """Thread-safe. `redact` is applied in the writing thread, off the event loop."""

    def __init__(
        self,
        *,
        format: str = "console",
        level: str = "info",
        redact: Callable[[str], str] = lambda text: text,
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._queue: queue.Queue[tuple[float, str, Json] | None] = queue.Queue(_QUEUED_LINES)
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self.configure(format=format, level=level, redact=redact)

    def configure(self, *, format: str, level: str, redact: Callable[[str], str]) -> None:
        """Also while it runs: a reload may change all of it."""
        self._json = format == "json"
        self._level = LEVELS.index(level)
        self._redact = redact
        self._redact_again = lru_cache(_REMEMBERED)(redact)  # names of models and routes come with every request
        self._colour = not self._json and self._stream.isatty()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._write_all, name="cortex-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def debug(self, message: str, **fields: Json) -> None:
        self._put("debug", {"message": message, **fields})

    def info(self, message: str, **fields: Json) -> None:
        self._put("info", {"message": message, **fields})

    def warning(self, message: str, **fields: Json) -> None:
        self._put("warning", {"message": message, **fields})

    def error(self, message: str, **fields: Json) -> None:
        self._put("error", {"message": message, **fields})

    def request(self, record: RequestRecord) -> None:
        """One line for a settled request. The record must not change any more."""
        self._put("info" if record.status < 500 and record.outcome != "cut" else "warning", record)

    def _put(self, level: str, entry: Json) -> None:
        if LEVELS.index(level) < self._level:
            return
        try:
            self._queue.put_nowait((time.time(), level, entry))
        except queue.Full:
            self._dropped += 1

    def _write_all(self) -> None:
        while True:
            batch = [self._queue.get()]
            time.sleep(_BATCH_S)  # one switch of threads a batch: a busy event loop is not woken for each line
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._write("".join([self._line(*item) for item in batch if item is not None]))
            if None in batch:
                return

    def _line(self, at: float, level: str, entry: Json) -> str:
        fields = request_fields(entry) if isinstance(entry, RequestRecord) else entry
        fields = {name: self._told(name, value) for name, value in fields.items()}
        if self._json:
            return _json_line(at, level, fields) + "\n"
        return _console_line(at, level, fields, self._colour) + "\n"

    def _write(self, lines: str) -> None:
        """One call for all of them: a terminal that is not buffered takes each as a system call."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines += self._line(
                time.time(), "warning", {"message": "log lines dropped: the log could not keep up", "dropped": dropped}
            )
        try:
            self._stream.write(lines)
            self._stream.flush()
        except (OSError, ValueError):
            self._dropped += 1  # the terminal has gone; a log must not end the process

    def _told(self, name: str, value: Json) -> Json:
        if isinstance(value, bool | int | float) or value is None or name in _IDENTIFIERS:
            return value
        text = str(value)
        return self._redact_again(text) if len(text) <= _REMEMBERED_CHARS else self._redact(text)


def request_fields(record: RequestRecord) -> dict[str, Json]:
    """What a request's line tells. No prompt, no answer, no key."""
    failed = [f"{attempt.target}:{attempt.kind}" for attempt in record.attempts if attempt.kind != "ok"]
    return {
        "message": "request",
        "status": record.status,
        "outcome": record.outcome,
        "model": record.model,
        "asked": record.model_asked,
        "route": ">".join(record.route),
        "attempts": len(record.attempts),
        **({"failed": ",".join(failed[:10])} if failed else {}),
        **({"error": record.error} if record.error else {}),
        "stream": record.stream,
        "tokens": record.usage.total_tokens if record.usage else None,
        "duration_ms": round(record.duration_ms, 1),
        "request_id": record.request_id,
        **({"trace_id": record.traceparent.split("-")[1]} if record.traceparent else {}),
    }


def _json_line(at: float, level: str, fields: dict[str, Json]) -> str:
    return json.dumps({"time": round(at, 3), "level": level, **fields}, ensure_ascii=False, default=str)


def _console_line(at: float, level: str, fields: dict[str, Json], colour: bool) -> str:
    fields = dict(fields)
    clock = time.strftime("%H:%M:%S", time.localtime(at))
    head = str(fields.pop("message", ""))
    if head == "request":
        outcome = "" if fields["outcome"] == "completed" else f" {fields['outcome']}"
        head = (
            f"{fields.pop('status')}{outcome:<10} {fields.pop('duration_ms'):>8.1f}ms {fields.pop('model') or '-':<32}"
        )
        fields.pop("outcome")
    rest = " ".join(f"{name}={_word(value)}" for name, value in fields.items() if value not in (None, "", False))
    text = f"{clock} {level:<7} {head} {rest}".rstrip()
    return f"{_COLOURS[level]}{text}{_RESET}" if colour and _COLOURS[level] else text


def _word(value: Json) -> str:
    """A value on one line: control characters cannot forge a second one."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c.isspace() or not c.isprintable() for c in text) else text
