"""The shipped head: seven tasks from what can be seen of a prompt, with or without its vector.

Linear over shape features, hashed words and, in its second form, the vector; its logits are calibrated, so that a
softmax of them is a probability. `training/train_head.py` makes it; docs/models/task_head.md tells what it is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from routing.semantic.features import BUCKETS, SHAPE_NAMES, Features
from routing.semantic.learning import Matrix, fit
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped, embedded

Vector = NDArray[np.float32]  # (dimensions,), of length 1

HASHED = 2048  # dimensions that the buckets of hashed words are folded into
WORD_SCALE = 2.0
_PENALTY_OF_VECTORS = 1e-3
VECTOR_SCALE = 3.0


@dataclass(frozen=True, slots=True)
class Anchor:
    """A hand-written prompt of a known task: examples of one's own are learnt beside them."""

    task: int
    text: str
    features: Features


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt to learn from: of a task, or of a class of one's own, counted from 0."""

    features: Features
    vector: Vector | None
    task: int | None = None
    own: int | None = None


@dataclass(frozen=True, slots=True)
class TaskHead:
    """`shape` and `words` have a row for each feature, `vector` for each dimension, and all a column for each task.

    `seen` is without the vector, `whole` with it. `thresholds` are the least probabilities by task; `clear` those from
    which on what can be seen decides alone.
    """

    seen_shape: Matrix  # (shapes, tasks)
    seen_words: Matrix  # (HASHED, tasks)
    whole_shape: Matrix
    whole_words: Matrix
    whole_vector: Matrix  # (dimensions, tasks)
    thresholds: Mapping[str, float]  # with the vector
    seen_thresholds: Mapping[str, float]  # without
    clear: Mapping[str, float]
    anchors: tuple[Anchor, ...]
    anchor_vectors: Matrix  # (anchors, dimensions)
    anchor_logits: Matrix  # (anchors, tasks): without vectors, by a head that saw none of them

    def __post_init__(self) -> None:
        tasks = len(TASKS)
        for name, rows in (
            ("seen_shape", len(SHAPE_NAMES)),
            ("seen_words", HASHED),
            ("whole_shape", len(SHAPE_NAMES)),
            ("whole_words", HASHED),
        ):
            if getattr(self, name).shape != (rows, tasks):
                raise ValueError(f"{name} of the head has the wrong shape: it was trained for other features")

    def over(self, vectors: Mapping[str, Vector]) -> TaskHead:
        """The same for another embedder's vectors: by the anchors' it learns what they say beyond what is seen."""
        rows = np.stack([vectors[embedded(clipped(anchor.text))] for anchor in self.anchors])
        labels = np.array([anchor.task for anchor in self.anchors], np.intp)
        weights = np.full(len(rows), 1 / len(rows), np.float32)
        found = fit(
            np.multiply(rows, VECTOR_SCALE, dtype=np.float32), labels, weights, self.anchor_logits, _PENALTY_OF_VECTORS
        )
        return replace(
            self, whole_shape=self.seen_shape, whole_words=self.seen_words, whole_vector=found, anchor_vectors=rows
        )

    def examples(self, *, with_vectors: bool) -> list[Example]:
        """The anchors."""
        return [
            Example(anchor.features, vector if with_vectors else None, anchor.task)
            for anchor, vector in zip(self.anchors, self.anchor_vectors, strict=True)
        ]

    def logits(self, features: Features, vector: Vector | None) -> Matrix:
        """(tasks,), calibrated; without the vector by what can be seen alone."""
        shape: Matrix = np.asarray(features.shape, np.float32)
        places, signs = folded(features.buckets)
        if vector is None:
            return shape @ self.seen_shape + signs @ self.seen_words[places]
        scaled: Matrix = np.multiply(vector, VECTOR_SCALE, dtype=np.float32)
        whole: Matrix = shape @ self.whole_shape + signs @ self.whole_words[places] + scaled @ self.whole_vector
        return whole


def folded(buckets: Sequence[int]) -> tuple[NDArray[np.intp], Matrix]:
    """Where each bucket falls among the HASHED dimensions, and what it adds there: WORD_SCALE in all, and a sign."""
    found = np.asarray(buckets, np.intp)
    signs = _SIGNS[found] * np.float32(WORD_SCALE / max(1, len(buckets)) ** 0.5)
    return found % HASHED, signs


def _signs(count: int) -> Matrix:
    """One of −1 and 1 for each bucket: those that fall together must not always add up."""
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # splitmix64
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.where(mixed >> np.uint64(63) == 0, np.float32(-1), np.float32(1))


_SIGNS = _signs(BUCKETS)
