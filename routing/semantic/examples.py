"""What a node learns from examples of one's own, beside what the shipped head knows.

Classes are the tasks and, after them, the node's own: each route of a task shares the task's class, every other route
has one, and so have the examples of what belongs nowhere. The head's logits are the beginning; logistic regression
learns what the examples say beyond it. Some of the head's own examples are learnt along, at a lower weight, so that a
route of one's own takes what is like its examples and not everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routing.semantic.features import Features
from routing.semantic.head import HASHED, WORD_SCALE, Example, TaskHead, Vector, folded
from routing.semantic.learning import Matrix, fit, softmax
from routing.semantic.lexicon import TASKS

WORDS = 512  # dimensions that the hashed words are folded into once more
_WORDS_WEIGHT = 0.7
_PRIOR_WEIGHT = 0.15  # of the head's opinion, as one feature a task
_PENALTY = 0.1  # over the number of examples
_ANCHORS_WEIGHT = 0.2  # of all the head's examples together, beside those of one's own
_NEAREST = 3
_FOLDS = 5
_MANY = 20_000  # examples × classes, from which on two folds must do
_OWN_LOGIT = -2.0  # of a class of one's own before an example is seen

# P(the route is right) from log p, nearness and 1: fitted on public intents; see training/fit_confidence.py.
CONFIDENCE = (2.26, 7.24, -0.34)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What `learn` found. Probabilities are of the tasks and after them of the own classes."""

    weights: Matrix  # (representation, classes)
    rows: Matrix  # (own examples, representation without the head's opinion), of length 1
    places: tuple[NDArray[np.intp], ...]  # for each own class, which of `rows` are its examples
    own: int

    def probabilities(self, head: TaskHead, features: Features, vector: Vector | None) -> Matrix:
        """(tasks + own,)"""
        row, known = _row(head, features, vector, self.own)
        moved: Matrix = np.add(known, row @ self.weights, dtype=np.float32)
        return softmax(moved)

    def confidence(self, own: int, probability: float, features: Features, vector: Vector | None) -> float:
        """How probably an own class is right, given its share: less, if nothing like it is among its examples."""
        return _confidence(probability, self.nearness(own, features, vector))

    def nearness(self, own: int, features: Features, vector: Vector | None) -> float:
        """The mean cosine with the nearest examples of an own class."""
        near = self.rows[self.places[own]] @ _unit(_seen(features, vector))
        return float(np.sort(near)[-_NEAREST:].mean())


def learn(head: TaskHead, examples: Sequence[Example], anchors: Sequence[Example], own: int) -> Learnt:
    """`examples` and `anchors` have vectors, or none of them has."""
    rows, labels, offsets, weights = _table(head, examples, anchors, own)
    found = fit(rows, labels, weights, offsets, _PENALTY / max(1, len(examples)))
    of_own = [example for example in examples if example.own is not None]
    kept = np.stack([_unit(_seen(example.features, example.vector)) for example in of_own]) if of_own else rows[:0]
    numbers = np.array([example.own for example in of_own], np.intp)
    places = tuple(np.flatnonzero(numbers == number) for number in range(own))
    return Learnt(found, kept, places, own)


def held_out(
    head: TaskHead, examples: Sequence[Example], anchors: Sequence[Example], own: int
) -> list[tuple[Example, Learnt]]:
    """Each example with what was learnt without it, in a few rounds: what the thresholds are calibrated on."""
    told: list[tuple[Example, Learnt]] = []
    rounds = _FOLDS if len(examples) * own < _MANY else 2
    for fold in range(min(rounds, len(examples))):
        apart = examples[fold::rounds]
        rest = [example for place, example in enumerate(examples) if place % rounds != fold]
        learnt = learn(head, rest, anchors, own)
        told += [(example, learnt) for example in apart]
    return told


def _table(
    head: TaskHead, examples: Sequence[Example], anchors: Sequence[Example], own: int
) -> tuple[Matrix, NDArray[np.intp], Matrix, Matrix]:
    all_of_them = (*examples, *anchors)
    labels = [_label(example) for example in all_of_them]
    sizes = Counter(labels[: len(examples)])
    weights = [1 / (sizes[label] * len(sizes)) for label in labels[: len(examples)]]
    weights += [_ANCHORS_WEIGHT / len(anchors)] * len(anchors)
    rows, offsets = zip(*(_row(head, each.features, each.vector, own) for each in all_of_them), strict=True)
    scaled = np.array(weights, np.float32)
    return np.stack(rows), np.array(labels, np.intp), np.stack(offsets), scaled / scaled.sum()


def _row(head: TaskHead, features: Features, vector: Vector | None, own: int) -> tuple[Matrix, Matrix]:
    """What is learnt from, and the logits that learning begins with."""
    logits = head.logits(features, vector)
    known = np.concatenate([logits, np.full(own, _OWN_LOGIT, np.float32)])
    return np.concatenate([_seen(features, vector), _opinion(logits)]), known


def _label(example: Example) -> int:
    if example.own is not None:
        return len(TASKS) + example.own
    assert example.task is not None
    return example.task


def _seen(features: Features, vector: Vector | None) -> Matrix:
    words = np.zeros(WORDS, np.float32)
    places, signs = folded(features.buckets)
    np.add.at(words, places % WORDS, signs * np.float32(_WORDS_WEIGHT / WORD_SCALE))
    return words if vector is None else np.concatenate([vector, words])


def _unit(row: Matrix) -> Matrix:
    unit: Matrix = row / np.float32(max(1e-9, float(np.linalg.norm(row))))
    return unit


def _opinion(logits: Matrix) -> Matrix:
    opinion: Matrix = np.multiply(logits - logits.mean(), _PRIOR_WEIGHT, dtype=np.float32)
    return opinion


def _confidence(probability: float, nearness: float) -> float:
    of_log, of_nearness, constant = CONFIDENCE
    logit = of_log * float(np.log(max(probability, 1e-9))) + of_nearness * nearness + constant
    return 1 / (1 + float(np.exp(-logit)))


assert HASHED % WORDS == 0
