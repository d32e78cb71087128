"""Which prompts are labelled and which are asked, in rounds; and what a method's scores amount to. Pure.

Promises that prompts of one group are never on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.choice_curve import Curve
from benchmarks.choice_methods import Method
from benchmarks.choice_tables import Places, Prompts

Split = tuple[Places, Places]  # labelled, asked
Rounds = Sequence[Sequence[Split]]  # of one round, no prompt is asked twice
Scores = NDArray[np.float64]  # NaN where nothing was asked

RESAMPLES = 200  # of a round's prompts


@dataclass(frozen=True, slots=True)
class Measured:
    """One method: figures round by round."""

    apgr: Sequence[float]
    cpt50: Sequence[float]
    cpt80: Sequence[float]
    intervals: Sequence[tuple[float, float]]

    @property
    def mean(self) -> float:
        return float(np.mean(self.apgr))

    @property
    def interval(self) -> tuple[float, float]:
        """What a round's is on average."""
        low, high = np.mean(self.intervals, axis=0)
        return float(low), float(high)

    def as_json(self) -> dict[str, Any]:
        return {
            "apgr": round(self.mean, 4),
            "rounds": [round(each, 4) for each in self.apgr],
            "interval": [round(each, 4) for each in self.interval],
            "cpt50": round(float(np.mean(self.cpt50)), 4),
            "cpt80": round(float(np.mean(self.cpt80)), 4),
        }


def drawn(groups: Places, labels: int, rounds: int, seed: int = 0) -> Rounds:
    """So many labels at random, and all others asked; no label twice until all have been one."""
    rng = np.random.default_rng(seed)
    found: list[Sequence[Split]] = []
    while len(found) < rounds:
        rank = rng.permutation(int(groups.max()) + 1)
        order = np.argsort(rank[groups], kind="stable")  # a group's prompts beside each other
        for start in range(0, len(order) - labels + 1, labels):
            known = order[start : start + labels]
            found.append([(known, np.flatnonzero(~np.isin(groups, groups[known])))])
    return found[:rounds]


def crossed(groups: Places, folds: int, rounds: int, seed: int = 0) -> Rounds:
    """Each prompt is asked once a round, with the labels of the other folds. As many folds as groups leave one out."""
    rng = np.random.default_rng(seed)
    numbers, places = np.unique(groups, return_inverse=True)
    found = []
    for _ in range(rounds):
        fold = rng.permutation(len(numbers))[places] % folds
        found.append([(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in np.unique(fold)])
    return found


def unseen_kinds(prompts: Prompts, labels: int, folds: int | None = None, seed: int = 0) -> Sequence[Split]:
    """Each prompt is asked once, with labels of other subjects or categories alone; None: one left out at a time."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.unique(prompts.kinds))
    splits = []
    for fold in range(min(folds or len(kinds), len(kinds))):
        asked = np.isin(prompts.kinds, kinds[fold :: folds or len(kinds)])
        others = np.flatnonzero(~np.isin(prompts.groups, prompts.groups[asked]))
        splits.append((rng.permutation(others)[:labels], np.flatnonzero(asked)))
    return splits


def measured(prompts: Prompts, rounds: Rounds, method: Method) -> Measured:
    scores = []
    for splits in rounds:
        found = np.full(len(prompts), np.nan)
        for known, asked in splits:
            found[asked] = method(prompts.at(known), prompts.at(asked))
        scores.append(found)
    return of_scores(prompts, scores)


def transferred(known: Prompts, asked: Prompts, method: Method, labels: int, rounds: int) -> Measured:
    """With labels of other tables, so many at most; where there are no more, every round is the same."""
    draws = (np.random.default_rng(seed).permutation(len(known))[:labels] for seed in range(rounds))
    return of_scores(asked, [method(known.at(places), asked) for places in draws])


def of_scores(prompts: Prompts, scores: Iterable[Scores]) -> Measured:
    """A round a score."""
    curves = []
    for each in scores:
        asked = ~np.isnan(each)
        curves.append(Curve(each[asked], prompts.gains[asked]))
    return Measured(
        [curve.apgr for curve in curves],
        [curve.cpt(0.5) for curve in curves],
        [curve.cpt(0.8) for curve in curves],
        [curve.interval(RESAMPLES, np.random.default_rng(0)) for curve in curves],
    )
