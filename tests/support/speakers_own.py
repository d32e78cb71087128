"""The speakers of the providers that have a protocol of their own: Anthropic, Cohere, Gemini. And the list of all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support import upstream_anthropic, upstream_gemini
from tests.support import upstream_replies as replies
from tests.support.speakers import DATA_URL, Heard, Mistral, Ollama, OpenAI, OpenAIItself, Said, Speaker
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

Json = Any


class Anthropic:
    type = "anthropic"
    model = upstream_anthropic.MODEL
    base_path = ""
    thinks_aloud = True
    usage = (123, 12)

    def say(self, request: Request, said: Said) -> Reply:
        blocks = upstream_anthropic.thought(said.reasoning) if said.reasoning else []
        blocks += upstream_anthropic.text(*said.text) if said.text else []
        for n, call in enumerate(said.calls):
            blocks += upstream_anthropic.call(*call, call_id=f"toolu_{n}")
        form = upstream_anthropic.stream if request.json.get("stream") else upstream_anthropic.message
        return form(blocks, stop="tool_use" if said.calls else "end_turn")

    def hear(self, request: Request) -> Heard:
        body = request.json
        blocks = [block for message in body["messages"] for block in message["content"]]
        return Heard(
            tools=[tool["name"] for tool in body.get("tools", ())],
            images=[block["source"]["data"] for block in blocks if block["type"] == "image"],
            results=[block["content"] for block in blocks if block["type"] == "tool_result"],
            schema=body.get("output_config", {}).get("format", {}).get("schema"),
            stop=body.get("stop_sequences", ()),
            effort=body.get("thinking", {}).get("type") in ("adaptive", "enabled"),
        )

    def refuse(self, status: int, message: str) -> Reply:
        words = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
        return upstream_anthropic.error(words.get(status, "api_error"), message, status)

    def embed(self, vectors: Sequence[Sequence[float]]) -> Reply:
        raise NotImplementedError("there are no embeddings")


class Cohere:
    type = "cohere"
    model = "command-a-plus-05-2026"
    base_path = ""
    thinks_aloud = True
    usage = (71, 26)

    def say(self, request: Request, said: Said) -> Reply:
        if request.json.get("stream"):
            return replies.sse(*(replies.event(each["type"], each) for each in self._events(said)))
        content = [{"type": "thinking", "thinking": said.reasoning}] if said.reasoning else []
        content += [{"type": "text", "text": "".join(said.text)}] if said.text else []
        message = {"role": "assistant", "content": content, "tool_calls": self._calls(said)}
        return replies.json({"id": "c1", "finish_reason": _ending(said), "message": message, "usage": _COHERE_USAGE})

    def _events(self, said: Said) -> Iterator[dict[str, Json]]:
        def of(kind: str, index: int, **message: Json) -> dict[str, Json]:
            return {"type": kind, "index": index, "delta": {"message": message}}

        yield {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}}
        told = [("thinking", [said.reasoning])] if said.reasoning else []
        told += [("text", list(said.text))] if said.text else []
        for index, (kind, pieces) in enumerate(told):
            yield of("content-start", index, content={"type": kind, kind: ""})
            for piece in pieces:
                yield of("content-delta", index, content={kind: piece})
            yield {"type": "content-end", "index": index}
        for index, call in enumerate(self._calls(said)):
            arguments = call["function"]["arguments"]
            yield of("tool-call-start", index, tool_calls=call | {"function": call["function"] | {"arguments": ""}})
            for half in (arguments[:5], arguments[5:]):
                yield of("tool-call-delta", index, tool_calls={"function": {"arguments": half}})
            yield {"type": "tool-call-end", "index": index}
        yield {"type": "message-end", "delta": {"finish_reason": _ending(said), "usage": _COHERE_USAGE}}

    def _calls(self, said: Said) -> list[dict[str, Json]]:
        return [
            {"id": f"{name}_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for n, (name, arguments) in enumerate(said.calls)
        ]

    def hear(self, request: Request) -> Heard:
        body = request.json
        contents = [message.get("content") for message in body["messages"]]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return Heard(
            tools=[tool["function"]["name"] for tool in body.get("tools", ())],
            images=[url.removeprefix(DATA_URL) for url in images],
            results=[_flat(message["content"]) for message in body["messages"] if message["role"] == "tool"],
            schema=body.get("response_format", {}).get("json_schema"),
            stop=body.get("stop_sequences", ()),
            effort=body.get("thinking", {}).get("type") == "enabled",
        )

    def refuse(self, status: int, message: str) -> Reply:
        return replies.json({"message": message}, status=status)

    def embed(self, vectors: Sequence[Sequence[float]]) -> Reply:
        used = {"billed_units": {"input_tokens": 2}}
        return replies.json({"id": "e1", "embeddings": {"float": vectors}, "texts": [], "meta": used})


class Gemini:
    type = "gemini"
    model = upstream_gemini.MODEL
    base_path = ""
    thinks_aloud = True
    usage = (9, 7)

    def say(self, request: Request, said: Said) -> Reply:
        thoughts = [{"text": said.reasoning, "thought": True}] if said.reasoning else []
        calls = [upstream_gemini.call(*call) for call in said.calls]
        return upstream_gemini.saying(*thoughts, *said.text, *calls)(request)

    def hear(self, request: Request) -> Heard:
        body = request.json
        config = body.get("generationConfig", {})
        parts = [part for content in body["contents"] for part in content["parts"]]
        return Heard(
            tools=[each["name"] for tool in body.get("tools", ()) for each in tool["functionDeclarations"]],
            images=[part["inlineData"]["data"] for part in parts if "inlineData" in part],
            results=[part["functionResponse"]["response"]["output"] for part in parts if "functionResponse" in part],
            schema=config.get("responseJsonSchema"),
            stop=config.get("stopSequences", ()),
            effort="thinkingConfig" in config,
        )

    def refuse(self, status: int, message: str) -> Reply:
        words = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
        return upstream_gemini.error(message, status, words.get(status, "INTERNAL"))

    def embed(self, vectors: Sequence[Sequence[float]]) -> Reply:
        return upstream_gemini.embeddings(*vectors)


_COHERE_USAGE: Json = {"tokens": {"input_tokens": 71, "output_tokens": 26}, "cached_tokens": 0}


def _ending(said: Said) -> str:
    return "TOOL_CALL" if said.calls else "COMPLETE"


def _flat(content: Json) -> str:
    """A tool's result, which may come as documents."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part["document"]["data"] for part in content)


SPEAKERS: tuple[Speaker, ...] = (
    Anthropic(),
    Cohere(),
    Gemini(),
    OpenAI("groq", reasoning="reasoning"),
    Mistral("mistral"),
    Ollama(),
    OpenAIItself("openai"),
    OpenAI("openai_compatible"),
)
