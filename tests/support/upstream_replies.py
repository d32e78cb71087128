"""What a scripted upstream says: replies as small values, made of steps that are played one after the other.

A step is bytes to send, or an action on the connection (`stall`, `close`, `reset`, `until(event)`, `pause(seconds)`).
Actions may stand anywhere among the parts of a stream:

    sse(*chunks(["Hel", "lo"])[:2], reset)        # two frames, then RST
    stream(b"a", until(event), b"b")              # the second chunk waits for the test
    json({"ok": True}).cut(60)                    # 60 bytes of the response, head included, then FIN
    json({"ok": True}).in_pieces(1)               # one byte a packet
"""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import responses
from random import Random
from typing import Any, Literal, TypeAlias

from tests.support.upstream_http import Connection

Action: TypeAlias = Callable[[Connection], Awaitable[None]]
Step: TypeAlias = bytes | Action
Framing: TypeAlias = Literal["chunked", "length", "close"]


async def stall(connection: Connection) -> None:
    """Say nothing more, for as long as the client waits."""
    await connection.gone()


async def close(connection: Connection) -> None:
    connection.close()


async def reset(connection: Connection) -> None:
    connection.reset()


async def turn(connection: Connection) -> None:
    """Let the client read what has been sent so far."""
    await asyncio.sleep(0)


def until(event: asyncio.Event) -> Action:
    async def wait(connection: Connection) -> None:
        await event.wait()

    return wait


def pause(seconds: float) -> Action:
    async def wait(connection: Connection) -> None:
        await asyncio.sleep(seconds)

    return wait


def paced(parts: Iterable[Any], step: Step) -> list[Any]:
    """`parts` with `step` before each: `sse(*paced(chunks(tokens), pause(0.01)))`."""
    return [each for part in parts for each in (step, part)]


@dataclass(frozen=True)
class Reply:
    """One answer on the wire. After its last step the connection waits for the next request, unless it was closed."""

    steps: tuple[Step, ...]

    async def play(self, connection: Connection) -> None:
        for step in self.steps:
            if connection.ended:
                return
            if isinstance(step, bytes):
                await connection.send(step)
            else:
                await step(connection)

    def then(self, *steps: Step) -> Reply:
        return Reply((*self.steps, *steps))

    def cut(self, size: int, action: Action = close) -> Reply:
        """The first `size` bytes, head included, then `action`."""
        kept: list[Step] = []
        for step in self.steps:
            if isinstance(step, bytes):
                step = step[:size]
                size -= len(step)
            kept.append(step)
            if size == 0:
                break
        return Reply((*kept, action))

    def in_pieces(self, size: int | Random, between: Action = turn) -> Reply:
        """The same bytes in pieces of `size`, or of seeded random sizes up to 32, with `between` after each."""
        steps: list[Step] = []
        for step in self.steps:
            if not isinstance(step, bytes):
                steps.append(step)
                continue
            start = 0
            while start < len(step):
                length = size if isinstance(size, int) else size.randint(1, 32)
                steps += (step[start : start + length], between)
                start += length
        return Reply(tuple(steps))


def raw(*steps: Step) -> Reply:
    """Exactly these bytes and actions: status line, headers and all."""
    return Reply(steps)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {responses.get(status, '')}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def json_head(length: int | None = None) -> bytes:
    """Of a JSON answer that will be so long; None: that ends with the connection."""
    framing = {"Connection": "close"} if length is None else {"Content-Length": str(length)}
    return head(200, {"Content-Type": "application/json", **framing})


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def body(
    data: bytes,
    *,
    content_type: str = "application/octet-stream",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A body of known length."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(data)), **(headers or {})}
    return raw(head(status, fields) + data)


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    data = json_.dumps(value, ensure_ascii=False).encode()
    return body(data, content_type="application/json", status=status, headers=headers)


def html(text: str = "<html><body>502 Bad Gateway</body></html>", status: int = 200) -> Reply:
    return body(text.encode(), content_type="text/html", status=status)


def redirect(location: str, status: int = 302) -> Reply:
    return body(b"", status=status, headers={"Location": location})


def stream(
    *parts: Step,
    content_type: str = "application/octet-stream",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    framing: Framing = "chunked",
) -> Reply:
    """A body in parts, one write each. `close` framing has neither length nor chunks: it ends with the connection."""
    fields = {"Content-Type": content_type}
    ending: tuple[Step, ...] = ()
    if framing == "chunked":
        fields["Transfer-Encoding"] = "chunked"
        parts = tuple(chunk(part) if isinstance(part, bytes) else part for part in parts)
        ending = (b"0\r\n\r\n",)
    elif framing == "length":
        fields["Content-Length"] = str(sum(len(part) for part in parts if isinstance(part, bytes)))
    else:
        ending = (close,)
    return raw(head(status, fields | dict(headers or {})), *parts, *ending)


def event(name: str, value: Any) -> bytes:
    """A named SSE event, for `sse`."""
    return f"event: {name}\ndata: {json_.dumps(value)}\n\n".encode()


def sse(
    *frames: str | Mapping[str, Any] | Step,
    newline: str = "\n",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    framing: Framing = "chunked",
) -> Reply:
    """Server-sent events: a str is an event's data, a mapping its data as JSON; bytes are sent as they are."""
    parts: list[Step] = []
    for frame in frames:
        if isinstance(frame, Mapping):
            frame = json_.dumps(frame, ensure_ascii=False)
        if isinstance(frame, str):
            frame = f"data: {frame}{newline}{newline}".encode()
        parts.append(frame)
    return stream(*parts, content_type="text/event-stream", status=status, headers=headers, framing=framing)


def ndjson(
    *lines: Mapping[str, Any] | Step,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    framing: Framing = "chunked",
) -> Reply:
    """One JSON object a line; bytes are sent as they are."""
    parts = [json_.dumps(line).encode() + b"\n" if isinstance(line, Mapping) else line for line in lines]
    return stream(*parts, content_type="application/x-ndjson", status=status, headers=headers, framing=framing)
