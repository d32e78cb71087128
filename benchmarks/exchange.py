"""What is sent and what must come back: one chat completion, whole or as a stream of 64 events.

The upstream answers from here, the load client sends from here and checks every answer against it. Promises that an
answer without a fault is whole and is this text. Knows HTTP's request line, but no sockets and no clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import msgspec

from benchmarks.numbered import NUMBER

EVENTS = 64  # data events of a stream, [DONE] not counted: one with the role, 62 with text, one with the finish reason
CLIENT_KEY = "bench-client-key"

PIECES = tuple(f" token{n:02d}" for n in range(EVENTS - 2))
TEXT = "".join(PIECES)
_USAGE = {"prompt_tokens": 24, "completion_tokens": 62, "total_tokens": 86}
_NAME = {"id": "chatcmpl-bench", "created": 1764000000, "model": "bench"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of traffic: so many connections, each sending its next request when it has its answer."""

    name: str
    title: str
    connections: int
    stream: bool = False
    body_bytes: int = 256  # of the request, about
    translated: str | None = None  # the type of the upstream that does not speak OpenAI's protocol, if it is such a one
    default: bool = True  # measured unless others are asked for
    quick: bool = True  # and where there is little time

    @property
    def model(self) -> str:
        """What the request asks for: the name of the cascade that leads to its upstream."""
        return "chat" if self.translated is None else f"chat-{self.translated}"

    @property
    def unit(self) -> str:
        return "events/s" if self.stream else "req/s"

    def request(self) -> bytes:
        """What every connection asks, head and body, with a place for a number."""
        return post(_request_body(self))

    def fault(self, status: int, body: bytes) -> str | None:
        """Why this is not the whole and right answer, in a few words; None if it is."""
        if status != 200:
            return f"status {status}"
        return _stream_fault(body) if self.stream else _json_fault(body)


# Types of provider whose protocol is not the client's, and what they are called.
TRANSLATED = {"anthropic": "Anthropic", "gemini": "Gemini", "cohere": "Cohere", "ollama": "Ollama"}

_STREAM = Scenario("stream", f"streams of {EVENTS} events, 64 connections", 64, stream=True)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("latency", "JSON, 1 connection", 1),
        Scenario("json", "JSON, 64 connections", 64),
        Scenario("latency-stream", f"streams of {EVENTS} events, 1 connection", 1, stream=True, default=False),
        _STREAM,
        *(
            replace(
                _STREAM,
                name=f"stream-{type_}",
                title=f"streams of {EVENTS} events, translated from {title}'s protocol, 64 connections",
                translated=type_,
                quick=type_ == "anthropic",
            )
            for type_, title in TRANSLATED.items()
        ),
        Scenario("body-1k", "JSON, 64 connections, request bodies of 1 KB", 64, body_bytes=1_000, default=False),
        Scenario("body-10k", "JSON, 64 connections, request bodies of 10 KB", 64, body_bytes=10_000, default=False),
        Scenario("body-100k", "JSON, 64 connections, request bodies of 100 KB", 64, body_bytes=100_000, default=False),
    )
}


def post(body: bytes) -> bytes:
    """A chat request, head and body."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {CLIENT_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _request_body(scenario: Scenario) -> bytes:
    def body(padding: str) -> bytes:
        request: dict[str, object] = {
            "model": scenario.model,
            "messages": [
                {"role": "system", "content": "Answer briefly."},
                {"role": "user", "content": f"Request {NUMBER}: count the tokens of this answer.{padding}"},
            ],
            "temperature": 0,
            "max_tokens": 128,
        }
        if scenario.stream:
            request["stream"] = True
        return json.dumps(request).encode()

    missing = max(0, scenario.body_bytes - len(body("")))
    return body((" lorem ipsum" * (missing // 12 + 1))[:missing])


def completion() -> bytes:
    """The answer as one JSON object."""
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    return json.dumps({**_NAME, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def stream_frames(*, include_usage: bool) -> list[bytes]:
    """The answer as server-sent events, one frame each; usage in a chunk of its own, as OpenAI sends it when asked."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": piece}, None) for piece in PIECES]
    deltas += [({}, "stop")]
    chunks: list[dict[str, object]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas
    ]
    if include_usage:
        chunks.append({"choices": [], "usage": _USAGE})
    named = [json.dumps({**_NAME, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    return [f"data: {data}\n\n".encode() for data in [*named, "[DONE]"]]


class _Said(msgspec.Struct):
    content: str = ""


class _Choice(msgspec.Struct):
    message: _Said = msgspec.field(default_factory=_Said)
    delta: _Said = msgspec.field(default_factory=_Said)
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]


decode = msgspec.json.Decoder(_Answer).decode


def _json_fault(body: bytes) -> str | None:
    try:
        choices = decode(body).choices
    except msgspec.DecodeError:
        return "not a completion"
    if len(choices) != 1 or choices[0].message.content != TEXT or choices[0].finish_reason != "stop":
        return "another text"
    return None


def _stream_fault(body: bytes) -> str | None:
    """Comments and blank lines are legal and not counted; anything else is a data line."""
    lines = [line for line in body.splitlines() if line and not line.startswith(b":")]
    if not lines or lines.pop() != b"data: [DONE]":
        return "no [DONE]"
    if len(lines) != EVENTS:
        return f"{len(lines)} events"
    try:
        choices = [choice for line in lines for choice in decode(line.removeprefix(b"data: ")).choices]
    except msgspec.DecodeError:
        return "not a chunk"
    if "".join(choice.delta.content for choice in choices) != TEXT or choices[-1].finish_reason != "stop":
        return "another text"
    return None
