from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from cortex.config.diagnostics import Findings, Place
from cortex.config.yaml_source import parse
from cortex.redact import Redactor


def read(text: str) -> Any:
    findings = Findings()
    source = parse(text, findings)
    assert told(text) == []
    return source.tree


def told(text: str) -> list[str]:
    findings = Findings()
    source = parse(text, findings)
    return [f"{p.line}:{p.column} {p.path} {p.message}" for p in findings.problems("f", source.places, Redactor())]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[
            (word, word)
            for word in ("no", "yes", "on", "Off", "y", "1:30", "010", "-07", "1_000", "0b1", "1e", ".", "0o8")
        ],
        *[("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None)],
        *[("0", 0), ("-12", -12), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0)],
        *[(".inf", math.inf), ("-.INF", -math.inf), ("2024-01-01", "2024-01-01"), ("9" * 5000, "9" * 5000)],
        *[('"5"', "5"), ("'true'", "true"), ("|\n  a\n  b\n", "a\nb\n"), (">\n  1\n", "1\n")],
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(read("a: .nan")["a"])


def test_places_of_keys_and_values_count_from_one() -> None:
    source = parse("a:\n  b: [1, {c: x}]\n", Findings())
    assert source.places.keys[("a", "b")] == Place(2, 3)
    assert source.places.values[("a", "b", 0)] == Place(2, 7)
    assert source.places.keys[("a", "b", 1, "c")] == Place(2, 11)
    assert source.places.values[("a", "b", 1, "c")] == Place(2, 14)


def test_a_byte_beyond_ascii_is_one_column() -> None:
    assert parse("{ä: 1, b: 2}", Findings()).places.keys[("b",)] == Place(1, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", ["2:1 a duplicate key"]),
        ("a: {b: 1, b: 2}", ["1:11 a.b duplicate key"]),
        ("a: &x 1", ["1:4 a anchors are not supported"]),
        ("&x a: 1", ["1:1  anchors are not supported"]),
        ("a: *x", ["1:4 a aliases are not supported"]),
        ("*x : 1", ["1:1  aliases are not supported"]),
        ("a: !!str 1", ["1:4 a tags are not supported"]),
        ("a: !!python/object/apply:os.system [ls]", ["1:4 a tags are not supported"]),
        ("1: x", ["1:1  a key must be a string"]),
        ("true: x", ["1:1  a key must be a string"]),
        ("~: x", ["1:1  a key must be a string"]),
        ("? [a]\n: x", ["1:3  a key must be a string"]),
        ("? {a: &b 1}\n: x", ["1:3  a key must be a string", "1:7  anchors are not supported"]),
        ("1: {c: *d}", ["1:1  a key must be a string", "1:8  aliases are not supported"]),
        ("a: 1\n---\nb: 1", ["2:1  a second document starts here"]),
        ("a: 1\n...\n---\n", ["3:1  a second document starts here"]),
        ("", ["1:1  the file is empty"]),
        ("# comment", ["1:1  the file is empty"]),
        ("- a", ["1:1  must be a mapping"]),
        ("text", ["1:1  must be a mapping"]),
        ("a: \x01", ["1:4  control characters are not allowed"]),
        ("a: 1\nb: \x07", ["2:4  control characters are not allowed"]),
    ],
)  # fmt: skip
def test_structure(text: str, expected: list[str]) -> None:
    assert told(text) == expected


def test_structural_findings_come_together_and_the_rest_is_read() -> None:
    findings = Findings()
    source = parse("a: *x\nb: {c: 1, c: 2}\nd: !t 3\n4: 5\ne: f\n", findings)
    assert source.tree == {"a": None, "b": {"c": 1}, "d": 3, "e": "f"}
    assert findings.holes.paths == {("a",), ("b", "c"), ("d",)}
    assert len(findings.problems("f", source.places, Redactor())) == 4


def test_an_alias_within_a_part_that_is_thrown_away_harms_nothing_else() -> None:
    findings = Findings()
    assert parse("1: {a: *x}\nb: 2", findings).tree == {"b": 2}
    assert findings.holes.paths == set()


@pytest.mark.parametrize("depth", [31, 32, 500, 5000])
def test_depth_is_bounded(depth: int) -> None:
    problems = told("a: " + "[" * depth + "]" * depth)
    assert [problem for problem in problems if "deeper than 32" in problem] == problems
    assert bool(problems) == (depth > 31)


def test_the_parser_s_own_words_never_show() -> None:
    assert told("a: *canary\nb: @canary") == [
        "1:4 a aliases are not supported",
        "2:4  not valid YAML: a character that no value can start with",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r'a: "\U00110000"', "not valid YAML"),
        (r'a: "\UFFFFFFFF"', "not valid YAML"),
        ("a: [${X}]", "a substitution without quotes"),
        ("a: b: c", "not valid YAML: a `:` where no key can be"),
        ("a: \x01", "control characters are not allowed"),
    ],
)
def test_without_libyaml_the_same_is_told(text: str, message: str) -> None:
    findings = Findings()
    source = parse(text, findings, loader=yaml.SafeLoader)
    assert [problem.message for problem in findings.problems("f", source.places, Redactor())] == [message]


def test_without_libyaml_the_same_is_read() -> None:
    text = "a: {b: [1, no, 010], c: 'x'}\nd: |\n  y\n"
    assert parse(text, Findings(), loader=yaml.SafeLoader) == parse(text, Findings())
