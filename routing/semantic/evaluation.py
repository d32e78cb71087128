"""How well a `classify` node routes, from judgements of prompts whose routes are known. Pure; sees no prompt's text.

The default is a class like a route: what belongs to no route, and what is taken where none is sure enough.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from routing.semantic.judgement import Judgement, Stage

MISTAKES = 20
COVERAGES = (100, 90, 80, 70, 60, 50)  # percent: what is told of the curve
NOT_SURE = "not sure enough"
_DEFAULT = "default"
_STAGES: tuple[Stage, ...] = ("features", "embedding", "examples", "abstained")
_STEP = 10_000  # thresholds have four decimals

Class: TypeAlias = str | None  # a route's name; None: the default


@dataclass(frozen=True, slots=True)
class Judged:
    """One prompt: where it stands, what it belongs to, what was made of it, and how long that took."""

    line: int
    wanted: Class
    judgement: Judgement
    took_ms: float

    @property
    def right(self) -> bool:
        return self.judgement.route == self.wanted

    @property
    def probability(self) -> float | None:
        """Of the best route; None: no route was thought of, and no threshold would have one taken."""
        return self.judgement.best[0][1] if self.judgement.best else None


@dataclass(frozen=True, slots=True)
class RouteScore:
    route: Class
    prompts: int  # that belong to it
    taken: int  # by how many prompts
    right: int  # of these
    share: float  # of all prompts, that took it
    thresholds: tuple[float, ...]  # that were met where it was the best, ascending: a stage may have its own

    @property
    def precision(self) -> float | None:
        return self.right / self.taken if self.taken else None

    @property
    def recall(self) -> float | None:
        return self.right / self.prompts if self.prompts else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What comes of letting the best route be taken from a probability on."""

    threshold: float | None  # one for every route; None: those in force
    prompts: int  # all there are
    routed: int
    right: int  # of the routed
    rightly_left: int  # to the default

    @property
    def share(self) -> float:
        return self.routed / self.prompts

    @property
    def accuracy(self) -> float | None:
        """Of the routed."""
        return self.right / self.routed if self.routed else None

    @property
    def accuracy_of_all(self) -> float:
        return (self.right + self.rightly_left) / self.prompts


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds, by nearest rank; None without any."""

    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, times: Iterable[float]) -> Times:
        ordered = sorted(times)
        return cls(_percentile(ordered, 50), _percentile(ordered, 99))


@dataclass(frozen=True, slots=True)
class StageScore:
    """What one stage decided; `abstained`: what none did."""

    stage: Stage
    prompts: int
    right: int
    took_ms: Times


@dataclass(frozen=True, slots=True)
class Evaluation:
    prompts: int
    right: int
    routes: tuple[RouteScore, ...]  # in the node's order, the default last
    confusion: tuple[tuple[int, ...], ...]  # a row for what is wanted, a column for what was got; both as `routes`
    in_force: Coverage
    curve: tuple[Coverage, ...]  # 1 %, 2 % … 100 % routed
    stages: tuple[StageScore, ...]
    took_ms: Times
    abstained: Mapping[str, int]  # why → how many, most first
    mistakes: tuple[Judged, ...]  # up to `MISTAKES`, the surest first; wrong routes before prompts that were left

    @property
    def accuracy(self) -> float:
        return self.right / self.prompts

    def name(self, route: Class) -> str:
        """What a class is called where it is shown. A route may have the name that the default would have."""
        if route is not None:
            return route
        return f"({_DEFAULT})" if any(score.route == _DEFAULT for score in self.routes) else _DEFAULT

    @property
    def names(self) -> list[str]:
        """As `routes`."""
        return [self.name(score.route) for score in self.routes]

    def at(self, percent: int) -> Coverage:
        """With at least so many routed, from 1 to 100; fewer where no threshold would have so many."""
        return self.curve[percent - 1]


def evaluate(routes: Sequence[str], judged: Sequence[Judged]) -> Evaluation:
    """`routes` are the node's, and those that `judged` names are of them. Raises ValueError without any `judged`."""
    if not judged:
        raise ValueError("nothing was judged")
    classes: tuple[Class, ...] = (*routes, None)
    pairs = Counter((each.wanted, each.judgement.route) for each in judged)
    confusion = tuple(tuple(pairs[wanted, got] for got in classes) for wanted in classes)
    return Evaluation(
        prompts=len(judged),
        right=sum(each.right for each in judged),
        routes=_scores(classes, confusion, judged),
        confusion=confusion,
        in_force=_in_force(judged),
        curve=_curve(judged),
        stages=tuple(_stage(stage, judged) for stage in _STAGES),
        took_ms=Times.of(each.took_ms for each in judged),
        abstained=_abstained(judged),
        mistakes=_mistakes(judged),
    )


def _scores(
    classes: Sequence[Class], confusion: Sequence[Sequence[int]], judged: Sequence[Judged]
) -> tuple[RouteScore, ...]:
    thresholds: dict[Class, set[float]] = {}
    for each in judged:
        if each.judgement.best and each.judgement.threshold is not None:
            thresholds.setdefault(each.judgement.best[0][0], set()).add(each.judgement.threshold)
    taken = [sum(column) for column in zip(*confusion, strict=True)]
    return tuple(
        RouteScore(
            route=route,
            prompts=sum(confusion[place]),
            taken=taken[place],
            right=confusion[place][place],
            share=taken[place] / len(judged),
            thresholds=tuple(sorted(thresholds.get(route, ()))),
        )
        for place, route in enumerate(classes)
    )


def _in_force(judged: Sequence[Judged]) -> Coverage:
    routed = [each for each in judged if each.judgement.route is not None]
    left = sum(each.right for each in judged if each.judgement.route is None)
    return Coverage(None, len(judged), len(routed), sum(each.right for each in routed), left)


def _curve(judged: Sequence[Judged]) -> tuple[Coverage, ...]:
    """A threshold is rounded down to what can be written in a file, and what it gives is that of the rounded one."""
    ranked = sorted(
        (
            (-probability, each.judgement.best[0][0] == each.wanted, each.wanted is None)
            for each in judged
            if (probability := each.probability) is not None
        ),
        key=lambda row: row[0],
    )
    below = np.array([row[0] for row in ranked], np.float64)  # the probabilities' negatives, ascending
    right = [0, *accumulate(row[1] for row in ranked)]
    homeless = [0, *accumulate(row[2] for row in ranked)]
    to_be_left = sum(each.wanted is None for each in judged)
    curve = []
    for percent in range(1, 101):
        wanted = min(len(ranked), _part(len(judged), percent))
        threshold = _rounded_down(float(-below[wanted - 1])) if wanted else 0.0
        routed = int(np.searchsorted(below, -threshold, "right"))
        curve.append(Coverage(threshold, len(judged), routed, right[routed], to_be_left - homeless[routed]))
    return tuple(curve)


def _rounded_down(probability: float) -> float:
    steps = math.floor(probability * _STEP)
    return steps / _STEP if steps / _STEP <= probability else (steps - 1) / _STEP


def _stage(stage: Stage, judged: Sequence[Judged]) -> StageScore:
    decided = [each for each in judged if each.judgement.stage == stage]
    times = Times.of(each.took_ms for each in decided)
    return StageScore(stage, len(decided), sum(each.right for each in decided), times)


def _abstained(judged: Sequence[Judged]) -> Mapping[str, int]:
    reasons = Counter(
        NOT_SURE if each.judgement.best else each.judgement.reason or ""
        for each in judged
        if each.judgement.stage == "abstained"
    )
    return dict(sorted(reasons.items(), key=lambda found: (-found[1], found[0])))


def _mistakes(judged: Sequence[Judged]) -> tuple[Judged, ...]:
    wrong = [each for each in judged if not each.right]
    wrong.sort(key=lambda each: (each.judgement.route is None, -(each.probability or 0.0), each.line))
    return tuple(wrong[:MISTAKES])


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[_part(len(ordered), percent) - 1] if ordered else None


def _part(count: int, percent: int) -> int:
    """So many of a hundred, rounded up."""
    return -(-count * percent // 100)
