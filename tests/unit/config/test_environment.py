from __future__ import annotations

import os
from pathlib import Path

import pytest

from cortex.config.diagnostics import Findings
from cortex.config.environment import substitute, variables

VARIABLES = {"NAME": "value", "EMPTY": "", "TRICKY": "${NAME} $$ os.environ/NAME [1, 2]", "_a1": "x"}


def put_in(text: str) -> str:
    findings = Findings()
    tree = substitute({"a": text}, VARIABLES, findings)
    assert findings.holes.paths == set()
    return str(tree["a"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "value"),
        ("a ${NAME}${_a1} b", "a valuex b"),
        ("${NAME:-default}", "value"),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET:-http://localhost:11434}", "http://localhost:11434"),
        ("${UNSET:-a$$b}", "a$b"),
        ("${EMPTY}", ""),
        ("${UNSET:-15}m", "15m"),
        ("os.environ/NAME", "value"),
        ("os.environ/EMPTY", ""),
        ("see os.environ/NAME", "see os.environ/NAME"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("$NAME $ {NAME} 5$", "$NAME $ {NAME} 5$"),
        ("${TRICKY}", VARIABLES["TRICKY"]),
    ],
)
def test_substitution(text: str, value: str) -> None:
    assert put_in(text) == value


def test_only_string_values_are_looked_at() -> None:
    tree = {"${NAME}": [1, None, True, {"b": "${NAME}"}]}
    assert substitute(tree, VARIABLES, Findings()) == {"${NAME}": [1, None, True, {"b": "value"}]}


def test_what_cannot_be_completed_is_a_hole_and_the_rest_goes_on() -> None:
    findings = Findings()
    tree = substitute({"a": ["${UNSET}", "${NAME}"], "b": "${not a name}"}, VARIABLES, findings)
    assert findings.holes.paths == {("a", 0), ("b",)}
    assert tree["a"][1] == "value"


def env_file(folder: Path, text: str) -> Path:
    (folder / ".env").write_text(text, encoding="utf-8")
    return folder


def test_the_environment_wins_over_the_file_and_is_not_changed(tmp_path: Path) -> None:
    environ = {"A": "process", "C": ""}
    found, problems = variables(env_file(tmp_path, "A=file\nB='quoted # text'\nexport C=file\nD\n"), environ)
    assert found == {"A": "process", "B": "quoted # text", "C": ""}
    assert problems == ()
    assert environ == {"A": "process", "C": ""}


def test_the_file_is_taken_as_it_stands(tmp_path: Path) -> None:
    assert variables(env_file(tmp_path, "A=${HOME}\n"), {})[0] == {"A": "${HOME}"}


def test_the_process_is_asked_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_TEST_VARIABLE", "here")
    before = dict(os.environ)
    found, _ = variables(env_file(tmp_path, "CORTEX_TEST_OTHER=there\n"), None)
    assert (found["CORTEX_TEST_VARIABLE"], found["CORTEX_TEST_OTHER"]) == ("here", "there")
    assert dict(os.environ) == before


def test_a_line_that_is_no_assignment_is_a_warning_that_does_not_quote_it(tmp_path: Path) -> None:
    found, problems = variables(env_file(tmp_path, "A=1\n=canary\nB=2\n"), {})
    assert found == {"A": "1", "B": "2"}
    assert [str(problem) for problem in problems] == [
        f"{tmp_path / '.env'}:2:1: warning: not an assignment: the line is ignored"
    ]


def test_a_folder_of_that_name_is_not_meant(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert variables(tmp_path, {"A": "1"}) == ({"A": "1"}, ())


def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    found, (problem,) = variables(tmp_path, {"A": "1"})
    assert found == {"A": "1"}
    assert str(problem) == f"{tmp_path / '.env'}:1:3: is not UTF-8 text"
