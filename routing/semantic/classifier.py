"""What one `classify` node makes of a prompt: a route or none, with probabilities, in two stages. Pure.

First by what can be seen of the text; where that is not clear, with its vector, which the caller brings, or without
one if there is none to be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from routing.graph import Classify, Route
from routing.semantic.examples import Learnt, held_out, learn
from routing.semantic.features import Features, features_of
from routing.semantic.head import Example, TaskHead, Vector
from routing.semantic.judgement import Judgement, Stage
from routing.semantic.language import SUPPORTED
from routing.semantic.learning import softmax
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped, embedded

_CLEARLY_NONE = 0.97  # the share of what has no route, from which on no vector is asked for
_USUAL_THRESHOLD = 0.5  # of a route of one's own
_LOWEST, _HIGHEST = 0.32, 0.8  # between which examples may move it
_PASSING = 0.98  # of one's own examples, held out, get through a calibrated threshold


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known with vectors, or without."""

    learnt: Learnt | None
    thresholds: Mapping[str, float]  # by route


@dataclass(frozen=True)
class NodeClassifier:
    """Made by `node_classifier`."""

    node: Classify
    head: TaskHead
    seen: _Known
    whole: _Known | None  # None: there are no vectors
    languages: frozenset[str] | None  # that it can read; None: all
    _classes: Mapping[str, int] = field(init=False, repr=False)  # route → its place among the probabilities

    def __post_init__(self) -> None:
        own = iter(range(len(TASKS), len(TASKS) + len(self.node.routes)))
        classes = {
            route.name: TASKS.index(route.task) if route.task is not None else next(own) for route in self.node.routes
        }
        object.__setattr__(self, "_classes", classes)

    @property
    def learns(self) -> bool:
        """Whether it has examples of one's own: these are compared by vectors."""
        return self.seen.learnt is not None

    def at_sight(self, text: str, features: Features) -> Judgement | None:
        """What needs no vector, in tens of microseconds; None: it is not clear."""
        if not text:
            return Judgement(None, (), None, "abstained", "there is no text to read")
        language = features.language
        if language is not None and self.languages is not None and language not in self.languages:
            return Judgement(None, (), None, "abstained", f"language: {language}")
        if self.learns and self.whole is not None:
            return None
        judged = self._judged(self.seen, features, None)
        if self.whole is None:
            return judged
        name, probability = judged.best[0]
        route = self._route(name)
        if judged.route is not None and route.task is not None and probability >= self.head.clear[route.task]:
            return judged
        if judged.route is None and sum(found for _, found in judged.best) <= 1 - _CLEARLY_NONE:
            return judged
        return None

    def judge(self, features: Features, vector: Vector | None) -> Judgement:
        """With the vector, or as well as can be without."""
        if vector is None or self.whole is None:
            return self._judged(self.seen, features, None)
        return self._judged(self.whole, features, vector)

    def _judged(self, known: _Known, features: Features, vector: Vector | None) -> Judgement:
        if known.learnt is None:
            shares = softmax(self.head.logits(features, vector))
        else:
            shares = known.learnt.probabilities(self.head, features, vector)
        stage: Stage = "features" if vector is None else "embedding"
        ranked = sorted(self._classes, key=lambda name: -shares[self._classes[name]])[:2]
        best = []
        for name in ranked:
            share, place = float(shares[self._classes[name]]), self._classes[name]
            if known.learnt is not None and place >= len(TASKS):
                share = known.learnt.confidence(place - len(TASKS), share, features, vector)
            best.append((name, share))
        best.sort(key=lambda found: -found[1])
        name, probability = best[0]
        if known.learnt is not None and self._route(name).examples:
            stage = "examples"
        threshold = known.thresholds[name]
        if probability >= threshold:
            return Judgement(name, tuple(best), threshold, stage)
        reason = f"{name} is not sure enough"
        return Judgement(None, tuple(best), threshold, "abstained", reason)

    def _route(self, name: str) -> Route:
        return next(route for route in self.node.routes if route.name == name)


def texts_to_embed(node: Classify) -> list[str]:
    """Whose vectors `node_classifier` wants: what is made a vector of the node's examples."""
    examples = [*(text for route in node.routes for text in route.examples), *node.none]
    return list(dict.fromkeys(embedded(clipped(text)) for text in examples))


def node_classifier(
    node: Classify,
    head: TaskHead,
    vectors: Mapping[str, Vector] | None,
    languages: frozenset[str] | None = SUPPORTED,
    before: NodeClassifier | None = None,
) -> NodeClassifier:
    """`vectors` are those of `texts_to_embed`; None: there is no embedder. `before`: the same node's without vectors,
    so that what it has learnt is not learnt again."""
    taught = bool(node.none or any(route.examples for route in node.routes))
    if before is not None:
        seen = before.seen
    else:
        seen = _known(node, head, None) if taught else _Known(None, _task_thresholds(node, head, head.seen_thresholds))
    if vectors is None:
        return NodeClassifier(node, head, seen, None, languages)
    whole = _known(node, head, vectors) if taught else _Known(None, _task_thresholds(node, head, head.thresholds))
    return NodeClassifier(node, head, seen, whole, languages)


def _known(node: Classify, head: TaskHead, vectors: Mapping[str, Vector] | None) -> _Known:
    examples = list(_examples(node, vectors))
    own = sum(route.task is None for route in node.routes) + bool(node.none)
    anchors = head.examples(with_vectors=vectors is not None)
    learnt = learn(head, examples, anchors, own)
    thresholds = dict(_task_thresholds(node, head, head.thresholds if vectors is not None else head.seen_thresholds))
    if any(route.task is None and _threshold(node, route) is None for route in node.routes):
        calibrated = _calibrated(head, examples, anchors, own)
        thresholds.update(
            (route.name, calibrated) for route in node.routes if route.task is None and _threshold(node, route) is None
        )
    return _Known(learnt, thresholds)


def _examples(node: Classify, vectors: Mapping[str, Vector] | None) -> Sequence[Example]:
    found = []
    own = 0
    for route in node.routes:
        task = None if route.task is None else TASKS.index(route.task)
        for text in map(clipped, route.examples):
            vector = None if vectors is None else vectors[embedded(text)]
            found.append(Example(features_of(text), vector, task, None if task is not None else own))
        own += task is None
    found += [
        Example(features_of(text), None if vectors is None else vectors[embedded(text)], None, own)
        for text in map(clipped, node.none)
    ]
    return found


def _threshold(node: Classify, route: Route) -> float | None:
    """As the file says; None: calibrated."""
    return node.threshold if route.threshold is None else route.threshold


def _task_thresholds(node: Classify, head: TaskHead, of_tasks: Mapping[str, float]) -> dict[str, float]:
    found = {}
    for route in node.routes:
        threshold = _threshold(node, route)
        calibrated = _USUAL_THRESHOLD if route.task is None else of_tasks[route.task]
        found[route.name] = calibrated if threshold is None else threshold
    return found


def _calibrated(head: TaskHead, examples: Sequence[Example], anchors: Sequence[Example], own: int) -> float:
    """The threshold that nearly all of one's own examples pass, each judged by what was learnt without it."""
    passed = []
    for example, learnt in held_out(head, examples, anchors, own):
        if example.own is None:
            continue
        shares = learnt.probabilities(head, example.features, example.vector)
        place = len(TASKS) + example.own
        if int(shares.argmax()) == place and len(learnt.places[example.own]):
            share = float(shares[place])
            passed.append(learnt.confidence(example.own, share, example.features, example.vector))
    if len(passed) < 2:
        return _USUAL_THRESHOLD
    return float(np.clip(np.quantile(passed, 1 - _PASSING), _LOWEST, _HIGHEST))
