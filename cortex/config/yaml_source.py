"""YAML text → plain Python values, and the line and column of every one of them.

The rules are narrower than YAML: one document of mappings with string keys, lists and scalars. Scalars follow the core
rules of YAML 1.2: `no`, `on`, `1:30` and `010` are strings. Duplicate keys, anchors, aliases and tags are findings, and
the rest is read on. Values are built from the parser's events: nothing is constructed by a tag, and nesting is bounded
before it costs anything. Must not know what any key means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from cortex.config.diagnostics import Finding, Findings, Path, Place, Places, Tree

MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file. `tree` is None if there is nothing in it that could be used."""

    tree: dict[str, Tree] | None
    places: Places


def parse(text: str, findings: Findings, *, loader: Any = _LOADER) -> Source:
    """Read the text; whatever is wrong goes to `findings`. `loader` is libyaml's where it is there. Raises nothing."""
    reader = _Reader(findings)
    try:
        root = reader.document(yaml.parse(text, Loader=loader))
    except _TooDeep:
        return Source(None, reader.places)
    except yaml.reader.ReaderError as error:
        findings.add(Finding((), "control characters are not allowed", at=_place_at(text, error.position)))
        return Source(None, reader.places)
    except yaml.MarkedYAMLError as error:
        findings.add(_syntax_finding(text, error))
        return Source(None, reader.places)
    except (ValueError, OverflowError):
        # PyYAML's own scanner, used where libyaml is missing, lets an escape beyond Unicode fail in chr().
        findings.add(Finding((), "not valid YAML"))
        return Source(None, reader.places)
    if isinstance(root, dict):
        return Source(root, reader.places)
    if root is None and not findings.holes.touch(()):
        findings.add(Finding((), "the file is empty"))
    elif root is not None:
        findings.add(Finding((), "must be a mapping", "start with `providers:`"))
    return Source(None, reader.places)


class _TooDeep(Exception):
    """Told already; nothing more of the file is read."""


class _Reader:
    """Builds values from events. A part that cannot be used is read over with `path` None: it has no place."""

    def __init__(self, findings: Findings) -> None:
        self.places = Places()
        self._findings = findings
        self._events: Iterator[Any] = iter(())

    def document(self, events: Iterator[Any]) -> Tree:
        """The value of the one document; None if there is none."""
        self._events = events
        root: Tree = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._tell((), "a second document starts here", event, "keep everything in one")
                    break
                root = self._node(next(events), (), depth=0)
        return root

    def _node(self, event: Any, path: Path | None, *, depth: int) -> Tree:
        if path is not None:
            self.places.values[path] = _place(event)
        if not self._is_plain(event, path) and path is not None:
            self._findings.holes.add(path)
        if isinstance(event, yaml.CollectionStartEvent):
            if depth >= MAX_DEPTH:
                self._tell(path, f"nested deeper than {MAX_DEPTH} levels", event)
                raise _TooDeep
            read = self._mapping if isinstance(event, yaml.MappingStartEvent) else self._list
            return read(path, depth + 1)
        return None if isinstance(event, yaml.AliasEvent) else _scalar(event)

    def _is_plain(self, event: Any, path: Path | None) -> bool:
        """Whether the value is what it looks like. Tells of aliases, anchors and tags; an anchor alone does no harm."""
        if isinstance(event, yaml.AliasEvent):
            self._tell(path, "aliases are not supported", event, "write the value out")
            return False
        if event.anchor is not None:
            self._tell(path, "anchors are not supported", event)
        if event.tag is not None:
            self._tell(path, "tags are not supported", event)
            return False
        return True

    def _mapping(self, path: Path | None, depth: int) -> dict[str, Tree]:
        mapping: dict[str, Tree] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, path, mapping, depth)
            inside = (*path, key) if path is not None and key is not None else None
            value = self._node(next(self._events), inside, depth=depth)
            if key is not None:
                mapping[key] = value
        return mapping

    def _key(self, event: Any, path: Path | None, mapping: dict[str, Tree], depth: int) -> str | None:
        """The key, or None if what stands there cannot be one."""
        key = self._node(event, None, depth=depth)
        if isinstance(event, yaml.AliasEvent):
            return None
        if not isinstance(key, str):
            self._tell(path, "a key must be a string", event, "put it in quotes")
            return None
        if path is None:
            return key
        inside = (*path, key)
        if key in mapping:
            self._tell(inside, "duplicate key", event, f"line {self.places.keys[inside].line} has it already")
            self._findings.holes.add(inside)  # which of the two is meant nobody knows
            return None
        self.places.keys[inside] = _place(event)
        return key

    def _list(self, path: Path | None, depth: int) -> list[Tree]:
        items: list[Tree] = []
        for event in self._until(yaml.SequenceEndEvent):
            items.append(self._node(event, None if path is None else (*path, len(items)), depth=depth))
        return items

    def _until(self, end: type) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _tell(self, path: Path | None, message: str, event: Any, hint: str | None = None) -> None:
        self._findings.add(Finding(path or (), message, hint, at=_place(event)))


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _place_at(text: str, position: int) -> Place:
    before = text[:position]
    return Place(before.count("\n") + 1, position - before.rfind("\n"))


# --- scalars: the core schema of YAML 1.2 -----------------------------------------------------------------------

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# Python refuses to convert thousands of digits, and no setting needs a hundred.
_MAX_INT_CHARS = 100


def _scalar(event: Any) -> str | int | float | bool | None:
    text: str = event.value
    if event.style is not None and event.style != "":  # quoted, or a block
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) > _MAX_INT_CHARS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    return text


# --- syntax errors ----------------------------------------------------------------------------------------------

_UNQUOTED = "`${…}` inside {} or [] must stand in quotes"
_INDENTATION = "check the indentation, and that text with `: ` in it is quoted"
# The parser's words → ours, with what usually cures it. The first row that is part of its words counts.
_SYNTAX: tuple[tuple[str, str, str | None], ...] = (
    ("expected ',' or", "`,` or the closing bracket is missing", None),
    ("mapping values are not allowed", "a `:` where no key can be", _INDENTATION),
    ("could not find expected ':'", "a key without `:`", _INDENTATION),
    ("did not find expected key", "not a key of the mapping that it stands in", _INDENTATION),
    ("expected '-' indicator", "not an entry of the list that it stands in", _INDENTATION),
    ("expected <block end>", "does not fit the lines above", _INDENTATION),
    ("block sequence entries are not allowed", "a list cannot start here", _INDENTATION),
    ("tab", "a tab where spaces belong", "indent with spaces"),
    ("cannot start any token", "a character that no value can start with", "put the value in quotes"),
    ("unexpected end of stream", "a quote or bracket is not closed", None),
    ("escape", "an unknown escape in double quotes", "use single quotes, or write \\\\ for a backslash"),
    ("node content", "a value or a closing bracket is missing", None),
    ("tag", "tags are not supported", None),
)


def _syntax_finding(text: str, error: yaml.MarkedYAMLError) -> Finding:
    mark = error.problem_mark or error.context_mark
    at = Place(mark.line + 1, mark.column + 1) if mark is not None else None
    lines = text.splitlines()
    words = str(error.problem)
    line = lines[at.line - 1] if at is not None and at.line <= len(lines) else ""
    flow = "flow" in str(error.context) or "expected ',' or" in words
    if at is not None and flow and "${" in line[max(0, at.column - 2) : at.column]:
        return Finding((), "a substitution without quotes", _UNQUOTED, at=at)
    if at is not None and "cannot start any token" in words and line[at.column - 1 : at.column] == "\t":
        words = "tab"
    for fragment, message, hint in _SYNTAX:
        if fragment in words:
            return Finding((), f"not valid YAML: {message}", hint, at=at)
    return Finding((), "not valid YAML", at=at)
