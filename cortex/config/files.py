"""Reading a small text file: everything that can be wrong with it is a problem, never an exception."""

from __future__ import annotations

import stat
from pathlib import Path

from cortex.config.diagnostics import Problem

MAX_BYTES = 1024 * 1024


def read_text(path: Path) -> str | Problem:
    """The file's text, UTF-8 with or without a byte-order mark."""
    try:
        # Asked before it is opened: opening a pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            return _problem(path, "is a directory" if path.is_dir() else "is not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return _problem(path, "does not exist")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else None
        return _problem(path, f"cannot be read: {reason or 'not a path'}")
    if len(data) > MAX_BYTES:
        return _problem(path, f"is larger than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8-sig", "replace")) + 1
        return Problem(str(path), before.count(b"\n") + 1, column, "", "is not UTF-8 text")


def _problem(path: Path, message: str) -> Problem:
    return Problem(str(path), 0, 0, "", message)
