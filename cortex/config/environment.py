"""Variables in the configuration: `${NAME}`, `${NAME:-default}` and `os.environ/NAME` inside string values.

Variables come from a `.env` beside the file and from the process's environment, which wins and is never changed. A
value put in is text: it is not read for variables again, nor as YAML. Must not know what any key means.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath

from cortex.config.diagnostics import Finding, Findings, Path, Problem, Severity, Tree
from cortex.config.files import read_text

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
# In this order: an escaped dollar, a substitution, the beginning of something that is meant to be one.
_TOKEN = re.compile(rf"\$\$|\$\{{({_NAME})(?::-([^{{}}]*))?\}}|\$\{{")
_WHOLE = re.compile(r"os\.environ/(.*)", re.DOTALL)
_FORM = "write ${NAME} or ${NAME:-default}, and $$ for a plain $"


def variables(folder: FilePath, environ: Mapping[str, str] | None) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    """The variables in force: those of `.env` in the folder, overlaid by `environ` (None: the process's own)."""
    environ = os.environ if environ is None else environ
    path = folder / ".env"
    if not path.is_file():  # a directory of that name may be a virtual environment
        return environ, ()
    text = read_text(path)
    if isinstance(text, Problem):
        return environ, (text,)
    from dotenv.parser import parse_stream  # takes a while to import, and most files stand alone

    values: dict[str, str] = {}
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            message = "not an assignment: the line is ignored"
            problems.append(Problem(str(path), binding.original.line, 1, "", message, severity=Severity.WARNING))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return {**values, **environ}, tuple(problems)


def substitute(tree: Tree, variables: Mapping[str, str], findings: Findings) -> Tree:
    """The tree with every variable put in. A value that cannot be completed is a finding and a hole."""

    def complete(text: str, path: Path) -> str:
        value, problems = _complete(text, variables)
        for message, hint in problems:
            findings.add(Finding(path, message, hint), hole=path)
        return value

    return _map_strings(tree, (), complete)


def _map_strings(tree: Tree, path: Path, change: Callable[[str, Path], str]) -> Tree:
    if isinstance(tree, str):
        return change(tree, path)
    if isinstance(tree, dict):
        return {key: _map_strings(value, (*path, key), change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_strings(value, (*path, index), change) for index, value in enumerate(tree)]
    return tree


_Told = tuple[str, str | None]


def _complete(text: str, variables: Mapping[str, str]) -> tuple[str, list[_Told]]:
    """The text with its variables put in, and what is wrong with it. Names are told, values never."""
    problems: list[_Told] = []
    if whole := _WHOLE.fullmatch(text):
        if not re.fullmatch(_NAME, whole[1]):
            return "", [("not the name of a variable after os.environ/", None)]
        return _required(whole[1], variables, problems), problems

    def put_in(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if match[0] == "$$":
            return "$"
        if name is None:
            problems.append(("not a substitution", _FORM))
            return ""
        if default is not None:
            return variables.get(name) or default.replace("$$", "$")
        return _required(name, variables, problems)

    return _TOKEN.sub(put_in, text), problems


def _required(name: str, variables: Mapping[str, str], problems: list[_Told]) -> str:
    value = variables.get(name)
    if value is None:
        problems.append((f"the variable {name} is not set", f"set it, or give a default: ${{{name}:-…}}"))
        return ""
    return value
