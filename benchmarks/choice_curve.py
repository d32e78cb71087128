"""What is won by sending the prompts of the highest score to the stronger of two models. Pure.

The curve runs from no prompt to all of them: how much of the way from the weak model's quality to the strong one's
("performance gap recovered") for which share of the prompts. APGR is the area under it, CPT(q) the share at which q of
the way is made, as RouteLLM (arXiv 2406.18665) defines them; it takes eleven points of the curve, this takes all.
Prompts of equal scores go over together, in proportion: a score that tells nothing gives 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Curve:
    def __init__(self, scores: Floats, gains: Floats) -> None:
        """`gains`: by how much the strong model's answer is better, prompt by prompt; their sum must be positive."""
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))  # of equal scores
        self._gains = gains[self._order]
        self.shares, self.recovered = self._points(np.ones(len(gains)))

    @property
    def apgr(self) -> float:
        return _area(self.shares, self.recovered)

    def cpt(self, quality: float) -> float:
        """The smallest share that recovers so much of the gap, both from 0 to 1."""
        after = int(np.argmax(self.recovered >= quality - 1e-9))
        before = max(0, after - 1)
        low, high = self.recovered[before], self.recovered[after]
        part = (quality - low) / (high - low) if high > low else 0.0
        return float(self.shares[before] + part * (self.shares[after] - self.shares[before]))

    def interval(self, times: int, rng: np.random.Generator) -> tuple[float, float]:
        """Between which APGR is in 95 % of all tables of other such prompts, by drawing from these with replacement.

        Draws in which the strong model is no better have no curve and are left out.
        """
        count = len(self._gains)
        areas = []
        for _ in range(times):
            weights = np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64)
            if float(weights @ self._gains) > 0:
                areas.append(_area(*self._points(weights)))
        low, high = np.quantile(areas, (0.025, 0.975))
        return float(low), float(high)

    def _points(self, weights: Floats) -> tuple[Floats, Floats]:
        shares = np.cumsum(np.add.reduceat(weights, self._starts))
        gained = np.cumsum(np.add.reduceat(weights * self._gains, self._starts))
        return np.concatenate([[0.0], shares / shares[-1]]), np.concatenate([[0.0], gained / gained[-1]])


def _area(x: Floats, y: Floats) -> float:
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
