"""Multinomial logistic regression for a few hundred examples: convex, deterministic, numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
STEPS = 120
_SMALL = 1e-4  # a step that changes no weight by more is the last


def fit(
    rows: Matrix, labels: NDArray[np.intp], weights: Matrix, offsets: Matrix, penalty: float, steps: int = STEPS
) -> Matrix:
    """(features, classes): the weights that explain `labels` best, with a penalty on their squares.

    `rows` (n, features), of about unit length; `labels` (n,) from 0; `weights` (n,) sum to one; `offsets` (n, classes)
    is added to the logits: what is known beforehand. Nesterov's method, begun anew whenever it overshoots.
    """
    classes = offsets.shape[1]
    wanted = np.zeros_like(offsets)
    wanted[np.arange(len(labels)), labels] = 1
    step = 1 / (0.5 * _largest_eigenvalue(rows, weights) + penalty)
    found = np.zeros((rows.shape[1], classes), np.float32)
    ahead, momentum = found, 1.0
    for _ in range(steps):
        misses = (softmax(rows @ ahead + offsets) - wanted) * weights[:, None]
        gradient = rows.T @ misses + penalty * ahead
        moved = ahead - step * gradient
        change = moved - found
        if float(np.vdot(gradient, change)) > 0:
            momentum = 1.0
        faster = (1 + (1 + 4 * momentum * momentum) ** 0.5) / 2
        ahead = moved + ((momentum - 1) / faster) * change
        found, momentum = moved, faster
        if float(np.abs(change).max()) < _SMALL * max(1.0, float(np.abs(found).max())):
            break
    return found


def _largest_eigenvalue(rows: Matrix, weights: Matrix) -> float:
    """Of the weighted second moments, from above: a few rounds of the power method, and a margin."""
    direction = rows.T @ weights
    if not float(np.abs(direction).max(initial=0)) > 0:
        return 1.0
    value = 1.0
    for _ in range(12):
        direction = direction / np.linalg.norm(direction)
        direction = rows.T @ (weights * (rows @ direction))
        value = float(np.linalg.norm(direction))
        if value == 0:
            return 1.0
    return 1.1 * value


def softmax(logits: Matrix) -> Matrix:
    """Along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Matrix = raised / raised.sum(axis=-1, keepdims=True)
    return result
