"""RouteLLM's tables of what GPT-4-1106 and Mixtral-8x7B answered: MMLU, GSM8K, MT-Bench.

Promises that prompts which RouteLLM found in its training data are left out, as it does, and that prompts which are
nearly the same are told to be of one group, so that none is judged by its twin's label. Vectors are kept in a folder
for temporary files, by a hash of what they were made of.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import say
from cortex.embedding.builtin import BuiltinEmbedder
from cortex.embedding.minilm import FOLDER
from cortex.task_head import shipped_head
from routing.semantic.features import features_of
from routing.semantic.learning import softmax
from routing.semantic.turn import clipped, embedded

WEAK = "mistralai/Mixtral-8x7B-Instruct-v0.1"
STRONG = "gpt-4-1106-preview"
NAMES = {"mmlu": "MMLU", "gsm8k": "GSM8K", "mt_bench": "MT-Bench"}
ALIKE = 0.95  # cosine from which on two prompts are of one group

_ROWS_AT_ONCE = 1000
_CACHE = Path(tempfile.gettempdir()) / "cortex-bench-vectors"

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Prompts:
    """Some prompts of a table, or of several; all arrays are of one length."""

    texts: Sequence[str]
    kinds: NDArray[np.str_]  # MMLU's subject, MT-Bench's category
    weak: NDArray[np.float64]  # 0 or 1; for MT-Bench a score from 1 to 10
    strong: NDArray[np.float64]
    groups: Places  # those that are nearly the same have the same number
    vectors: NDArray[np.float32]  # of what Cortex reads of a prompt
    whole: NDArray[np.float32]  # of the whole prompt, as much of it as the model takes
    shapes: NDArray[np.float32]
    tasks: NDArray[np.float32]  # probabilities by the shipped head

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def gains(self) -> NDArray[np.float64]:
        return self.strong - self.weak

    def at(self, places: Places) -> Prompts:
        return Prompts(
            [self.texts[place] for place in places],
            self.kinds[places],
            self.weak[places],
            self.strong[places],
            self.groups[places],
            self.vectors[places],
            self.whole[places],
            self.shapes[places],
            self.tasks[places],
        )

    def beside(self, other: Prompts) -> Prompts:
        """Both; gains are put on one scale, since a point of MT-Bench is not a right answer."""
        mine, others = (each.gains / max(float(each.gains.std()), 1e-9) for each in (self, other))

        def both(name: str) -> np.ndarray:
            return np.concatenate([getattr(self, name), getattr(other, name)])

        return replace(
            self,
            texts=[*self.texts, *other.texts],
            weak=np.zeros(len(self) + len(other)),
            strong=np.concatenate([mine, others]),
            groups=np.concatenate([self.groups, other.groups + len(self)]),
            **{name: both(name) for name in ("kinds", "vectors", "whole", "shapes", "tasks")},
        )


def load(data: Path, name: str) -> Prompts:
    """`name` is one of NAMES. Raises OSError, KeyError or ValueError if the files are not there, or others."""
    rows = list(_READERS[name](data / "routellm" / name))
    kinds, texts, weak, strong = zip(*rows, strict=True)
    clips = [clipped(text) for text in texts]
    vectors = _vectors([embedded(text) for text in clips], f"{NAMES[name]}: embedding what Cortex reads")
    whole = _vectors(texts, f"{NAMES[name]}: embedding whole prompts")
    seen = [features_of(text) for text in clips]
    head = shipped_head()
    return Prompts(
        texts,
        np.array(kinds),
        np.array(weak, np.float64),
        np.array(strong, np.float64),
        groups_of(whole),
        vectors,
        whole,
        np.array([features.shape for features in seen], np.float32),
        np.stack([softmax(head.logits(*each)) for each in zip(seen, vectors, strict=True)]),
    )


def groups_of(vectors: NDArray[np.float32]) -> Places:
    """A number for each row; rows that are alike, also by way of others, have the same."""
    numbers = np.arange(len(vectors))
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        near = vectors[start : start + _ROWS_AT_ONCE] @ vectors.T >= ALIKE
        for row, other in zip(*np.nonzero(near), strict=True):
            mine, others = numbers[start + row], numbers[other]
            if mine != others:
                numbers[numbers == max(mine, others)] = min(mine, others)
    return numbers


# Of what RouteLLM keeps.

_Row = tuple[str, str, float, float]  # kind, text, weak, strong


def _mmlu(folder: Path) -> Iterable[_Row]:
    for path in sorted(folder.glob("*.csv")):
        yield from _answers(path, path.stem.removeprefix("mmlu_"))


def _gsm8k(folder: Path) -> Iterable[_Row]:
    return _answers(folder / "gsm8k_responses.csv", "gsm8k")


def _answers(path: Path, kind: str) -> Iterable[_Row]:
    contaminated = _contaminated(path.parent)
    right = {"True": 1.0, "False": 0.0}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["prompt"] not in contaminated:
                yield kind, row["prompt"], right[row[WEAK]], right[row[STRONG]]


def _mt_bench(folder: Path) -> Iterable[_Row]:
    """Routed by the first turn; the quality is the mean score of both."""
    contaminated = _contaminated(folder)
    scores: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in _lines(folder / "judgements.jsonl"):
        scores[row["question_id"], row["model"]].append(row["score"])
    for row in _lines(folder / "question.jsonl"):
        if not contaminated.intersection(row["turns"]):
            weak, strong = (float(np.mean(scores[row["question_id"], model])) for model in (WEAK, STRONG))
            yield row["category"], row["turns"][0], weak, strong


def _contaminated(folder: Path) -> set[str]:
    return {row["eval_prompt"] for row in _lines(folder / "contaminated_prompts.jsonl")}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


_READERS: dict[str, Callable[[Path], Iterable[_Row]]] = {"mmlu": _mmlu, "gsm8k": _gsm8k, "mt_bench": _mt_bench}


def _vectors(texts: Sequence[str], what: str) -> NDArray[np.float32]:
    digest = hashlib.sha256((FOLDER / "MANIFEST.json").read_bytes())
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    path = _CACHE / f"{digest.hexdigest()}.npy"
    if path.exists():
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return kept
    say(what)
    made = BuiltinEmbedder().embed(texts)
    _CACHE.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=_CACHE, suffix=".new", delete=False) as file:
        np.save(file, made)
    Path(file.name).rename(path)
    return made
