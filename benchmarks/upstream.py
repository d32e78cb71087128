"""A model provider that costs next to nothing: fixed answers, written in one piece. usage: upstream.py PORT

Promises to be no bottleneck, so it reads as little HTTP as it can: Content-Length and the end of the head. Each event
of a stream is an HTTP chunk of its own, as real providers send them. `GET /served` tells how many completions were
answered, so that a run can show that none came from elsewhere.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from collections.abc import Callable, Iterable
from typing import cast

import uvloop

from benchmarks.exchange import completion, stream_frames
from benchmarks.wires import WIRES

HOST = "127.0.0.1"
_BACKLOG = 4096
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


def whole(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunked(frames: Iterable[bytes], content_type: str = "text/event-stream") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames) + b"0\r\n\r\n"


_COMPLETION = whole(completion())
_STREAM = _chunked(stream_frames(include_usage=False))
_STREAM_WITH_USAGE = _chunked(stream_frames(include_usage=True))
_OTHER_STREAMS = {wire.path: _chunked(wire.frames, wire.content_type) for wire in WIRES.values()}
MODELS = whole(json.dumps({"object": "list", "data": [{"id": "bench", "object": "model"}]}).encode())
NOT_FOUND = whole(b'{"error": {"message": "no such path"}}', "404 Not Found")
_LENGTH_REQUIRED = whole(b'{"error": {"message": "Content-Length needed"}}', "411 Length Required")


class _Counter:
    served = 0


class Requests(asyncio.Protocol):
    """One connection, kept alive until the peer leaves. Requests may come in pieces, or several at once."""

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
        while (end := data.find(_HEAD_END)) >= 0:
            head = data[:end].lower()
            start = end + len(_HEAD_END)
            length = _body_length(head)
            if length is None:
                self.transport.write(_LENGTH_REQUIRED)
                self.transport.close()
                return
            if len(data) < start + length:
                break
            self.transport.write(self.answer(head, data[start : start + length]))
            data = data[start + length :]
        self._pending = data

    def answer(self, head: bytes, body: bytes) -> bytes:
        """What to write at once; `head` is in lower case. More may follow later."""
        return MODELS if head.startswith(b"get /v1/models ") else NOT_FOUND


class _Upstream(Requests):
    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self._counter = counter

    def answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"post /v1/chat/completions "):
            self._counter.served += 1
            if b'"stream": true' in body or b'"stream":true' in body:
                return _STREAM_WITH_USAGE if b'"include_usage"' in body else _STREAM
            return _COMPLETION
        if head.startswith(b"get /served "):
            return whole(b"%d" % self._counter.served)
        if (stream := _OTHER_STREAMS.get(head.split(b" ", 2)[1])) is not None:
            self._counter.served += 1
            return stream
        return super().answer(head, body)


def _body_length(head: bytes) -> int | None:
    """Bytes of the body that follows this lower-case head; None if it is not told by Content-Length."""
    at = head.find(_LENGTH)
    if at < 0:
        return None if b"\r\ntransfer-encoding:" in head else 0
    start = at + len(_LENGTH)
    end = head.find(b"\r\n", start)
    return int(head[start:] if end < 0 else head[start:end])


async def serve(port: int, protocol: Callable[[], Requests]) -> None:
    """Until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(protocol, HOST, port, backlog=_BACKLOG)
    gc.freeze()
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    counter = _Counter()
    uvloop.run(serve(int(sys.argv[1]), lambda: _Upstream(counter)))
