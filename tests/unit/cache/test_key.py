"""The digest of what was asked: what says nothing to it, what it refuses, and that it is keyed."""

from __future__ import annotations

import pytest

from cache.key import DIGEST_BYTES, Keys, NoKey, Scope

KEYS = Keys(b"secret")
SCOPE = KEYS.scope("chat")


def digest(raw: bytes | str, *also: object, name: str = "x", scope: Scope = SCOPE) -> bytes:
    """Of an object with this one member."""
    value = raw.encode() if isinstance(raw, str) else raw
    return scope.digest(b'{"%s":%s}' % (name.encode(), value), (), also)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "1e0"),
        ("1", "10e-1"),
        ("100", "1E+2"),
        ("0", "-0"),
        ("0", "-0.0"),
        ("0.5", "5e-1"),
        ("0.1", "0.10"),
        ("9007199254740992", "9007199254740992.0"),
        ("[1, 2]", "[1,2]"),
        ('{"a": 1, "b": {"c": 2, "d": 3}}', '{ "b":{"d":3.0,\n"c":2},"a":1}'),
        ('"é"', '"\\u00e9"'),
        ('"🙂"', '"\\ud83d\\ude42"'),
        ('"a/b\\n"', '"a\\/b\\u000a"'),
        ('{"\\u0061": 1}', '{"a": 1}'),
    ],
)
def test_how_a_value_is_spelt_says_nothing(one: str, other: str) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "2"),
        ("1", '"1"'),
        ("1", "true"),
        ("0", "false"),
        ("0", "null"),
        ("null", '""'),
        ("[]", "{}"),
        ("[]", "null"),
        ("[1, 2]", "[2, 1]"),
        ("[[1], 2]", "[1, [2]]"),
        ('["a", "b"]', '["a,b"]'),
        ('"a"', '"A"'),
        ('"a"', '"a "'),
        ('"é"', '"e\u0301"'),  # the same to the eye, and other characters
        ('{"a": 1}', '{"a": 1, "b": null}'),
        ('{"a": 1}', '{"A": 1}'),
        ('{"1": 2}', "[1, 2]"),
        ("9007199254740993", "9007199254740992"),  # which are one double
        ("18446744073709551615", "18446744073709551614"),
        ("10000000000000000000001", "10000000000000000000002"),
        ("-10000000000000000000001", "-10000000000000000000002"),
        ("0.1", "0.10000000000000002"),
    ],
)
def test_any_other_difference_counts(one: str, other: str) -> None:
    assert digest(one) != digest(other)


def test_names_and_what_else_was_asked_count() -> None:
    same = digest("1")
    assert digest("1", name="y") != same
    assert digest("1", None) != same
    assert digest("1", "a", "b") != digest("1", "ab")
    assert digest("1", ["a"]) != digest("1", "a")


def test_a_member_besides_does_not_matter_wherever_it_stands() -> None:
    plain = SCOPE.digest(b'{"b":{"a":1}}', ("a",))
    assert SCOPE.digest(b'{"a":5,"b":{"a":1}}', ("a",)) == plain
    assert SCOPE.digest(b'{"b":{"a":1.0},"\\u0061":[]}', ("a",)) == plain
    assert SCOPE.digest(b'{"b":{"a":2}}', ("a",)) != plain, "inside another it is another"


def test_scopes_and_secrets_keep_the_same_words_apart() -> None:
    where = [("chat",), ("chat", ""), ("chat", "x"), ("chatx",), ("x", "chat"), ()]
    found = {digest("1", scope=Keys(secret).scope(*each)) for each in where for secret in (b"a", b"b", b"")}
    assert len(found) == 18
    assert digest("1", scope=Keys(b"secret").scope("chat")) == digest("1")


def test_the_digest_is_short() -> None:
    assert len(digest("1")) == DIGEST_BYTES == 16


@pytest.mark.parametrize(
    "raw", ["1e400", "-1e400", "{", '"\\q"', '"\\ud800"', "[1e999]", "nul", "[" * 100_000, b'"\xff"', "1}, {"]
)
def test_what_has_no_canonical_form_has_no_key(raw: str | bytes) -> None:
    with pytest.raises(NoKey):
        digest(raw)


def test_parts_differ_by_what_they_share_and_by_themselves() -> None:
    one, other = digest("1"), digest("2")
    assert SCOPE.part(one, "a") == SCOPE.part(one, "a")
    found = {SCOPE.part(whole, value) for whole in (one, other) for value in ("a", "b", [1], [1, 2], ["a"], [["a"]])}
    assert len(found) == 12
    assert one not in found
