"""What a configuration may ask for in a later version: known, so that it is not taken for a slip of the pen.

One row a thing. A version that brings it deletes the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cortex.config.diagnostics import Finding, Findings, Path, Tree


@dataclass(frozen=True, slots=True)
class Later:
    """`path` leads to it, `*` standing for any key; `asks` tells whether a value there asks for it."""

    path: tuple[str, ...]
    what: str
    asks: Callable[[Tree], bool] = lambda value: True
    spoils: int = 0  # so many levels further up nothing is of use without it


def _one_of(*words: str) -> Callable[[Tree], bool]:
    return lambda value: isinstance(value, str) and value.strip().lower() in words


LATER = (
    Later(("telemetry", "traces"), "the export of traces"),
    Later(
        ("telemetry", "content"), "keeping prompts and answers", lambda value: value is True or _one_of("true")(value)
    ),
    Later(("server", "workers"), "more than one worker", lambda value: _one_of("auto")(value) or _above_one(value)),
)


def _above_one(value: Tree) -> bool:
    digits = str(value).strip()
    return digits.isdecimal() and int(digits[:9]) > 1


def note_later(tree: Tree, findings: Findings) -> None:
    """Tell what this version does not have, and take it out."""
    for row in LATER:
        for path, value in _matches(tree, row.path, ()):
            if row.asks(value) and not findings.holes.at_or_above(path):
                hole = path[: len(path) - row.spoils]
                findings.add(Finding(path, f"{row.what} is not available in this version"), hole=hole)


def _matches(tree: Tree, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Tree]]:
    if not pattern:
        yield path, tree
    elif isinstance(tree, dict):
        for key in tree if pattern[0] == "*" else [pattern[0]]:
            if key in tree:
                yield from _matches(tree[key], pattern[1:], (*path, key))
