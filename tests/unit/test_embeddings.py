"""Requests for embeddings in parts, and answers of parts joined."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cortex.chat import Usage
from cortex.embeddings import MAX_TEXTS, Embeddings, EmbeddingsRequest, join
from cortex.errors import Fault, FaultKind
from cortex.operation import Embed
from cortex.providers import CODECS, codec_for
from cortex.providers.codec import Encoded, Model
from routing.plan import Demand

SPLIT = {name: most for name in CODECS if (most := codec_for(name).max_texts) is not None}


def request(given: Any) -> EmbeddingsRequest:
    members = {"model": "m", "input": given, "user": "u"}
    return EmbeddingsRequest(
        {name: msgspec.Raw(msgspec.json.encode(each)) for name, each in members.items()}, "m", True
    )


def calls(type_: str, count: int) -> list[Encoded]:
    embed = Embed(request(["a"] * count), Demand(1, stream=False))
    chain: list[Encoded] = []
    call: Encoded | None = embed.encode(codec_for(type_), Model("m"))
    while call is not None:
        chain.append(call)
        call = call.then
    return chain


@pytest.mark.parametrize("count", [1, 3, 4, 6, 7])
def test_parts_keep_the_order_and_all_else(count: int) -> None:
    texts = [f"text {n}" for n in range(count)]
    whole = request(texts)
    parts = whole.split(3)
    assert [text for part in parts for text in part.body["input"]] == texts
    assert [len(part.body["input"]) for part in parts] == [3] * (count // 3) + ([count % 3] if count % 3 else [])
    for part in parts:
        assert (part.model, part.base64) == (whole.model, whole.base64)
        assert part.body == {**whole.body, "input": part.body["input"]}


@pytest.mark.parametrize(
    ("given", "most"), [("a text", 3), (["a", "b", "c"], 3), ([1, 2, 3, 4], 3), (["a"] * (MAX_TEXTS + 1), None)]
)
def test_what_is_one_part(given: Any, most: int | None) -> None:
    whole = request(given)
    assert whole.split(most) == [whole]


def test_texts_in_token_ids_are_parted_between_texts() -> None:
    assert [part.body["input"] for part in request([[1, 2], [3], [4]]).split(2)] == [[[1, 2], [3]], [[4]]]


def test_joined_answers() -> None:
    first = Embeddings("m", [[1.0], [2.0]], Usage(2, 0))
    assert join([first]) is first
    assert join([first, Embeddings("m", [[3.0]], Usage(1, 0))]) == Embeddings("m", [[1.0], [2.0], [3.0]], Usage(3, 0))
    assert join([first, Embeddings("m", [[3.0]], None)]).usage is None


def test_who_takes_only_so_many() -> None:
    assert SPLIT == {"cohere": 96, "gemini": 100}


@pytest.mark.parametrize(("type_", "most"), SPLIT.items())
def test_one_call_for_as_many_as_it_takes(type_: str, most: int) -> None:
    assert [call.memo for call in calls(type_, most)] == [most]
    assert [call.memo for call in calls(type_, most + 1)] == [most, 1]


@pytest.mark.parametrize("type_", sorted(SPLIT))
def test_the_calls_of_a_request_are_limited(type_: str) -> None:
    assert sum(call.memo for call in calls(type_, MAX_TEXTS)) == MAX_TEXTS
    with pytest.raises(Fault, match="2048") as caught:
        calls(type_, MAX_TEXTS + 1)
    assert (caught.value.kind, caught.value.param) == (FaultKind.UNSUPPORTED, "input")
