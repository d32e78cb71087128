"""What the semantic cache is measured on: pairs that were written for it, and streams of questions from public sources.

A pair belongs to the development half or to the test half by a digest of its texts, once and for all. Guards and
thresholds were made on the development halves. `traps_apart` (other domains, terser) is for testing only, as is what
is called independent (made in knowledge of neither the guards nor the other pairs), but for the half of it that was
opened late: docs/decisions/0015-semantic-cache.md.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PAIRS = Path(__file__).parent / "cache_pairs"
_NOT_A_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Pair:
    a: str
    b: str
    language: str
    kind: str  # what differs; "" where nothing does


@dataclass(frozen=True, slots=True)
class Question:
    """Of a stream. Questions with the same `meaning` are known to ask the same."""

    text: str
    meaning: str


def is_development(*texts: str) -> bool:
    return hashlib.sha256("\n".join(texts).encode()).digest()[0] % 2 == 0


def pairs(name: str, *, development: bool | None = None) -> list[Pair]:
    """Of benchmarks/cache_pairs, all or one half."""
    found = [Pair(row["a"], row["b"], row["language"], row.get("kind", "")) for row in lines(PAIRS / f"{name}.jsonl")]
    return [pair for pair in found if development is None or is_development(pair.a, pair.b) == development]


def paraphrases(data: Path) -> list[tuple[str, str]]:
    """(what is put into the cache, what is asked) of each."""
    rows = json.loads((data / "paraphrases" / "mock_data.json").read_text(encoding="utf-8"))
    return [(row["origin"], row["similar"]) for row in rows]


def questions(data: Path) -> list[Question]:
    """NQ-open's questions, the user's and seed instructions of Self-Instruct, MT-bench's first turns and Arena-Hard's
    prompts, with those that were written anew in other words, and the pairs that ask the same; no text twice."""
    texts = [row["question"] for row in lines(data / "nq_open" / "NQ-open.dev.jsonl")]
    for file in ("seed_tasks", "user_oriented_instructions"):
        texts += [row["instruction"] for row in lines(data / "self-instruct" / f"{file}.jsonl")]
    texts += [row["turns"][0] for row in lines(data / "mt_bench" / "question.jsonl")]
    texts += [row["prompt"] for row in lines(data / "arena-hard" / "v01_question.jsonl")]
    found = [Question(text, text) for text in texts]
    requests = [Question(text, text) for text, _ in intents(data)]
    of_digest = {_digest(question.text): question for question in (*found, *requests)}
    for row in lines(PAIRS / "reworded.jsonl"):
        if (origin := of_digest.get(row["of"])) is not None:
            found += [origin, Question(row["text"], origin.text)]
    for pair in (*pairs("same"), *pairs("same_independent")):
        found += [Question(pair.a, pair.a), Question(pair.b, pair.a)]
    return _shuffled(found)


def intents(data: Path) -> list[tuple[str, str]]:
    """(text, intent) of the tests of CLINC150 and banking77."""
    clinc = json.loads((data / "clinc150" / "data_full.json").read_text(encoding="utf-8"))["test"]
    with (data / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        banking = [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]
    return [(text, f"clinc150: {intent}") for text, intent in clinc] + [
        (text, f"banking77: {intent}") for text, intent in banking
    ]


def requests(data: Path) -> list[Question]:
    """The same as a stream, no text twice."""
    return _shuffled(Question(text, intent) for text, intent in intents(data))


@cache
def judgements() -> dict[str, bool]:
    """Whether the two texts of a pair ask the same, by `pair_digest`: judged by reading them."""
    return {row["pair"]: row["same"] for row in lines(PAIRS / "judged.jsonl")}


def pair_digest(one: str, other: str) -> str:
    return _digest("\n".join(sorted((one, other))))


def plain(text: str) -> str:
    """Without case and signs: two texts that are alike then are no paraphrases."""
    return _NOT_A_WORD.sub(" ", text.lower()).strip()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shuffled(questions: Iterable[Question]) -> list[Question]:
    once = {question.text: question for question in questions}
    found = list(once.values())
    random.Random(0).shuffle(found)
    return found
