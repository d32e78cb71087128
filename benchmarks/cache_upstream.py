"""A model provider whose answers are as long as asked. usage: cache_upstream.py PORT

`max_tokens` says how many words an answer has; its first is the number that the request told, so that an answer to
another request is found out. `GET /served` tells how many were given.
"""

from __future__ import annotations

import json
import re
import sys

import uvloop

from benchmarks.exchange import decode
from benchmarks.upstream import Requests, serve, whole

_NAME = {"id": "chatcmpl-sized", "created": 1764000000, "model": "bench"}
_NUMBER = re.compile(rb"Request (\d+): ")
_WORDS = re.compile(rb'"max_tokens":\s*(\d+)')
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_WORD = " word"


def text(number: int, words: int) -> str:
    """What the answer to this request is."""
    return f"{number:016d}" + _WORD * (words - 1)


def fault(status: int, body: bytes, number: int, words: int, *, stream: bool) -> str | None:
    """Why this is not the whole and right answer, in a few words; None if it is."""
    if status != 200:
        return f"status {status}"
    if stream:
        frames = body.split(b"\n\n")
        if frames[-2:] != [b"data: [DONE]", b""]:
            return "no [DONE]"
        chunks = [decode(frame.removeprefix(b"data: ")).choices for frame in frames[:-2]]
        said = "".join(choice.delta.content for choices in chunks for choice in choices)
    else:
        said = decode(body).choices[0].message.content
    return None if said == text(number, words) else "another text"


def _usage(words: int) -> dict[str, int]:
    return {"prompt_tokens": 24, "completion_tokens": words, "total_tokens": 24 + words}


def _completion(number: int, words: int) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text(number, words)}, "finish_reason": "stop"}
    told = {**_NAME, "object": "chat.completion", "choices": [choice], "usage": _usage(words)}
    return whole(json.dumps(told).encode())


def _chunk(**members: object) -> bytes:
    frame = f"data: {json.dumps({**_NAME, 'object': 'chat.completion.chunk', **members})}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def _delta(delta: dict[str, str], reason: str | None = None) -> bytes:
    return _chunk(choices=[{"index": 0, "delta": delta, "finish_reason": reason}])


_OPENING = _STREAM_HEAD + _delta({"role": "assistant", "content": ""})
_EVENT = _delta({"content": _WORD})
_FINISH = _delta({}, "stop")
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def _stream(number: int, words: int, *, include_usage: bool) -> bytes:
    first = _delta({"content": f"{number:016d}"})
    usage = _chunk(choices=[], usage=_usage(words)) if include_usage else b""
    return b"".join([_OPENING, first, _EVENT * (words - 1), _FINISH, usage, _DONE])


class _Sized(Requests):
    served = 0

    def answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"get /served "):
            return whole(b"%d" % _Sized.served)
        number, words = _NUMBER.search(body), _WORDS.search(body)
        if number is None or words is None or not head.startswith(b"post /v1/chat/completions "):
            return super().answer(head, body)
        _Sized.served += 1
        asked = int(number[1]), int(words[1])
        if b'"stream": true' in body or b'"stream":true' in body:
            return _stream(*asked, include_usage=b'"include_usage"' in body)
        return _completion(*asked)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), _Sized))
