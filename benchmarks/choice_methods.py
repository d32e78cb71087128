"""Ways to tell how much better the strong model will answer a prompt, from prompts where that is known. Pure.

A method takes labelled prompts and others, and gives each of the others a score. Nothing of the others goes into what
is learnt, the scale of their features included. Constants are the same for every table.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.choice_tables import Prompts
from routing.semantic.learning import fit, softmax
from routing.semantic.lexicon import TASKS

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Method = Callable[[Prompts, Prompts], Floats]

LOGISTIC_PENALTY = 0.01
LINEAR_PENALTY = 0.1
_PRIOR = 5.0  # labels of the overall mean that a kind's own are mixed with
_HARD = [TASKS.index(task) for task in ("coding", "math", "reasoning")]


def usual_k(labels: int) -> int:
    """How many neighbours, if nobody says."""
    return max(1, round(2 * math.sqrt(labels)))


def longest(_: Prompts, asked: Prompts) -> Floats:
    return np.array([len(text) for text in asked.texts], np.float64)


def hard_tasks(_: Prompts, asked: Prompts) -> Floats:
    """What a `classify` node with routes of its own for coding, math and reasoning makes of it: no labels."""
    found: Floats = asked.tasks[:, _HARD].sum(axis=1, dtype=np.float64)
    return found


def kind_told(labelled: Prompts, asked: Prompts) -> Floats:
    """The mean gain of the prompts of that kind: as a client that tells the subject would have it."""
    gains, mean = labelled.gains, float(labelled.gains.mean())
    table = {}
    for kind in np.unique(labelled.kinds):
        own = gains[labelled.kinds == kind]
        table[kind] = (own.sum() + _PRIOR * mean) / (len(own) + _PRIOR)
    return np.array([table.get(kind, mean) for kind in asked.kinds])


def by_task(labelled: Prompts, asked: Prompts) -> Floats:
    """A gain for each of the seven tasks, weighted by how probable the shipped head finds them."""
    return _linear(labelled.tasks, labelled.gains, asked.tasks, 0.01)


def nearest(labelled: Prompts, asked: Prompts, k: int | None = None) -> Floats:
    return _nearest(labelled.vectors, labelled.gains, asked.vectors, k)


def nearest_whole(labelled: Prompts, asked: Prompts) -> Floats:
    return _nearest(labelled.whole, labelled.gains, asked.whole)


def nearest_with_shapes(labelled: Prompts, asked: Prompts, k: int | None = None) -> Floats:
    known, asked_rows = (_unit(rows) for rows in _with_shapes(labelled, asked))
    return _nearest(known, labelled.gains, asked_rows, k)


def logistic(labelled: Prompts, asked: Prompts, penalty: float = LOGISTIC_PENALTY) -> Floats:
    """P(the strong model is better) less P(the weak one is), by the regression that Cortex learns examples with."""
    rows, asked_rows = _with_shapes(labelled, asked)
    labels = (np.sign(labelled.gains) + 1).astype(np.intp)
    before = np.log(np.bincount(labels, minlength=3) / len(labels) + 1e-3).astype(np.float32)
    weights = np.full(len(labels), 1 / len(labels), np.float32)
    found = fit(rows, labels, weights, np.tile(before, (len(labels), 1)), penalty)
    shares = softmax(asked_rows @ found + before)
    return (shares[:, 2] - shares[:, 0]).astype(np.float64)


def linear(labelled: Prompts, asked: Prompts, penalty: float = LINEAR_PENALTY) -> Floats:
    """Least squares on the gain itself."""
    rows, asked_rows = _with_shapes(labelled, asked)
    return _linear(rows, labelled.gains, asked_rows, penalty)


LABELLED: dict[str, Method] = {
    "kNN, vectors": nearest,
    "kNN, whole prompts": nearest_whole,
    "kNN, with shapes": nearest_with_shapes,
    "logistic, with shapes": logistic,
    "linear, with shapes": linear,
    "gain by task": by_task,
}
UNLABELLED: dict[str, Method] = {
    "the longer prompt": longest,
    "coding, math or reasoning": hard_tasks,
}


def _nearest(known: Rows, gains: Floats, asked: Rows, k: int | None = None) -> Floats:
    """The mean gain of the k nearest by cosine, the nearer the heavier."""
    k = min(usual_k(len(known)) if k is None else k, len(known))
    near = asked @ known.T
    places = np.argpartition(near, len(known) - k, axis=1)[:, len(known) - k :]
    weights = np.take_along_axis(near, places, axis=1).clip(1e-3).astype(np.float64)
    found: Floats = (weights * gains[places]).sum(axis=1) / weights.sum(axis=1)
    return found


def _linear(rows: Rows, gains: Floats, asked: Rows, penalty: float) -> Floats:
    mean, middle = rows.mean(axis=0, dtype=np.float64), float(gains.mean())
    moved, missing = rows - mean, (gains - middle) / len(rows)
    if len(rows) < rows.shape[1]:  # the same by the smaller system
        found = moved.T @ np.linalg.solve(moved @ moved.T / len(rows) + penalty * np.eye(len(rows)), missing)
    else:
        moments = moved.T @ moved / len(rows) + penalty * np.eye(rows.shape[1])
        found = np.linalg.solve(moments, moved.T @ missing)
    scores: Floats = middle + (asked - mean) @ found
    return scores


def _with_shapes(labelled: Prompts, asked: Prompts) -> tuple[Rows, Rows]:
    """Vector and shapes side by side, each of about unit length."""
    mean, spread = labelled.shapes.mean(axis=0), labelled.shapes.std(axis=0)
    scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0) / labelled.shapes.shape[1] ** 0.5

    def rows(prompts: Prompts) -> Rows:
        return np.hstack([prompts.vectors, (prompts.shapes - mean) * scale]).astype(np.float32)

    return rows(labelled), rows(asked)


def _unit(rows: Rows) -> Rows:
    scaled: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled
