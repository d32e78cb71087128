"""cortex.yaml → `Config`, or everything that is wrong with it at once.

The steps, each of which goes on with what the one before could use: read, parse, put in variables, refuse what a later
version brings, validate by the schema, check what goes together. Whatever the file holds, no step raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cortex.config.diagnostics import Findings, Problem, Severity, Tree
from cortex.config.environment import substitute, variables
from cortex.config.files import read_text
from cortex.config.later import note_later
from cortex.config.schema import Config
from cortex.config.semantics import note_semantics
from cortex.config.validate import validate
from cortex.config.yaml_source import parse
from cortex.redact import Redactor


@dataclass(frozen=True, slots=True)
class Loaded:
    """`config` is None exactly if a problem is an error. `secrets` is every key in the file, usable or not."""

    config: Config | None
    problems: tuple[Problem, ...]
    path: Path
    secrets: frozenset[str] = field(repr=False, default=frozenset())


def load(path: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read a configuration file, with the `.env` beside it; None is the process's own environment. Raises nothing."""
    text = read_text(path)
    if isinstance(text, Problem):
        return Loaded(None, (text,), path)
    findings = Findings()
    source = parse(text, findings)
    if source.tree is None:
        return Loaded(None, findings.problems(str(path), source.places, Redactor()), path)
    values, problems = variables(path.parent, environ)
    tree = substitute(source.tree, values, findings)
    note_later(tree, findings)
    sound = validate(tree, findings)
    note_semantics(tree, sound, findings)
    secrets = frozenset(_secrets(tree))
    problems += findings.problems(str(path), source.places, Redactor(secrets))
    failed = any(problem.severity is Severity.ERROR for problem in problems)
    return Loaded(None if failed else sound.config, problems, path, secrets)


_SECRET_MEMBERS = frozenset({"keys", "client_keys", "admin_keys"})


def _secrets(tree: Tree) -> Iterator[str]:
    """Every text below a member that holds keys, wherever it stands: a misplaced key is a secret too."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name in _SECRET_MEMBERS:
                yield from _texts(value)
            else:
                yield from _secrets(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _secrets(value)


def _texts(tree: Tree) -> Iterator[str]:
    if isinstance(tree, str):
        yield from tree.replace(",", " ").split()  # in pieces, as no key has a space
    elif isinstance(tree, dict):
        for name, value in tree.items():
            if name != "account":
                yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)
