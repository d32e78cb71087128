"""A conversation that starts on one provider continues on any other, tools included: every pair, in one gateway."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.conversation import CALL, RESULT, TEXT, TOOLS, client_of, opening
from tests.support.gateway import Gateway
from tests.support.speakers import Said, Speaker
from tests.support.speakers_own import SPEAKERS
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

ROME = ("get_weather", {"city": "Rome"})
RESULTS = [RESULT, "19 °C"]


def answering(speaker: Speaker) -> Any:
    """Calls the tool twice at once, and speaks once it has the results."""

    def reply(request: Request) -> Reply:
        said = Said(text=TEXT) if speaker.hear(request).results else Said(calls=[CALL, ROME])
        return speaker.say(request, said)

    return reply


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("first", SPEAKERS, ids=lambda speaker: speaker.type)
async def test_a_conversation_that_starts_on_one_continues_on_any_other(first: Speaker, stream: bool) -> None:
    async with AsyncExitStack() as stack:
        upstreams = {
            speaker.type: await stack.enter_async_context(Upstream(answering(speaker))) for speaker in SPEAKERS
        }
        providers = {
            speaker.type: {
                "type": speaker.type,
                "base_url": f"{upstreams[speaker.type].url}{speaker.base_path}",
                "models": [speaker.model],
                "keys": ["sk-one"],
            }
            for speaker in SPEAKERS
        }
        gateway = await stack.enter_async_context(Gateway({"providers": providers}))
        client = await stack.enter_async_context(client_of(gateway))

        async def complete(provider: str, messages: list[Any]) -> Any:
            asked: dict[str, Any] = {"model": provider, "messages": messages, "tools": TOOLS}
            if not stream:
                return await client.chat.completions.create(**asked)
            async with client.chat.completions.stream(**asked) as events:
                return await events.get_final_completion()

        messages = opening(image=False)
        called = (await complete(first.type, messages)).choices[0].message
        assert len(called.tool_calls) == 2
        messages.append(called.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(called.tool_calls, RESULTS, strict=True)
        ]
        for then in SPEAKERS:
            said = (await complete(then.type, messages)).choices[0].message
            assert said.content == "".join(TEXT), then.type
            assert then.hear(upstreams[then.type].requests[-1]).results == RESULTS, then.type
            longer = [*messages, said.model_dump(exclude_none=True), {"role": "user", "content": "Thanks."}]
            assert (await complete(first.type, longer)).choices[0].message.content == "".join(TEXT), then.type
