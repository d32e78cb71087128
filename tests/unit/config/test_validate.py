from __future__ import annotations

from typing import Any

import pytest

from cortex.config.diagnostics import Findings, Places, Problem, Severity, quoted, written
from cortex.config.provider_types import PROVIDER_TYPES
from cortex.config.validate import Sound, validate
from cortex.redact import Redactor


def validated(tree: Any, *holes: tuple[str | int, ...]) -> tuple[Sound, list[str]]:
    findings = Findings()
    for hole in holes:
        findings.holes.add(hole)
    sound = validate(tree, findings)
    return sound, [f"{p.path}: {p.message}" for p in findings.problems("f", Places(), Redactor())]


def test_a_list_closes_up_and_its_items_keep_their_place_in_the_file() -> None:
    tree = {"models": {"chat": {"cascade": ["a", 1, "b", 2, "c"]}}}
    sound, told = validated(tree, ("models", "chat", "cascade", 0))
    assert told == ["models.chat.cascade[1]: must be a string", "models.chat.cascade[3]: must be a string"]
    assert sound.config.models["chat"].cascade == ("b", "c")
    assert sound.origin(("models", "chat", "cascade", 0)) == ("models", "chat", "cascade", 2)
    assert sound.origin(("models", "chat", "cascade", 1)) == ("models", "chat", "cascade", 4)
    assert sound.origin(("models", "other", 1)) == ("models", "other", 1)


def test_what_needs_a_part_that_is_wrong_goes_with_it_in_silence() -> None:
    tree = {"providers": {"a": {"type": 5, "priority": 1}, "b": {"type": "ollama"}}}
    sound, told = validated(tree)
    assert told == [f"providers.a.type: must be one of: {', '.join(PROVIDER_TYPES)}"]
    assert list(sound.config.providers) == ["b"]


def test_only_what_is_wrong_goes() -> None:
    sound, told = validated({"server": {"port": "x", "host": "::1"}, "timeouts": 5})
    assert told == ["server.port: must be a whole number", "timeouts: must be a mapping"]
    assert (sound.config.server.port, sound.config.server.host) == (4000, "::1")


def test_a_misspelt_key_is_not_missed() -> None:
    assert validated({"providers": {"a": {"tpye": "ollama"}}})[1] == ["providers.a.tpye: unknown key"]
    assert validated({"providers": {"a": {"zzz": "ollama"}}})[1] == [
        "providers.a.zzz: unknown key",
        "providers.a.type: is missing",
    ]


@pytest.mark.parametrize("tree", [{"\ud800": 1}, {"server": {"\ud800": 1}}, {"providers": {"\ud800": {}}}])
def test_a_key_that_is_no_text_ends_well(tree: Any) -> None:
    sound, told = validated(tree)
    assert len(told) == 1
    assert sound.config.server.port == 4000


def test_how_a_problem_reads() -> None:
    problem = Problem("cortex.yaml", 12, 5, "models.chat.cascade[1]", 'unknown target "grok"', 'did you mean "groq"?')
    assert str(problem) == 'cortex.yaml:12:5: models.chat.cascade[1]: unknown target "grok"; did you mean "groq"?'
    assert str(Problem("f", 0, 0, "", "does not exist")) == "f: does not exist"
    assert str(Problem("f", 1, 2, "a", "odd", severity=Severity.WARNING)) == "f:1:2: warning: a: odd"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("providers", "groq", "keys", 0), "providers.groq.keys[0]"),
        (("models", "a.b", "cascade"), 'models["a.b"].cascade'),
        (("a\nb",), '["a\N{REPLACEMENT CHARACTER}b"]'),
        (("",), '[""]'),
    ],
)
def test_how_a_path_reads(path: tuple[str | int, ...], text: str) -> None:
    assert written(path) == text


def test_a_name_from_the_file_stays_on_one_line() -> None:
    assert "\n" not in quoted("a\r\n\u2028b")
