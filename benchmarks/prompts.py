"""The prompts that classifying is timed with, as requests: 200 of four kinds, in an order that is fixed.

`clear` and `unclear` is what a human made of them; whether the classifier finds them so is measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.exchange import post

FILE = Path(__file__).with_name("routing") / "workload.jsonl"
_ENDINGS = ".!?:;…)\"'`"


@dataclass(frozen=True, slots=True)
class Prompt:
    kind: str
    text: str


def workload(most: int | None = None) -> list[Prompt]:
    """All, or so many from everywhere in the file."""
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    prompts = [Prompt(row["kind"], row["text"]) for row in rows]
    return prompts if most is None else prompts[:: max(1, len(prompts) // most)][:most]


def varied(text: str, number: int) -> str:
    """The same with a meaningless word at its end, before the last sign: another text for each number but 0.

    A memo does not know it, and what can be seen of it hardly changes.
    """
    if number == 0:
        return text
    word = ""
    while number:
        number, letter = divmod(number - 1, 26)
        word = chr(ord("a") + letter) + word
    bare = text.rstrip().rstrip(_ENDINGS)
    return f"{bare} q{word}{text[len(bare) :]}"


def request(text: str, seed: int) -> bytes:
    """The same text is answered from memory, unless the seed is another. It plays no part in classifying."""
    body = {"model": "chat", "messages": [{"role": "user", "content": text}], "seed": seed}
    return post(json.dumps(body).encode())


def for_ever() -> Iterator[bytes]:
    """The workload over and over, no text twice."""
    prompts = workload()
    for number in count():
        for prompt in prompts:
            yield request(varied(prompt.text, number), number)
