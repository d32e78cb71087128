"""What a chat needs of a model, as its bytes tell."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.chat import ChatRequest
from routing.demand import CAPABILITIES

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "f"}}


def request(**members: object) -> ChatRequest:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": "hi"}], **members})
    return ChatRequest(
        msgspec.json.decode(body, type=dict[str, msgspec.Raw]), model=None, stream=False, include_usage=False
    )


def said(content: object) -> dict[str, object]:
    return {"messages": [{"role": "system"}, {"role": "user", "content": content}, {"role": "user", "content": None}]}


@pytest.mark.parametrize(
    ("members", "needs"),
    [
        ({}, set()),
        ({"tools": [TOOL]}, {"tools"}),
        ({"tools": []}, set()),
        ({"tools": None, "response_format": None}, set()),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, {"json_schema"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"response_format": {"type": "text", "note": "json_schema"}}, set()),
        (said([{"type": "text", "text": "What is this?"}, IMAGE]), {"vision"}),
        (said([{"type": "text", "text": "image_url"}]), set()),
        (said('{"type": "image_url"}'), set()),
        (said("image_url"), set()),
        (said([{"type": "text", "text": "x", "image_url": None}]), set()),
        ({**said([IMAGE]), "tools": [TOOL], "response_format": {"type": "json_schema"}}, set(CAPABILITIES)),
    ],
)
def test_needs(members: dict[str, object], needs: set[str]) -> None:
    assert request(**members).needs() == needs


def test_white_space_is_nothing() -> None:
    members = msgspec.json.decode(b'{"messages": [], "tools":  [] }', type=dict[str, msgspec.Raw])
    assert ChatRequest(members, model=None, stream=False, include_usage=False).needs() == set()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["image_url", "json_schema", "text", "\ud7ff"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "content", "image_url", "role"]), inner),
)


@settings(deadline=None)
@given(messages=JSON, tools=JSON, response_format=JSON)
def test_whatever_the_members_hold_there_is_an_answer(messages: object, tools: object, response_format: object) -> None:
    assert request(messages=messages, tools=tools, response_format=response_format).needs() <= set(CAPABILITIES)
