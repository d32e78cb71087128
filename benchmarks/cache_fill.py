"""A client that asks for answers of all lengths, some again. usage: cache_fill.py PORT REQUESTS STREAMS_SHARE

Lengths are log-normal with a median of 250 words. One request in five is one of the last thousand again, one in twenty
such that asked for JSON gets a stream, or the other way round. Prints one JSON object: a `FillResult`. Promises that
every answer was checked: it is the one to that very request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, replace

import aiohttp

from benchmarks.cache_upstream import fault
from benchmarks.exchange import CLIENT_KEY
from benchmarks.processes import HOST

_CONNECTIONS = 16
_MEDIAN_WORDS, _SIGMA, _MOST_WORDS = 250, 1.0, 4000
_AGAIN_SHARE, _OTHER_FORM_SHARE = 0.2, 0.05
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class FillResult:
    answered: int
    again: int  # of them, asked before
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Question:
    number: int
    words: int
    stream: bool

    def body(self) -> bytes:
        asked = {
            "model": "chat",
            "messages": [{"role": "user", "content": f"Request {self.number:016d}: as many words as you like."}],
            "max_tokens": self.words,
            "stream": self.stream,
        }
        return json.dumps(asked).encode()


class _Questions:
    """What is asked, in order; the same lengths each time that it runs."""

    def __init__(self, requests: int, streams_share: float) -> None:
        self.again = 0
        self._left = requests
        self._streams_share = streams_share
        self._rng = random.Random(0)
        self._number = time.time_ns() // 1000
        self._answered: deque[_Question] = deque(maxlen=_REMEMBERED)

    def next(self) -> _Question | None:
        if not self._left:
            return None
        self._left -= 1
        rng = self._rng
        drawn = rng.random()
        if self._answered and drawn < _AGAIN_SHARE:
            self.again += 1
            question = rng.choice(self._answered)
            return replace(question, stream=not question.stream) if drawn < _OTHER_FORM_SHARE else question
        self._number += 1
        words = min(_MOST_WORDS, max(2, round(rng.lognormvariate(0, _SIGMA) * _MEDIAN_WORDS)))
        return _Question(self._number, words, rng.random() < self._streams_share)

    def answered(self, question: _Question) -> None:
        self._answered.append(question)


async def _load(options: argparse.Namespace) -> FillResult:
    questions = _Questions(options.requests, options.streams_share)
    errors: Counter[str] = Counter()
    answered = 0
    url = f"http://{HOST}:{options.port}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {CLIENT_KEY}", "Content-Type": "application/json"}

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while (question := questions.next()) is not None:
            async with session.post(url, data=question.body(), headers=headers) as response:
                body = await response.read()
            found = fault(response.status, body, question.number, question.words, stream=question.stream)
            if found is not None:
                errors[found] += 1
                continue
            answered += 1
            questions.answered(question)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(ask(session))
    return FillResult(answered, questions.again, dict(errors))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cache_fill", description="Ask for answers of all lengths.")
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("streams_share", type=float, help="of the requests")
    parser.add_argument("--watch", type=int, metavar="PID", help="not looked at: whoever starts this measures")
    return parser.parse_args()


def main() -> int:
    """0 if every answer was right, else 1."""
    result = asyncio.run(_load(_options()))
    print(json.dumps(asdict(result)))
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
