"""What every dialect refuses, and where it says the fault is."""

from __future__ import annotations

import json
import re

import pytest

from cortex.dialects.members import MAX_DEPTH, read_chat, read_members
from cortex.errors import Fault, FaultKind

MESSAGES = b'"messages":[{"role":"user","content":"Hi"}]'


def nested(depth: int) -> bytes:
    return b'{"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def refused(body: bytes) -> Fault:
    with pytest.raises(Fault) as caught:
        read_chat(body)
    assert caught.value.kind is FaultKind.BAD_REQUEST
    assert caught.value.status == 400
    return caught.value


def test_members_keep_their_order_and_bytes() -> None:
    body = b'{ "z" : 1.50, "messages":[{"role":"user" , "name":"\\u00e9"}], "a": { "k" : [ 1e3 ] } }'
    members, _ = read_chat(body)
    assert {name: bytes(value) for name, value in members.items()} == {
        "z": b"1.50",
        "messages": b'[{"role":"user" , "name":"\\u00e9"}]',
        "a": b'{ "k" : [ 1e3 ] }',
    }
    assert list(members) == ["z", "messages", "a"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"hello", "byte 0"),
        (b"{" + MESSAGES + b",}", "byte 45"),
        (b"{" + MESSAGES + b"} trailing", "byte 47"),
        (b'{"messages":[{"role":"user"}],"temperature":NaN}', "byte 44"),
        (b'{"messages":[{"role":"user"}],"temperature":Infinity}', "byte 44"),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', "UTF-8"),
        (b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', "UTF-8"),
        (b'{"messages":[{"role":"user","content":"lone \\ud800 surrogate"}]}', "surrogate|escape"),
        (b'{"messages":[{"role":"user","content":"lone \\udc00 surrogate"}]}', "surrogate"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
    ],
)
def test_what_is_not_a_json_object_is_refused_saying_where(body: bytes, says: str) -> None:
    fault = refused(body)
    assert fault.code == "invalid_json"
    assert re.search(says, fault.message)


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ("null", "messages"),
        ('"Hi"', "messages"),
        ("{}", "messages"),
        ("[]", "messages"),
        ('["Hi"]', "messages[0]"),
        ('[{"role":"user"},{"content":"x"}]', "messages[1]"),
        ('[{"role":"user"},{"role":"user"},{"role":null}]', "messages[2].role"),
        ('[{"role":7}]', "messages[0].role"),
    ],
)
def test_messages_must_be_objects_with_a_role(messages: str | None, param: str) -> None:
    fault = refused(b"{}" if messages is None else f'{{"messages":{messages}}}'.encode())
    assert fault.param == param
    assert "messages" in fault.message


@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key"])
def test_a_request_cannot_say_where_it_goes(name: str) -> None:
    assert refused(b"{" + MESSAGES + f',"{name}":"http://169.254.169.254/"}}'.encode()).param == name
    escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
    assert refused(b"{" + MESSAGES + f',"{escaped}":null}}'.encode()).param == name


def test_unknown_members_are_kept() -> None:
    members, _ = read_chat(b"{" + MESSAGES + b',"temperature":0.20,"n":2,"x_vendor":{"a":null}}')
    assert list(members) == ["messages", "temperature", "n", "x_vendor"]


def test_nesting_is_bounded() -> None:
    assert read_members(nested(MAX_DEPTH))
    with pytest.raises(Fault, match="nested deeper than 64"):
        read_members(nested(MAX_DEPTH + 1))
    with pytest.raises(Fault, match="nested deeper than 64"):
        read_members(b'{"a":' * 100_000)


def test_brackets_in_strings_and_beside_each_other_are_no_nesting() -> None:
    value = {"text": '[{"' * 500 + "\\" * 3 + '"', "flat": [[{}] for _ in range(500)], "\\": "]" * 200}
    assert read_members(json.dumps(value).encode())


def test_brackets_that_do_not_match_are_invalid_json_not_a_crash() -> None:
    for body in (b"]" * 1000, b'{"a":' + b"[]" * 1000, b'{"a":"' + b"[" * 1000, b'{"a":[' + b"}" * 1000):
        with pytest.raises(Fault):
            read_members(body)


@pytest.mark.parametrize("beside", [b'""', b'"[[[["', b'"\\\\\\""'])
def test_long_texts_hide_no_nesting(beside: bytes) -> None:
    """Whatever stands in a long text, beside it, and however often the same text comes."""
    text = json.dumps('{"a": [' * 4000).encode()
    same = b'{"role":"user","content":' + text + b"}"
    body = b'{"messages":[' + b",".join([same] * 3) + b',{"role":"user","content":' + beside + b'}],"x":%b}'
    deepest = MAX_DEPTH - 1  # below the body itself
    members, _ = read_chat(body % (b"[" * deepest + b"]" * deepest))
    assert set(members) == {"messages", "x"}
    with pytest.raises(Fault, match="nested deeper than 64"):
        read_chat(body % (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH))


@pytest.mark.parametrize("depth", [65, 5_000, 2_000_000])
def test_no_depth_is_too_deep_to_be_refused(depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"0" + b"}")):
        for body in (b'{"messages":%b}', b'{"messages":[{"role":"user","content":%b}]}', b'{"model":%b}'):
            for whole in (True, False):
                with pytest.raises(Fault, match=r"nested deeper than 64|not valid JSON"):
                    read_chat(body % (opening * depth + (closing * depth if whole else b"")))
