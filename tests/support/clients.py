"""What a client understands of an answer, by its dialect: strictly, so that a false end or a second error fails.

Everything is judged from the bytes that came; a client that got a cut answer must be able to tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROMPT = "canary-prompt: tell me a secret"

Json = Any


@dataclass
class View:
    """One answer as its client sees it. `whole`: it says that nothing is missing."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    text: str = ""
    whole: bool = False
    error: Json = None
    finish_reason: str | None = None
    usage: Json = None
    tool_calls: list[Json] = field(default_factory=list)
    comments: int = 0


@dataclass(frozen=True)
class Client:
    """A dialect: where it asks, and how it reads."""

    name: str
    path: str

    def body(self, model: str, *, stream: bool) -> dict[str, Json]:
        return {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> View:
        """Raises AssertionError for an answer that no client of this dialect could read."""
        view = View(status, headers, body)
        if headers["Content-Type"].startswith("text/event-stream"):
            _read_stream(self, view)
        else:
            assert headers["Content-Type"] == "application/json"
            self._read_object(view, json.loads(body))
        assert not (view.whole and view.error), "an error and an end"
        return view

    def _read_object(self, view: View, answer: Json) -> None:
        if view.status != 200:
            assert set(answer) == {"error"}
            view.error = answer["error"]
            return
        assert "error" not in answer
        view.whole = True
        if self is API_CHAT:
            view.text, view.finish_reason, view.usage = answer["content"], answer["finish_reason"], answer["usage"]
            view.tool_calls = answer.get("tool_calls", [])
            return
        (choice,) = answer["choices"]
        view.text, view.finish_reason = choice["message"]["content"], choice["finish_reason"]
        view.usage, view.tool_calls = answer.get("usage"), choice["message"].get("tool_calls") or []


OPENAI = Client("openai", "/v1/chat/completions")
API_CHAT = Client("api_chat", "/api/chat")
CLIENTS = (OPENAI, API_CHAT)


def _read_stream(client: Client, view: View) -> None:
    assert view.status == 200
    *frames, rest = view.body.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    assert not rest, f"half a frame at the end: {rest[:200]!r}"
    for frame in frames:
        lines = [line for line in frame.split("\n") if line]
        if not lines or all(line.startswith(":") for line in lines):
            view.comments += 1
            continue
        assert not view.whole, f"something follows the end: {frame[:200]!r}"
        assert view.error is None, f"something follows the error: {frame[:200]!r}"
        fields = [line.partition(":") for line in lines if not line.startswith(":")]
        name = next((value.strip() for field, _, value in fields if field == "event"), None)
        data = "\n".join(value.removeprefix(" ") for field, _, value in fields if field == "data")
        _read_event(client, view, name, data)
    assert view.whole or view.error, "neither an end nor an error"


def _read_event(client: Client, view: View, name: str | None, data: str) -> None:
    if client is OPENAI and data == "[DONE]":
        assert view.finish_reason, "a marker, but no finish"
        view.whole = True
        return
    event = json.loads(data)
    if "error" in event:
        assert view.finish_reason is None, "a finish, then an error"
        assert client is OPENAI or name == "error"
        view.error = event["error"]
    elif client is API_CHAT:
        _read_small_event(view, name, event)
    else:
        _read_chunk(view, event)


def _read_small_event(view: View, name: str | None, event: Json) -> None:
    assert (name == "done") is ("done" in event)
    view.text += event.get("content", "")
    view.tool_calls += event.get("tool_calls", [])
    if name == "done":
        view.whole, view.finish_reason, view.usage = True, event["finish_reason"], event["usage"]


def _read_chunk(view: View, chunk: Json) -> None:
    if chunk.get("usage"):
        view.usage = chunk["usage"]
    for choice in chunk["choices"]:
        view.text += choice["delta"].get("content") or ""
        view.tool_calls += choice["delta"].get("tool_calls") or []
        if choice["finish_reason"]:
            assert view.finish_reason is None, "two ends"
            view.finish_reason = choice["finish_reason"]
