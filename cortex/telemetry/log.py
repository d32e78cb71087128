"""The log: one line a request, and what the process has to say of itself. Written by a thread of its own.

A request never waits for the terminal or the disk: lines go through a bounded queue, and what does not fit is counted
and told with the next line that does. Every text passes the redactor.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import TextIO

from cortex.chat import Json
from cortex.telemetry.lines import JsonLines, Lines, Redact, TextLines
from cortex.telemetry.record import RequestRecord

LEVELS = ("debug", "info", "warning", "error")
_QUEUED_LINES = 10_000
_BATCH_S = 0.05


class Log:
    """Thread-safe. `redact` is applied in the writing thread, off the event loop."""

    def __init__(
        self,
        *,
        format: str = "console",
        level: str = "info",
        redact: Redact = lambda text: text,
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._queue: deque[tuple[float, str, Json]] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._awake = False  # the thread will look at the queue again without being told
        self._ending = False
        self._thread: threading.Thread | None = None
        self.configure(format=format, level=level, redact=redact)

    def configure(self, *, format: str, level: str, redact: Redact) -> None:
        """Also while it runs: a reload may change all of it."""
        self._levels = frozenset(LEVELS[LEVELS.index(level) :])
        self._lines: Lines = JsonLines(redact) if format == "json" else TextLines(redact, colour=self._stream.isatty())

    def start(self) -> None:
        self._ending = False
        self._thread = threading.Thread(target=self._write_all, name="cortex-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued and end the thread."""
        if self._thread is not None:
            self._ending = True
            self._wake.set()
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
        if level not in self._levels:
            return
        if len(self._queue) >= _QUEUED_LINES:
            self._dropped += 1
            return
        self._queue.append((time.time(), level, entry))
        if not self._awake:
            self._wake.set()

    def _write_all(self) -> None:
        while not (self._ending and not self._queue):
            if not self._queue:
                self._awake = False
                if not self._queue:  # what came before `_awake` was read as False has set the event, or is seen here
                    self._wake.wait()
                self._wake.clear()
            self._awake = True
            if not self._ending:
                time.sleep(_BATCH_S)  # one switch of threads a batch: a busy event loop is not woken for each line
            self._write([self._queue.popleft() for _ in range(len(self._queue))])

    def _write(self, batch: list[tuple[float, str, Json]]) -> None:
        """One call for all of them: a terminal that is not buffered takes each as a system call."""
        lines = [
            self._lines.request(at, level, entry)
            if isinstance(entry, RequestRecord)
            else self._lines.entry(at, level, entry)
            for at, level, entry in batch
        ]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            told = {"message": "log lines dropped: the log could not keep up", "dropped": dropped}
            lines.append(self._lines.entry(time.time(), "warning", told))
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            self._dropped += 1  # the terminal has gone; a log must not end the process
