"""Two requests share a digest exactly if they mean the same: whatever JSON they are, and however it is spelt."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given

from cache.key import Keys

Json = Any
SCOPE = Keys(b"secret").scope("chat")

_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**62), 2**62).map(float),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXT, inner, max_size=4)),
    max_leaves=12,
)
MEMBERS = st.dictionaries(_TEXT, VALUES, max_size=4)
Choose = Callable[[int], int]  # one of so many ways


def spell(value: Json, choose: Choose) -> str:
    """One of the ways to write it."""
    gap = ("", " ", "\n", "\t \r")[choose(4)]
    if isinstance(value, dict):
        pairs = list(value.items())
        pairs = pairs[(turn := choose(len(pairs) or 1)) :] + pairs[:turn]
        if choose(2):
            pairs.reverse()
        written = [f"{_string(name, choose)}{gap}:{gap}{spell(each, choose)}" for name, each in pairs]
        return f"{{{gap}{f'{gap},'.join(written)}{gap}}}"
    if isinstance(value, list):
        return f"[{gap}{f',{gap}'.join(spell(each, choose) for each in value)}{gap}]"
    if isinstance(value, str):
        return _string(value, choose)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return _number(value, choose)


def _string(text: str, choose: Choose) -> str:
    way = choose(3)
    if way == 2:
        units = text.encode("utf-16-be")
        return '"' + "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2)) + '"'
    return json.dumps(text, ensure_ascii=way == 1).replace("/", "\\/" if choose(2) else "/")


def _number(value: float, choose: Choose) -> str:
    """Whole numbers that a double holds may be written as one; others are told digit by digit."""
    way = choose(4)
    if isinstance(value, int):
        if abs(value) > 2**53 or not way:
            return str(value)
        return (f"{value}.0", f"{value}.000e0", f"{value}0E-1")[way - 1]
    if value.is_integer() and abs(value) < 2**53 and way:
        return (str(int(value)), f"{int(value)}e+0", f"{int(value)}.0")[way - 1]
    return repr(value) if way < 2 else f"{value:.17g}".replace("e", "E") if "." in f"{value:.17g}" else repr(value)


def meaning(value: Json) -> Json:
    """Equal exactly if two values mean the same: Python alone would take True for 1."""
    if isinstance(value, dict):
        return ("object", frozenset((name, meaning(each)) for name, each in value.items()))
    if isinstance(value, list):
        return ("list", tuple(meaning(each) for each in value))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, float) and abs(value) >= 2**63:
        return ("double", value)  # what is so large is no count: it is what it is written as
    return ("number", value)


def digest(members: dict[str, Json], choose: Choose, *also: Json) -> bytes:
    return SCOPE.digest(spell(members, choose).encode(), (), also)


def plainly(ways: int) -> int:
    return 0


@given(MEMBERS, st.data())
def test_however_a_request_is_spelt_its_digest_is_the_same(members: dict[str, Json], data: st.DataObject) -> None:
    def choose(ways: int) -> int:
        return data.draw(st.integers(0, ways - 1))

    said = spell(members, choose)
    assert meaning(json.loads(said)) == meaning(members), "Python's own reader finds it again"
    assert SCOPE.digest(said.encode(), (), ("a", None)) == digest(members, plainly, "a", None)


@given(MEMBERS, MEMBERS)
@example({"a": 1}, {"a": True})
@example({"a": 0}, {"a": False})
@example({"a": None}, {})
@example({"a": [[], 1]}, {"a": [[1]]})
@example({"a": {"b": 1}}, {"a": ["b", 1]})
@example({"a": 2**64}, {"a": 2**64 + 1})
@example({"a": 2.0**60}, {"a": 2**60})
def test_two_requests_share_a_digest_exactly_if_they_mean_the_same(
    one: dict[str, Json], other: dict[str, Json]
) -> None:
    same = digest(one, plainly) == digest(other, plainly)
    assert same is (meaning(one) == meaning(other))


@given(MEMBERS, VALUES, VALUES)
def test_what_stands_besides_does_not_matter_and_all_else_does(
    members: dict[str, Json], one: Json, other: Json
) -> None:
    for name in ("user", "users"):
        said = [spell({**members, name: each}, plainly).encode() for each in (one, other)]
        first, second = (SCOPE.digest(each, ("user", "cache")) for each in said)
        assert (first == second) is (name == "user" or meaning(one) == meaning(other))


@given(MEMBERS, st.data())
def test_one_change_anywhere_makes_another_digest(members: dict[str, Json], data: st.DataObject) -> None:
    changed = data.draw(st.one_of(*(_changed(members, path) for path in _paths(members))))
    if meaning(changed) != meaning(members):
        assert digest(changed, plainly) != digest(members, plainly)


@given(MEMBERS, st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_what_else_was_asked_counts_as_much(members: dict[str, Json], one: list[Json], other: list[Json]) -> None:
    one, other = _bounded(one), _bounded(other)
    same = digest(members, plainly, *one) == digest(members, plainly, *other)
    assert same is (meaning(one) == meaning(other))


def _bounded(value: Json) -> Json:
    """That is the gateway's own: names, digests and header values; no number is in it."""
    if isinstance(value, dict):
        return {name: _bounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_bounded(each) for each in value]
    return value if value is None or isinstance(value, (bool, str)) else str(value)


def _paths(value: Json) -> list[tuple[str | int, ...]]:
    """Of the value itself and of all that is in it."""
    found: list[tuple[str | int, ...]] = [()]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in pairs:
        found += [(name, *rest) for rest in _paths(each)]
    return found


def _changed(value: Json, path: tuple[str | int, ...]) -> st.SearchStrategy[Json]:
    """The same with something else at the end of the path."""
    if not path:
        return MEMBERS
    name, *rest = path

    def put(new: Json) -> Json:
        def at(old: Json, way: tuple[str | int, ...]) -> Json:
            if not way:
                return new
            copy = dict(old) if isinstance(old, dict) else list(old)
            copy[way[0]] = at(old[way[0]], way[1:])
            return copy

        return at(value, (name, *rest))

    return VALUES.map(put)
