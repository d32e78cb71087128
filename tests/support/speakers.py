"""How the upstream of each type of provider says what a model says, and hears what it is asked.

`Said` and `Heard` are in no provider's words: a test of a capability is written once with them and runs for every
provider in `speakers_own.SPEAKERS`. A new one is one class more. Here are those that speak OpenAI's wire, and Ollama.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.support import upstream_ollama, upstream_openai
from tests.support import upstream_replies as replies
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

Json = Any
Call = tuple[str, Mapping[str, Json]]  # a tool's name, and the arguments
DATA_URL = "data:image/png;base64,"


@dataclass(frozen=True)
class Said:
    """One answer of a model."""

    text: Sequence[str] = ()  # token by token
    reasoning: str = ""
    calls: Sequence[Call] = ()


@dataclass(frozen=True)
class Heard:
    """One request, as the upstream finds it."""

    tools: Sequence[str] = ()
    images: Sequence[str] = ()  # bare base64
    results: Sequence[str] = ()  # of tools
    schema: Json = None
    stop: Sequence[str] = ()
    effort: bool = False  # whether it is asked to think


class Speaker(Protocol):
    type: str  # as a configuration names it
    model: str
    base_path: str  # what follows the host in its base_url
    thinks_aloud: bool  # what it thinks is told, not only counted
    usage: tuple[int, int]  # the tokens of each answer: of the prompt, of the completion

    def say(self, request: Request, said: Said) -> Reply:
        """Whole or streamed, as it is asked."""

    def hear(self, request: Request) -> Heard: ...

    def refuse(self, status: int, message: str) -> Reply: ...

    def embed(self, vectors: Sequence[Sequence[float]]) -> Reply: ...


class OpenAI:
    base_path = "/v1"
    thinks_aloud = True
    usage = (9, 3)

    def __init__(self, type: str, model: str = "test-model", reasoning: str = "reasoning_content") -> None:
        self.type = type
        self.model = model
        self._reasoning = reasoning

    def say(self, request: Request, said: Said) -> Reply:
        if not request.json.get("stream"):
            message = {**self._thinks(said), **({"tool_calls": _openai_calls(said)} if said.calls else {})}
            text = "".join(said.text) or None
            return self._whole(upstream_openai.completion(text, finish=_finish(said), message=message, usage=_USAGE))
        frames = [upstream_openai.delta_chunk({"role": "assistant", "content": ""})]
        if thoughts := self._thinks(said):
            frames.append(upstream_openai.delta_chunk(thoughts))
        frames += [upstream_openai.delta_chunk({"content": token}) for token in said.text]
        for index, call in enumerate(_openai_calls(said)):
            frames += [upstream_openai.delta_chunk({"tool_calls": [piece]}) for piece in _pieces(index, call)]
        return replies.sse(*frames, *self._ending(request, _finish(said)))

    def hear(self, request: Request) -> Heard:
        body = request.json
        parts = [
            part
            for message in body["messages"]
            if isinstance(message.get("content"), list)
            for part in message["content"]
        ]
        images = [part["image_url"] for part in parts if part["type"] == "image_url"]
        return Heard(
            tools=[tool["function"]["name"] for tool in body.get("tools", ())],
            images=[image["url"].removeprefix(DATA_URL) for image in images],
            results=[message["content"] for message in body["messages"] if message["role"] == "tool"],
            schema=body.get("response_format", {}).get("json_schema", {}).get("schema"),
            stop=body.get("stop", ()),
            effort="reasoning_effort" in body,
        )

    def refuse(self, status: int, message: str) -> Reply:
        return replies.json(upstream_openai.error(message, "some_error"), status=status)

    def embed(self, vectors: Sequence[Sequence[float]]) -> Reply:
        return upstream_openai.embeddings(vectors, model=self.model)

    def _thinks(self, said: Said) -> dict[str, Json]:
        return {self._reasoning: said.reasoning} if said.reasoning and self.thinks_aloud else {}

    def _whole(self, answer: dict[str, Json]) -> Reply:
        return replies.json(answer)

    def _ending(self, request: Request, finish: str) -> list[str]:
        wanted = (request.json.get("stream_options") or {}).get("include_usage")
        return upstream_openai.chunks([], finish=finish, usage=_USAGE if wanted else None)[1:]


class OpenAIItself(OpenAI):
    """Counts what it thinks, and does not tell it."""

    thinks_aloud = False


class Mistral(OpenAI):
    """Content in chunks where it thinks, and usage on the last chunk unasked."""

    def _thinks(self, said: Said) -> dict[str, Json]:
        if not said.reasoning:
            return {}
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": said.reasoning}]}]}

    def _whole(self, answer: dict[str, Json]) -> Reply:
        message = answer["choices"][0]["message"]
        if isinstance(message["content"], list):
            message["content"].append({"type": "text", "text": "It is 4 °C"})
        return super()._whole(answer)

    def _ending(self, request: Request, finish: str) -> list[str]:
        assert "stream_options" not in request.json
        last = json.loads(upstream_openai.delta_chunk({"content": ""}, finish=finish)) | {"usage": _USAGE}
        return [json.dumps(last), upstream_openai.DONE]


class Ollama:
    type = "ollama"
    model = "llama3"
    base_path = ""
    thinks_aloud = True
    usage = (26, 12)

    def say(self, request: Request, said: Said) -> Reply:
        spoken: list[dict[str, Json]] = [{"content": token} for token in said.text]
        if said.reasoning:
            spoken.insert(0, {"thinking": said.reasoning})
        if said.calls:
            calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in said.calls]
            spoken.append({"tool_calls": calls})
        if request.json["stream"]:
            return replies.ndjson(*map(upstream_ollama.line, spoken), upstream_ollama.last_line())
        whole = {name: value for each in spoken for name, value in each.items()} | {"content": "".join(said.text)}
        return replies.json(upstream_ollama.last_line(whole))

    def hear(self, request: Request) -> Heard:
        body = request.json
        return Heard(
            tools=[tool["function"]["name"] for tool in body.get("tools", ())],
            images=[image for message in body["messages"] for image in message.get("images", ())],
            results=[message["content"] for message in body["messages"] if message["role"] == "tool"],
            schema=body.get("format"),
            stop=body.get("options", {}).get("stop", ()),
            effort="think" in body,
        )

    def refuse(self, status: int, message: str) -> Reply:
        return upstream_ollama.error(message, status)

    def embed(self, vectors: Sequence[Sequence[float]]) -> Reply:
        return upstream_ollama.embeddings(vectors)


_USAGE: dict[str, Json] = upstream_openai.usage() | {
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def _finish(said: Said) -> str:
    return "tool_calls" if said.calls else "stop"


def _openai_calls(said: Said) -> list[dict[str, Json]]:
    return [
        {"id": f"call{n:05}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for n, (name, arguments) in enumerate(said.calls)
    ]


def _pieces(index: int, call: Mapping[str, Json]) -> list[dict[str, Json]]:
    """A call in three pieces: its name, and two halves of its arguments."""
    arguments = call["function"]["arguments"]
    first = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
    halves = (arguments[:5], arguments[5:])
    return [first, *({"index": index, "function": {"arguments": half}} for half in halves)]
