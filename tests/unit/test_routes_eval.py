"""Reading prompts whose routes are known: all that can be wrong with a file, told at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.human_turn import last_human_turn
from cortex.routes_eval import (
    MAX_BYTES,
    MAX_FAULTS_SHOWN,
    MAX_LINES,
    Prompt,
    Refused,
    _prompt,
    classify_node,
    read_prompts,
)
from routing.graph import Cascade, Classify, Graph, Route, Target

TO = Target("local")
NODE = Classify((Route("code", TO, task="coding"), Route("contracts", TO, examples=("Is this clause valid?",))), TO)


def read(tmp_path: Path, *lines: str | bytes, node: Classify = NODE) -> list[Prompt]:
    file = tmp_path / "set.jsonl"
    file.write_bytes(b"\n".join(line.encode() if isinstance(line, str) else line for line in lines))
    return read_prompts(file, node)


def faults(tmp_path: Path, *lines: str | bytes, node: Classify = NODE) -> list[str]:
    """Each as LINE: fault, and the last line with their number."""
    with pytest.raises(Refused) as caught:
        read(tmp_path, *lines, node=node)
    return [reason.removeprefix(f"{tmp_path / 'set.jsonl'}:") for reason in caught.value.reasons]


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ('"route": "code"', "code"),
        ('"route": "contracts"', "contracts"),
        ('"route": null', None),
        ('"route": "default"', None),
        ('"task": "coding"', "code"),
        ('"task": null', None),
        ('"task": "default"', None),
    ],
)
def test_what_a_prompt_belongs_to(tmp_path: Path, label: str, wanted: str | None) -> None:
    (prompt,) = read(tmp_path, f'{{"text": "Hi", {label}}}')
    assert prompt.wanted == wanted


def test_a_route_called_default_is_meant_by_its_name(tmp_path: Path) -> None:
    node = Classify((Route("default", TO, examples=("x",)),), TO)
    lines = ('{"text": "Hi", "route": "default"}', '{"text": "Hi", "route": null}')
    assert [prompt.wanted for prompt in read(tmp_path, *lines, node=node)] == ["default", None]


def test_text_is_a_conversation_of_one_turn_and_messages_are_one_of_any(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "You are a clerk"},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "Grüße \u2028 und mehr"}]},
    ]
    text, conversation = read(
        tmp_path,
        json.dumps({"text": "Grüße \u2028 und mehr", "route": None}, ensure_ascii=False),
        json.dumps({"route": "code", "messages": messages}, ensure_ascii=False),
    )
    assert last_human_turn(text.messages).text == last_human_turn(conversation.messages).text == "Grüße \u2028 und mehr"
    assert last_human_turn(conversation.messages).number == 2


def test_empty_lines_a_mark_of_the_byte_order_other_ends_of_lines_and_further_members_are_taken(tmp_path: Path) -> None:
    lines = ('\ufeff{"text": "a", "route": null, "source": 7}\r', "", " \t\r", '{"text": "b", "route": "code"}\r', "")
    assert [(prompt.line, prompt.wanted) for prompt in read(tmp_path, *lines)] == [(1, None), (4, "code")]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nonsense", "is not JSON: JSON is malformed: invalid character (byte 4)"),
        ('{"text": "a", "route": null} {}', "is not JSON: JSON is malformed: trailing characters (byte 30)"),
        (b'{"text": "\xff", "route": null}', "is not UTF-8: invalid start byte at byte 10"),
        ("[]", "must be a JSON object"),
        ("3", "must be a JSON object"),
        ('{"route": null}', "neither `text` nor `messages` is there"),
        ('{"text": "a", "messages": [], "route": null}', "`text` and `messages` exclude each other"),
        ('{"text": 3, "route": null}', "`text` must be a string"),
        ('{"text": null, "route": null}', "`text` must be a string"),
        ('{"text": " \\n", "route": null}', "`text` is empty"),
        ('{"messages": [], "route": null}', "`messages` is empty"),
        ('{"messages": "Hi", "route": null}', "`messages`: expected `array`, got `str`"),
        ('{"messages": [{"role": 3}], "route": null}', "`messages[0].role`: expected `str`, got `int`"),
        ('{"text": "a"}', "neither `route` nor `task` is there"),
        ('{"text": "a", "route": "code", "task": "coding"}', "`route` and `task` exclude each other"),
        ('{"text": "a", "route": 3}', "`route` must be a string, or null for no route"),
        ('{"text": "a", "task": ["coding"]}', "`task` must be a string, or null for no route"),
        ('{"text": "a", "route": "coed"}', "no route is called 'coed'; did you mean 'code'?"),
        ('{"text": "a", "route": "coding"}', "no route is called 'coding'"),
        ('{"text": "a", "route": "zzz"}', "no route is called 'zzz'"),
        ('{"text": "a", "task": "codng"}', "'codng' is no task; did you mean 'coding'?"),
        (
            '{"text": "a", "task": "math"}',
            "no route has the task 'math'; \"route\": null says that it belongs to none",
        ),
        (f'{{"text": "a", "route": "{"x" * 65}"}}', "no route is called something of 65 letters"),
    ],
)
def test_one_fault(tmp_path: Path, line: str | bytes, fault: str) -> None:
    good = '{"text": "a", "route": null}'
    told, count = faults(tmp_path, good, line, good)
    assert (told.startswith(f"2: {fault}"), count) == (True, "1 problem"), told


def test_what_is_nested_too_deep_is_a_fault(tmp_path: Path) -> None:
    deep = "[" * 100 + "]" * 100
    deepest = "[" * 100_000 + "]" * 100_000
    first, second, _ = faults(
        tmp_path,
        f'{{"messages": [{{"role": "user", "content": {deep}}}], "route": null}}',
        f'{{"messages": {deepest}, "route": null}}',
    )
    assert first == "1: `messages` is nested deeper than 64 levels"
    assert second.startswith("2: is not JSON")


def test_all_faults_are_told_at_once_up_to_a_number(tmp_path: Path) -> None:
    twice = '{"text": 3, "route": "nowhere"}'
    told = faults(tmp_path, *[twice] * 3)
    assert [line.split(":")[0] for line in told] == ["1", "1", "2", "2", "3", "3", "6 problems"]
    told = faults(tmp_path, *[twice] * 1000)
    assert len(told) == MAX_FAULTS_SHOWN + 1
    assert told[-1] == f"2000 problems, of which {MAX_FAULTS_SHOWN} are shown"


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(Refused, match="holds no prompts"):
        read(tmp_path, content)


def test_too_many_lines_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="more than 100,000 lines"):
        read(tmp_path, *["nonsense"] * (MAX_LINES + 1))
    with pytest.raises(Refused, match="holds no prompts"):
        read(tmp_path, b"\n" * MAX_LINES)


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    with file.open("wb") as written:
        written.truncate(MAX_BYTES + 1)
    with pytest.raises(Refused, match="larger than 64 MiB"):
        read_prompts(file, NODE)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: No such file"):
        read_prompts(tmp_path / "nowhere", NODE)
    with pytest.raises(Refused, match="cannot be read: Is a directory"):
        read_prompts(tmp_path, NODE)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)
)
_members = st.sampled_from(["text", "messages", "route", "task", "role"])


@settings(deadline=None)
@given(st.binary(max_size=60) | st.dictionaries(_members, _values).map(lambda found: json.dumps(found).encode()))
def test_whatever_a_line_holds_is_a_prompt_or_a_fault(line: bytes) -> None:
    read = _prompt(1, line, NODE)
    assert isinstance(read, Prompt) or (read and all(read))


# Which node


def graph(**nodes: Classify | Cascade) -> Graph:
    return Graph(nodes, {})


def test_the_only_node_that_classifies_is_meant() -> None:
    assert classify_node(graph(chat=Cascade((TO,)), ask=NODE), None) == ("ask", NODE)


def test_of_several_one_must_be_named() -> None:
    two = graph(ask=NODE, tell=NODE, chat=Cascade((TO,)))
    assert classify_node(two, "tell") == ("tell", NODE)
    for asked, told in [
        (None, "several nodes classify; choose one with --node: ask, tell"),
        ("chat", "the node 'chat' does not classify; these do: ask, tell"),
        ("tel", "the node 'tel' is not in the configuration; these do: ask, tell"),
    ]:
        with pytest.raises(LookupError) as caught:
            classify_node(two, asked)
        assert str(caught.value) == told


def test_without_such_a_node_there_is_nothing_to_evaluate() -> None:
    with pytest.raises(LookupError, match="no node of the configuration classifies"):
        classify_node(graph(chat=Cascade((TO,))), None)
