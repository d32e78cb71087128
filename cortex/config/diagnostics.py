"""What is wrong with a configuration, told so that a person finds the line and mends it.

A message is made of our own words, of names that the schema knows and of names that the file gives to its own parts;
never of a value. Must not know how a problem was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias, cast

from cortex.redact import Redactor
from routing.graph import nearest

Path: TypeAlias = tuple[str | int, ...]  # the way to a value: ("providers", "groq", "keys", 0)
Tree: TypeAlias = Any  # mappings with string keys, lists and scalars

MAX_PROBLEMS = 100
_MAX_TEXT_CHARS = 400


class Severity(StrEnum):
    ERROR = "error"  # the configuration cannot be used
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    path: str  # "providers.groq.keys[0]", or "" for the whole
    message: str
    hint: str | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        warning = "warning" if self.severity is Severity.WARNING else ""
        what = f"{self.message}; {self.hint}" if self.hint else self.message
        return ": ".join(part for part in (where, warning, self.path, what) if part)


@dataclass(frozen=True, slots=True)
class Place:
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before it has a file: `at` overrides the place that belongs to `path`."""

    path: Path
    message: str
    hint: str | None = None
    severity: Severity = Severity.ERROR
    at: Place | None = None
    on_key: bool = False  # the key is at fault, not the value


@dataclass(slots=True)
class Places:
    """Where the keys and values of one file stand."""

    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def of(self, finding: Finding) -> Place:
        """The place of a finding; of the nearest part that contains it, if the file has no such path."""
        if finding.at is not None:
            return finding.at
        path = finding.path
        first, second = (self.keys, self.values) if finding.on_key else (self.values, self.keys)
        if place := first.get(path) or second.get(path):
            return place
        while path:
            path = path[:-1]
            if place := self.keys.get(path) or self.values.get(path):
                return place
        return Place(1, 1)


@dataclass(slots=True)
class Holes:
    """Parts of the file that are known to be wrong. What follows from them alone is not told a second time."""

    paths: set[Path] = field(default_factory=set)
    _above: set[Path] = field(default_factory=set)  # what contains a hole

    def add(self, path: Path) -> None:
        self.paths.add(path)
        self._above.update(path[:length] for length in range(len(path)))

    def at_or_above(self, path: Path) -> bool:
        return any(path[:length] in self.paths for length in range(len(path) + 1))

    def at_or_below(self, path: Path) -> bool:
        return path in self.paths or path in self._above

    def touch(self, path: Path) -> bool:
        return self.at_or_above(path) or self.at_or_below(path)


@dataclass(slots=True)
class Findings:
    """All that was found in one file, bounded: past `MAX_PROBLEMS` they are counted only."""

    holes: Holes = field(default_factory=Holes)
    _found: list[Finding] = field(default_factory=list)
    _more: list[Severity] = field(default_factory=list)

    def add(self, finding: Finding, *, hole: Path | None = None) -> None:
        """Note a finding. `hole`: the part that cannot be used because of it."""
        if hole is not None:
            self.holes.add(hole)
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(finding)
        else:
            self._more.append(finding.severity)

    @property
    def full(self) -> bool:
        """Whether a further finding would be counted only; its hint need not be worked out."""
        return len(self._found) >= MAX_PROBLEMS

    def problems(self, file: str, places: Places, redactor: Redactor) -> tuple[Problem, ...]:
        """Everything found, in the order of the file's lines, without secrets."""
        told = sorted(self._told(file, places, redactor), key=lambda problem: (problem.line, problem.column))
        if self._more:
            told.append(Problem(file, 0, 0, "", f"{len(self._more)} more problems", severity=min(self._more)))
        return tuple(told)

    def _told(self, file: str, places: Places, redactor: Redactor) -> Iterator[Problem]:
        for finding in self._found:
            place = places.of(finding)
            yield Problem(
                file,
                place.line,
                place.column,
                _cut(redactor.redact(written(finding.path))),
                _cut(redactor.redact(finding.message)),
                _cut(redactor.redact(finding.hint)) if finding.hint else None,
                finding.severity,
            )


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def written(path: Path) -> str:
    """A path as a person writes it: `providers.groq.keys[0]`, `models["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{quoted(part)}]"
    return text


def quoted(name: str) -> str:
    """A name from the file in quotes and on one line. Not cut: half a secret would not be known as one."""
    return '"' + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name) + '"'


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT_CHARS else f"{text[: _MAX_TEXT_CHARS - 1]}…"


def value_at(tree: Tree, path: Path) -> Any:
    """The value at a path. Raises LookupError if the tree has none there."""
    for part in path:
        fits = dict if isinstance(part, str) else list
        if not isinstance(tree, fits):
            raise LookupError(part)
        tree = cast("Any", tree)[part]
    return tree


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint for a misspelt name, if one of the known ones is like it."""
    return next((f"did you mean {quoted(match)}?" for match in nearest(name, known)), None)
