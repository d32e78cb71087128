"""One conversation, as OpenAI's own client leads it through Cortex: the same at every type of provider.

The user shows an image and asks for the weather, the model calls a tool, the tool answers, the model speaks. The test
of a provider scripts what its upstream says in its own words: `CALL` while no tool has answered, and then `TEXT`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.support.gateway import Gateway

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather by city", "parameters": SCHEMA}}
]
CALL = ("get_weather", {"city": "Oslo"})
RESULT = "4 °C"
TEXT = ("It is ", "4 °C ", "in Oslo 🙂")
JSON = {"city": "Oslo", "celsius": 4}


class Weather(BaseModel):
    city: str
    celsius: int


@dataclass
class Talk:
    """The model's two answers."""

    asked: ChatCompletion
    said: ChatCompletion


def client_of(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-client", max_retries=0)


def opening(*, image: bool) -> list[Any]:
    shown = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}] if image else []
    question = {"type": "text", "text": "What is the weather here?"}
    return [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [question, *shown]},
    ]


async def talk(gateway: Gateway, *, stream: bool, image: bool = True, **options: Any) -> Talk:
    """The conversation, whole or streamed, checked for what must be the same everywhere."""
    async with client_of(gateway) as client:
        messages = opening(image=image)
        asked = await _complete(client, messages, stream, options)
        choice = asked.choices[0]
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, json.loads(call.function.arguments)) == CALL
        assert call.id
        messages.append(choice.message.model_dump(exclude_none=True, exclude={"reasoning_content"}))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
        said = await _complete(client, messages, stream, options)
        assert said.choices[0].message.content == "".join(TEXT)
        assert said.choices[0].finish_reason == "stop"
        for answer in (asked, said):
            assert answer.usage is not None
            assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
        return Talk(asked, said)


async def structured(gateway: Gateway, **options: Any) -> Weather:
    """An answer to a schema."""
    async with client_of(gateway) as client:
        answer = await client.chat.completions.parse(
            model="chat", messages=opening(image=False), response_format=Weather, **options
        )
        parsed = answer.choices[0].message.parsed
        assert parsed is not None
        return parsed


async def _complete(
    client: openai.AsyncOpenAI, messages: list[Any], stream: bool, options: dict[str, Any]
) -> ChatCompletion:
    members: dict[str, Any] = {"model": "chat", "messages": messages, "tools": TOOLS, **options}
    if not stream:
        answer: ChatCompletion = await client.chat.completions.create(**members)
        return answer
    members["stream_options"] = {"include_usage": True}
    async with client.chat.completions.stream(**members) as events:
        return await events.get_final_completion()
