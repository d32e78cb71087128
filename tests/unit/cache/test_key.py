"""The digest of what was asked: what says nothing to it, what it refuses, and that it is keyed."""

from __future__ import annotations

import pytest

from cache.key import DIGEST_BYTES, Keys, NoKey

KEYS = Keys(b"secret")


def digest(raw: bytes | str, *scope: object, name: str = "x") -> bytes:
    return KEYS.digest(scope, {name: raw.encode() if isinstance(raw, str) else raw})


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


def test_names_scope_and_their_borders_count() -> None:
    same = digest("1")
    assert digest("1", name="y") != same
    assert digest("1", None) != same
    assert digest("1", "a", "b") != digest("1", "ab")
    assert digest("1", ["a"]) != digest("1", "a")
    assert KEYS.digest((), {}) != KEYS.digest(({},), {})


def test_the_order_of_members_says_nothing() -> None:
    assert KEYS.digest((), {"a": b"1", "b": b"2"}) == KEYS.digest((), {"b": b"2", "a": b"1.0"})


def test_the_digest_is_keyed_and_short() -> None:
    assert len(digest("1")) == DIGEST_BYTES == 16
    assert Keys(b"other").digest((), {"x": b"1"}) != digest("1")
    assert Keys(b"secret").digest((), {"x": b"1"}) == digest("1")
    # Where the secret ends is part of it.
    assert Keys(b"a").digest(("b",), {}) != Keys(b"a[").digest(("b",), {})


@pytest.mark.parametrize(
    "raw", ["1e400", "-1e400", "{", '"\\q"', '"\\ud800"', "[1e999]", "nul", "[" * 100_000, b'"\xff"']
)
def test_what_has_no_canonical_form_has_no_key(raw: str | bytes) -> None:
    with pytest.raises(NoKey):
        digest(raw)


def test_parts_differ_by_what_they_share_and_by_themselves() -> None:
    one, other = digest("1"), digest("2")
    assert KEYS.part(one, "a") == KEYS.part(one, "a")
    found = {KEYS.part(whole, value) for whole in (one, other) for value in ("a", "b", [1], [1, 2], ["a"], [["a"]])}
    assert len(found) == 12
    assert one not in found
