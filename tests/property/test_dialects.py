"""Parsing a request: only `Fault` escapes, nothing is lost, and nesting is measured as a recursive count would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.dialects import openai_embeddings
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.members import MAX_DEPTH, read_members
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import Fault, FaultKind

PARSERS = [OpenAIDialect().parse, ApiChatDialect().parse, openai_embeddings.parse]

SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(['"', "\\", '[{"', "]}", '\\"['])
VALUES = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
NAMES = st.sampled_from(["messages", "input", "model", "stream", "stream_options", "provider", "n", "dimensions", "x"])


@given(st.binary(max_size=60) | st.dictionaries(NAMES, VALUES).map(lambda value: json.dumps(value).encode()))
def test_only_faults_escape(body: bytes) -> None:
    for parse in PARSERS:
        fault = refusal(parse, body)
        assert fault is None or fault.kind is FaultKind.BAD_REQUEST


def refusal(parse: Callable[[bytes], object], body: bytes) -> Fault | None:
    try:
        parse(body)
    except Fault as fault:
        return fault
    return None


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
def test_members_decode_to_what_was_sent(value: dict[str, Any], ensure_ascii: bool) -> None:
    members = read_members(json.dumps(value, ensure_ascii=ensure_ascii).encode())
    assert {name: msgspec.json.decode(raw) for name, raw in members.items()} == value
    assert list(members) == list(value)


@given(st.integers(MAX_DEPTH - 8, MAX_DEPTH + 8), VALUES, TEXT)
def test_nesting(depth: int, beside: Any, text: str) -> None:
    """There are always enough brackets, in strings and beside each other, that counting them alone says nothing."""
    value: Any = [text, *([{}] for _ in range(MAX_DEPTH))]
    for level in range(depth):
        value = [text, value] if level % 2 else {text: [], "next": value}
    value = [beside, value]
    body = json.dumps({"x": value}).encode()
    if nesting(json.loads(body)) <= MAX_DEPTH:
        read_members(body)
    else:
        with pytest.raises(Fault, match="nested deeper"):
            read_members(body)


def nesting(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(nesting, value.values()), default=0)
        case list():
            return 1 + max(map(nesting, value), default=0)
    return 0
