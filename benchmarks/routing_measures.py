"""What is measured of a classifier: accuracy by source, precision at a recall, coverage, area under the curve. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from routing.graph import Classify, Route, Target
from routing.semantic.features import features_of
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped, human_text

if TYPE_CHECKING:
    from benchmarks.routing_quality import Bench
    from routing.semantic.classifier import NodeClassifier
    from routing.semantic.judgement import Judgement
    from training.train_head import Table

Probabilities = NDArray[np.float32]  # (prompts, tasks)
Mask = NDArray[np.bool_]
Weighting = Literal["prompts", "sources"]
_LEAST_OF_A_CELL = 10  # prompts of a source and task that are told apart


@dataclass(frozen=True, slots=True)
class Outcome:
    """Accuracy by source, by source and task, and by task."""

    by_source: dict[str, float]
    by_cell: dict[str, float]
    by_task: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        return {
            "mean_of_sources": round(float(np.mean(list(self.by_source.values()))), 4),
            "mean_of_sources_and_tasks": round(float(np.mean(list(self.by_cell.values()))), 4),
            "by_source": self.by_source,
            "by_source_and_task": self.by_cell,
            "by_task": self.by_task,
        }


def task_node() -> Classify:
    """All seven tasks, each a route of its own, with the shipped thresholds."""
    return Classify(tuple(Route(task, Target("x"), task) for task in TASKS), Target("x"))


def judged(bench: Bench, classifier: NodeClassifier, text: str) -> Judgement:
    """As a request would be: at sight if that is clear, else with the vector."""
    text = clipped(human_text(text))
    features = features_of(text)
    found = classifier.at_sight(text, features)
    return classifier.judge(features, bench.vector(text)) if found is None else found


def outcome_of(table: Table, probabilities: Probabilities, measured: Mask) -> Outcome:
    right = probabilities.argmax(axis=1) == table.labels

    def share(mask: Mask) -> float:
        return round(float(right[mask].mean()), 4)

    cells = {}
    for source in sorted(set(table.sources[measured])):
        for task, name in enumerate(TASKS):
            mask = (table.sources == source) & (table.labels == task)
            if mask.sum() >= _LEAST_OF_A_CELL:
                cells[f"{source}: {name}"] = share(mask)
    return Outcome(
        {source: share(table.sources == source) for source in sorted(set(table.sources[measured]))},
        cells,
        {name: share(measured & (table.labels == task)) for task, name in enumerate(TASKS)},
    )


def precision_at_recall(
    table: Table, probabilities: Probabilities, measured: Mask, task: int, recall: float, weighting: Weighting
) -> float:
    """Precision of one task's route at the threshold that gives this recall.

    `prompts`: every prompt counts alike, as the sources happen to be large. `sources`: every task counts alike, and
    within it a source by the root of its size.
    """
    places = np.flatnonzero(measured)
    weights = np.ones(len(places))
    if weighting == "sources":
        for place, index in enumerate(places):
            cell = measured & (table.sources == table.sources[index]) & (table.labels == table.labels[index])
            weights[place] = cell.sum() ** -0.5
        for label in range(len(TASKS)):
            of_label = table.labels[places] == label
            weights[of_label] /= weights[of_label].sum()
    order = np.argsort(-probabilities[places, task])
    right = table.labels[places][order] == task
    weights = weights[order]
    recalled = np.cumsum(weights * right) / (weights * right).sum()
    cut = int(np.searchsorted(recalled, recall))
    return round(float((weights * right)[: cut + 1].sum() / weights[: cut + 1].sum()), 4)


def coverage(table: Table, probabilities: Probabilities, measured: Mask) -> list[tuple[float, float]]:
    """(share of the prompts that are routed, their accuracy), the surest first; every source counts alike."""
    places = np.flatnonzero(measured)
    sizes = {source: int((table.sources[places] == source).sum()) for source in set(table.sources[places])}
    weights = np.array([1 / sizes[source] for source in table.sources[places]])
    order = np.argsort(-probabilities[places].max(axis=1))
    right = (probabilities[places].argmax(axis=1) == table.labels[places])[order]
    weights = weights[order] / weights.sum()
    covered, accurate = np.cumsum(weights), np.cumsum(weights * right)
    return [
        (share, round(float(accurate[cut] / covered[cut]), 4))
        for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
        for cut in [min(len(order) - 1, int(np.searchsorted(covered, share - 1e-9)))]
    ]


def calibration(table: Table, probabilities: Probabilities, measured: Mask) -> list[tuple[float, float, float]]:
    """(mean probability, accuracy, share of the prompts) of the likeliest task by tenths, every source alike."""
    places = np.flatnonzero(measured)
    sizes = {source: int((table.sources[places] == source).sum()) for source in set(table.sources[places])}
    weights = np.array([1 / sizes[source] for source in table.sources[places]])
    weights /= weights.sum()
    sure = probabilities[places].max(axis=1)
    right = probabilities[places].argmax(axis=1) == table.labels[places]
    tenth = np.minimum(9, (sure * 10).astype(int))
    found = []
    for bin_ in range(10):
        inside = tenth == bin_
        if inside.any():
            share = float(weights[inside].sum())
            told = (
                (weights[inside] * sure[inside]).sum() / share,
                (weights[inside] * right[inside]).sum() / share,
                share,
            )
            found.append((round(float(told[0]), 3), round(float(told[1]), 3), round(told[2], 4)))
    return found


def area_under_curve(inside: Sequence[float], outside: Sequence[float]) -> float:
    """How probably a score of `inside` is above one of `outside`; a tie counts half."""
    scores = np.concatenate([np.asarray(inside), np.asarray(outside)])
    ordered = np.sort(scores)
    ranks = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right") + 1) / 2
    count = len(inside)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(outside)))
