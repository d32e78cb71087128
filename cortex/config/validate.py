"""A tree of plain values → `Config`, or all that keeps it from being one.

pydantic tells every fault of a tree at once, but gives nothing for a tree with faults. So the faulty parts are taken
out, one after the other, until the rest is valid: what is checked later sees everything that is sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cortex.config.diagnostics import Finding, Findings, Holes, Path, Tree, quoted, value_at
from cortex.config.scalars import REFUSED
from cortex.config.schema import Config
from cortex.config.section import Section
from routing.graph import nearest


@dataclass(frozen=True, slots=True)
class Sound:
    """What is left of a tree without its holes. A list that lost items has closed up."""

    config: Config
    _kept: Mapping[Path, list[int]]  # path of a list that has closed up → where its items were

    def origin(self, path: Path) -> Path:
        """The path in the file of a path in `config`."""
        return _origin(path, self._kept)


def validate(tree: Tree, findings: Findings) -> Sound:
    """The configuration that the sound parts of a tree make. Raises nothing."""
    while True:
        kept: dict[Path, list[int]] = {}
        # A fault that nothing in the file accounts for makes a hole of the whole.
        rest = {} if () in findings.holes.paths else _without(tree, (), findings.holes, kept)
        try:
            return Sound(Config.model_validate(rest), kept)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            # Misspelt keys first: they explain why another is missing.
            for detail in sorted(details, key=lambda detail: detail["type"] != _UNKNOWN):
                _note(detail, tree, kept, findings)


def _without(tree: Tree, path: Path, holes: Holes, kept: dict[Path, list[int]]) -> Tree:
    if isinstance(tree, Mapping):
        return {
            key: _without(value, (*path, key), holes, kept)
            for key, value in tree.items()
            if (*path, key) not in holes.paths
        }
    if isinstance(tree, list):
        places = [index for index in range(len(tree)) if (*path, index) not in holes.paths]
        if len(places) < len(tree):
            kept[path] = places
        return [_without(tree[index], (*path, index), holes, kept) for index in places]
    return tree


def _origin(path: Path, kept: Mapping[Path, list[int]]) -> Path:
    origin: Path = ()
    for part in path:
        places = kept.get(origin)
        origin = (*origin, places[part] if places and isinstance(part, int) and part < len(places) else part)
    return origin


# --- pydantic's errors in our words -----------------------------------------------------------------------------

_UNKNOWN = "extra_forbidden"
_MISSING = "missing"
_MESSAGES = {
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
}


def _note(detail: ErrorDetails, tree: Tree, kept: Mapping[Path, list[int]], findings: Findings) -> None:
    """Add one error as a finding, and take the part that it is about out of the tree."""
    path = _origin(tuple(part for part in detail["loc"] if part != "[key]"), kept)
    on_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    if detail["type"] == _MISSING:
        # Without a member that it needs the whole is of no use. Taken out for its own fault, it is told already.
        if not findings.holes.touch(path):
            findings.add(Finding(path, "is missing"))
        findings.holes.add(path)
        findings.holes.add(path[:-1])
        return
    path = _existing(tree, path)
    if detail["type"] == _UNKNOWN:
        _note_unknown(path, findings)
        return
    context = detail.get("ctx", {})
    refused = detail["type"] == REFUSED
    message = context["message"] if refused else _MESSAGES.get(detail["type"], "is not valid")
    hint = context["hint"] if refused else None
    findings.add(Finding(path, message, hint, on_key=on_key), hole=path)


def _note_unknown(path: Path, findings: Findings) -> None:
    name = str(path[-1])
    known = members(path[:-1])
    meant = None if findings.full else next(iter(nearest(name, known)), None)
    if meant is not None:
        hint = f"did you mean {quoted(meant)}?"
        findings.holes.add((*path[:-1], meant))  # it is there, under a wrong name: nothing else is to miss it
    else:
        hint = f"known here: {', '.join(known)}"
    findings.add(Finding(path, "unknown key", hint, on_key=True), hole=path)


def _existing(tree: Tree, path: Path) -> Path:
    """The path, or the nearest part that contains it and stands in the file."""
    while path:
        try:
            value_at(tree, path)
        except LookupError:
            path = path[:-1]
        else:
            break
    return path


def members(path: Path) -> tuple[str, ...]:
    """The keys that the schema knows in the mapping at a path."""
    inside: Any = Config
    for part in path:
        inside = _step(inside, part)
    section = _section(inside)
    return tuple(section.model_fields) if section else ()


def _step(annotation: Any, part: str | int) -> Any:
    """The type that a key or an index leads to."""
    if section := _section(annotation):
        member = section.model_fields.get(str(part))
        return member.annotation if member else None
    if get_origin(annotation) in (Union, UnionType):
        return next((_step(option, part) for option in get_args(annotation) if option is not NoneType), None)
    contained = [argument for argument in get_args(annotation) if argument is not ...]
    return contained[-1] if contained else None


def _section(annotation: Any) -> type[Section] | None:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, Section)), None)
