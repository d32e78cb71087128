"""The official OpenAI SDK, sync and async, and LangChain on top of it, as clients of Cortex."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.support import upstream_openai as wire
from tests.support import upstream_replies as replies
from tests.support.gateway import Gateway, cascade
from tests.support.served import a_gateway, an_upstream
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

USER: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Weather(BaseModel):
    city: str
    celsius: int


def reply(request: Request) -> Reply:
    """What an ordinary provider answers to each kind of request."""
    body = request.json or {}
    if request.path == "/v1/embeddings":
        vector = [1.0, -0.5]
        as_text = base64.b64encode(struct.pack("<2f", *vector)).decode()
        return wire.embeddings([as_text if body.get("encoding_format") == "base64" else vector])
    if body.get("tools"):
        pieces = ['{"city":', '"Oslo"}']
        if body.get("stream"):
            return replies.sse(*wire.tool_chunks("get_weather", pieces))
        call = {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": "".join(pieces)}}
        return replies.json(wire.completion(None, finish="tool_calls", message={"tool_calls": [call]}))
    if body.get("response_format"):
        return wire.answer('{"city":"Oslo","celsius":4}')
    return wire.speaking(["It is ", "cold é 🙂"])(request)


upstream = an_upstream(reply)
gateway = a_gateway(lambda url: cascade(url, server={"client_keys": ["sk-client"]}))


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-client", max_retries=0) as each:
        yield each


async def in_thread(gateway: Gateway, work: Callable[[openai.OpenAI], Any]) -> Any:
    """The synchronous client, off the loop that serves it."""

    def run() -> Any:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-client", max_retries=0) as sync:
            return work(sync)

    return await asyncio.to_thread(run)


async def test_chat(client: openai.AsyncOpenAI, upstream: Upstream) -> None:
    answer = await client.chat.completions.create(model="chat", messages=USER, temperature=0.1, seed=7)
    assert answer.choices[0].message.content == "It is cold é 🙂"
    assert answer.model == "test-model"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 11
    sent = upstream.requests[0].json
    assert sent == {"messages": USER, "model": "test-model", "seed": 7, "temperature": 0.1}


async def test_unknown_fields_and_numbers_reach_the_upstream_untouched(gateway: Gateway, upstream: Upstream) -> None:
    body = (
        b'{"model":"chat","messages":[{"role":"user","content":"\\u00e9 1"}],'
        b'"x_new":{"a":1e2,"b":[10000000000000000000001]}}'
    )
    async with gateway.client.post("/v1/chat/completions", data=body, headers=AUTH) as response:
        assert response.status == 200
    assert b'"x_new":{"a":1e2,"b":[10000000000000000000001]}' in upstream.requests[-1].body
    assert b'"content":"\\u00e9 1"' in upstream.requests[-1].body


AUTH = {"Authorization": "Bearer sk-client", "Content-Type": "application/json"}


async def test_chat_of_the_sync_client(gateway: Gateway) -> None:
    answer = await in_thread(gateway, lambda sync: sync.chat.completions.create(model="chat", messages=USER))
    assert answer.choices[0].message.content == "It is cold é 🙂"
    raw = await in_thread(
        gateway, lambda sync: sync.chat.completions.with_raw_response.create(model="chat", messages=USER)
    )
    assert raw.headers["x-cortex-model"] == "a/test-model"
    assert raw.headers["x-cortex-route"] == "chat"
    assert raw.headers["x-request-id"] == raw.headers["x-cortex-request-id"]


@pytest.mark.parametrize("usage", [True, False])
async def test_stream(client: openai.AsyncOpenAI, upstream: Upstream, usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if usage else {}
    stream = await client.chat.completions.create(model="chat", messages=USER, stream=True, **options)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "It is cold é 🙂"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([11] if usage else [])
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}


async def test_stream_of_the_sync_client(gateway: Gateway) -> None:
    def work(sync: openai.OpenAI) -> str:
        stream = sync.chat.completions.create(model="chat", messages=USER, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    assert await in_thread(gateway, work) == "It is cold é 🙂"


async def test_tools(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="chat", messages=USER, tools=[TOOL])
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_streamed_tools_through_the_helper(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="chat", messages=USER, tools=[TOOL]) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert (call.id, call.function.name, call.function.arguments) == ("call_a", "get_weather", '{"city":"Oslo"}')


async def test_json_schema(client: openai.AsyncOpenAI, upstream: Upstream) -> None:
    answer = await client.chat.completions.parse(model="chat", messages=USER, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Oslo", celsius=4)
    assert upstream.requests[0].json["response_format"]["type"] == "json_schema"


async def test_models(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert {"chat", "a", "a/test-model", "test-model"} <= set(names)
    assert (await client.models.retrieve("a/test-model")).id == "a/test-model"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nobody")


@pytest.mark.parametrize("encoding", ["float", "base64", None])
async def test_embeddings(client: openai.AsyncOpenAI, encoding: Any) -> None:
    options = {} if encoding is None else {"encoding_format": encoding}
    answer = await client.embeddings.create(model="a/test-model", input=["hello"], **options)
    vector = answer.data[0].embedding
    if encoding == "base64":
        assert struct.unpack("<2f", base64.b64decode(vector)) == (1.0, -0.5)  # type: ignore[arg-type]
    else:
        assert vector == [1.0, -0.5]


ERRORS: dict[str, tuple[Reply, type[openai.APIStatusError], int]] = {
    "bad request": (replies.json(wire.error("bad", "invalid_request_error"), 400), openai.BadRequestError, 400),
    "unprocessable": (
        replies.json(wire.error("bad", "invalid_request_error"), 422),
        openai.UnprocessableEntityError,
        422,
    ),
    "rate limit": (replies.json(wire.error("slow down"), 429), openai.RateLimitError, 429),
    "our key": (replies.json(wire.error("bad key", code="invalid_api_key"), 401), openai.InternalServerError, 502),
    "server": (replies.json(wire.error("boom"), 500), openai.InternalServerError, 502),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_each_error_raises_its_exception(case: str) -> None:
    script, expected, status = ERRORS[case]
    retries = {"attempts": 2, "backoff": "1ms"}
    async with Upstream(script) as upstream, Gateway(cascade(upstream.url, retries=retries)) as gateway:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x") as client:
            with pytest.raises(expected) as caught:
                await client.chat.completions.create(model="chat", messages=USER)
            assert caught.value.status_code == status
            assert caught.value.request_id == caught.value.response.headers["x-cortex-request-id"]
            assert len(gateway.app.telemetry.decisions) == 1, "the SDK must not be made to try again"


async def test_wrong_client_key_and_unknown_model(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="chat", messages=USER)
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-client", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="nobody", messages=USER)
        assert caught.value.code == "model_not_found"


async def test_a_cut_stream_raises_and_never_ends(gateway: Gateway) -> None:
    cut = replies.sse(*wire.chunks(["Hel", "lo"], finish=None, done=False), replies.close)
    async with Upstream(cut) as upstream, Gateway(cascade(upstream.url)) as cutting:
        async with openai.AsyncOpenAI(base_url=f"{cutting.url}/v1", api_key="x", max_retries=0) as client:
            said: list[str] = []
            stream = await client.chat.completions.create(model="chat", messages=USER, stream=True)
            with pytest.raises(openai.APIError, match="cut"):
                async for chunk in stream:
                    said.append(chunk.choices[0].delta.content or "")
                    assert chunk.choices[0].finish_reason is None
            assert "".join(said) == "Hello"


async def test_langchain(gateway: Gateway) -> None:
    async with httpx.AsyncClient() as http:
        model = ChatOpenAI(
            model="chat",
            base_url=f"{gateway.url}/v1",
            api_key=SecretStr("sk-client"),
            max_retries=0,
            http_async_client=http,
        )
        answer = await model.ainvoke([HumanMessage("Weather in Oslo?")])
        assert answer.content == "It is cold é 🙂"
        pieces = [piece.content async for piece in model.astream([HumanMessage("Weather in Oslo?")])]
        assert "".join(map(str, pieces)) == "It is cold é 🙂"
        called = await model.bind_tools([TOOL]).ainvoke([HumanMessage("Weather in Oslo?")])
        assert called.tool_calls[0]["args"] == {"city": "Oslo"}
