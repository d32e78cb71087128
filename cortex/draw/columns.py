"""Rows of words as aligned lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """One line a row; each column as wide as its widest word. A column without any word takes no room."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (indent + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True) if width)).rstrip()
        for row in rows
    ]
