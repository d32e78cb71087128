"""What a provider's answer cites, as OpenAI's own client finds it: streamed and whole the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import openai
import pytest

from tests.support import upstream_replies as replies
from tests.support.conversation import client_of
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream
from tests.unit.providers.build import GOLDEN

ASK: Any = {"model": "cited", "messages": [{"role": "user", "content": "Is Oslo cold?"}]}
CITED = {
    ("anthropic", "citations"): [("Oslo is cold", "https://a.example/no"), (", they say.", "https://b.example/w")],
    ("gemini", "citations"): [
        ("Hé, Oslo", "https://a.example/no"),
        ("Oslo", "https://b.example/w"),
        ("Hé, Oslo is cold.", "https://c.example"),
    ],
    ("gemini", "grounded"): [
        ("Hé, Oslo", "https://a.example/no"),
        ("is cold.", "https://a.example/no"),
        ("is cold.", "https://b.example/w"),
        ("Hé, Oslo is cold.", "https://b.example/w"),
    ],
}


def found(text: str, annotations: Iterable[Any]) -> list[tuple[str, str]]:
    """The cited pieces of a text, with their URLs."""
    cited = [each["url_citation"] for each in annotations]
    return [(text[each["start_index"] : each["end_index"]], each["url"]) for each in cited]


async def streamed(client: openai.AsyncOpenAI) -> tuple[str, list[Any]]:
    deltas = [chunk.choices[0].delta async for chunk in await client.chat.completions.create(stream=True, **ASK)]
    annotations = [each for delta in deltas for each in (delta.model_extra or {}).get("annotations", ())]
    return "".join(delta.content or "" for delta in deltas), annotations


async def whole(client: openai.AsyncOpenAI) -> tuple[str, list[Any]]:
    message = (await client.chat.completions.create(**ASK)).choices[0].message
    return message.content or "", [each.model_dump() for each in message.annotations or ()]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("type_", "name"), CITED)
async def test_citations_are_annotations(type_: str, name: str, stream: bool) -> None:
    if stream:
        body = (GOLDEN / type_ / f"{name}.stream").read_bytes()
        reply = replies.body(body, content_type="text/event-stream")
    else:
        body = (GOLDEN / type_ / f"{name}.answer.json").read_bytes()
        reply = replies.body(body, content_type="application/json")
    async with Upstream(reply) as upstream:
        config = {"cited": {"type": type_, "base_url": upstream.url, "keys": ["key-1"]}}
        async with Gateway({"providers": config}) as gateway, client_of(gateway) as client:
            text, annotations = await (streamed if stream else whole)(client)
    assert found(text, annotations) == CITED[type_, name]
