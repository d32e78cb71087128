"""Which of a conversation's messages are a human's turns, and what they say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.dialects.members import read_chat
from cortex.errors import Fault
from cortex.human_turn import EDGE_CHARS, LOOK_BYTES, HumanTurn, last_human_turn

NOISE = "<system-reminder>\nToday is Monday.\n</system-reminder>"


def said(*messages: tuple[str, Any]) -> HumanTurn:
    return last_human_turn(msgspec.json.encode([{"role": role, "content": content} for role, content in messages]))


def text(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": each} for each in texts]


def test_turns_are_the_humans_and_instructions_come_before() -> None:
    turn = said(
        ("system", "Be brief."),
        ("developer", text("Be kind.", "Be fast.")),
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("system", "Later."),
        ("user", text("What is this?")),
    )
    assert turn == HumanTurn("What is this?", 2, "Hello", "Be brief.\nBe kind.\nBe fast.")


def test_what_is_no_humans_is_passed_over() -> None:
    turn = said(
        ("user", NOISE),
        ("user", text(NOISE, "Fix the parser", NOISE)),
        ("assistant", None),
        ("tool", "def parse(): …"),
        ("function", "result"),
        ("user", [{"type": "tool_result", "content": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}]),
        ("user", text("[read_file for 'a.py'] Result:", "def parse(): …")),
        ("user", "[Request interrupted by user]"),
        ("human", "no role of OpenAI's"),
    )
    assert turn == HumanTurn("Fix the parser", 1, "Fix the parser")


@pytest.mark.parametrize(
    "messages",
    [[], [("system", "Be brief.")], [("system", "Be brief."), ("user", NOISE), ("assistant", "Hi")]],
)
def test_where_no_human_has_spoken_there_is_no_turn(messages: list[tuple[str, Any]]) -> None:
    turn = said(*messages)
    assert (turn.text, turn.number, turn.first) == ("", 0, "")
    assert turn.system == ("Be brief." if messages else "")


@pytest.mark.parametrize("content", [None, 1, True, {}, {"text": "x"}, [], [1, None, "x", []], [{"type": "text"}]])
def test_content_of_another_form_holds_no_words(content: object) -> None:
    assert said(("user", "Hello"), ("user", content), ("system", content)) == HumanTurn("Hello", 1, "Hello")


def test_parts_of_another_form_do_not_hide_the_others() -> None:
    parts = [1, {"type": "text", "text": None}, {"type": 1, "text": "x"}, "x", *text("Hello"), None]
    assert said(("user", parts)) == HumanTurn("Hello", 1, "Hello")


@pytest.mark.parametrize(
    "messages",
    [
        *(b"", b"null", b"{}", b"[1]", b'[{"role": "user"}]', b'[{"role": 1}]'),
        *(b'[{"role": "user", "content": "\\ud800"}]', b'[{"role": "user", "content": "\xff"}]'),
        b'[{"role": "user", "content": ' + b"[" * 5000 + b"]" * 5000 + b"}]",
    ],
    ids=lambda messages: repr(messages[:40]),
)
def test_what_cannot_be_read_holds_no_words(messages: bytes) -> None:
    assert last_human_turn(messages) == HumanTurn()


def test_a_long_message_is_looked_at_at_its_ends() -> None:
    long = "a" * EDGE_CHARS + "b" * EDGE_CHARS + "c" * EDGE_CHARS
    assert said(("user", long)).text == "a" * EDGE_CHARS + "\n" + "c" * EDGE_CHARS
    assert said(("user", "a" * 2 * EDGE_CHARS)).text == "a" * 2 * EDGE_CHARS
    many = said(("user", text(*["a" * 1000] * 40, *["b" * 1000] * 40, *["c" * 1000] * 40)))
    assert len(many.text.replace("\n", "")) == 2 * EDGE_CHARS
    assert "b" not in many.text


@pytest.mark.parametrize("tag", ["system-reminder", "context"])
def test_a_question_after_a_long_file_is_found(tag: str) -> None:
    noise = f"<{tag}>\n{'x = 1' * 30_000}\n</{tag}>"
    for content in (f"{noise}\nWhy so slow?", text(noise, "Why so slow?"), text("Why so slow?", noise)):
        assert said(("user", content)).text == "Why so slow?"
    assert said(("user", f"Tell me:\n{noise}\nWhy so slow?")).text == "Tell me:\nWhy so slow?"


def test_a_question_after_a_long_fence_is_found() -> None:
    fence = "```a.py\n" + "x = 1\n" * 20_000 + "```\n"
    assert said(("user", f"{fence}Why so slow?")).text == "```a.py\nx = 1\nWhy so slow?"


def test_the_instructions_are_bounded() -> None:
    turn = said(*[("system", "a" * 1000)] * 1000)
    assert turn.system == ("\n".join(["a" * 1000] * 1000))[:EDGE_CHARS]


def test_of_a_very_long_conversation_the_ends_are_looked_at() -> None:
    noise = ("user", f"<system-reminder>{'x' * 1000}</system-reminder>")
    many = LOOK_BYTES // 1000 * 4
    turn = said(("user", "First"), *[noise] * many, ("user", "Last"), *[noise] * 10)
    assert (turn.text, turn.first) == ("Last", "First")
    assert 2 < turn.number <= many + 2
    assert said(("user", "First"), ("user", "Second"), *[noise] * many) == HumanTurn("Second", 2, "First")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "user", "", NOISE, "Hello", "\ud7ff"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "text", "content", "role"]), inner),
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "tool", "x"])}, optional={"content": JSON})


@settings(deadline=None)
@given(messages=st.lists(MESSAGE, min_size=1) | JSON)
def test_whatever_a_request_may_hold_there_is_an_answer(messages: object) -> None:
    try:
        members, _ = read_chat(msgspec.json.encode({"messages": messages}))
    except Fault:
        return
    turn = last_human_turn(bytes(members["messages"]))
    assert bool(turn.text) == bool(turn.first) == bool(turn.number)


@settings(deadline=None)
@given(content=st.binary(max_size=40))
def test_nor_do_any_bytes_fail(content: bytes) -> None:
    last_human_turn(b'[{"role": "user", "content": "' + content + b'"}]')
