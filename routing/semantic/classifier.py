"""What one `classify` node makes of a prompt: a route or none, with probabilities, in two stages. Pure.

First by what can be seen of the text; where that is not clear, with its vector, which the caller brings, or without
one if there is none to be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from routing.graph import Classify, Route, Threshold
from routing.semantic.examples import Learnt, held_out, learn
from routing.semantic.features import Features, features_of
from routing.semantic.head import Example, TaskHead, Vector
from routing.semantic.judgement import Judgement, Stage, abstained
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
        object.__setattr__(self, "_classes", _classes(self.node))

    @property
    def learns(self) -> bool:
        """Whether it has examples of one's own: these are compared by vectors."""
        return self.seen.learnt is not None

    def at_sight(self, text: str, features: Features) -> Judgement | None:
        """What needs no vector, in tens of microseconds; None: it is not clear."""
        if not text:
            return abstained("there is no text to read")
        language = features.language
        unreadable = language is not None and self.languages is not None and language not in self.languages
        if self.learns and self.whole is not None and not unreadable:
            return None
        judged = self._judged(self.seen, features, None)
        if unreadable and judged.threshold:
            return abstained(f"language: {language}")
        if self.whole is None or unreadable:
            return judged
        name, probability = judged.best[0]
        route = self.node.route(name)
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
        if known.learnt is not None and self.node.route(name).examples:
            stage = "examples"
        threshold = known.thresholds[name]
        if probability >= threshold:
            return Judgement(name, tuple(best), threshold, stage)
        reason = f"{name} is not sure enough"
        return Judgement(None, tuple(best), threshold, "abstained", reason)


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
    seen = _known(node, head, None) if before is None else before.seen
    whole = None if vectors is None else _known(node, head, vectors)
    return NodeClassifier(node, head, seen, whole, languages)


def _known(node: Classify, head: TaskHead, vectors: Mapping[str, Vector] | None) -> _Known:
    of_tasks = head.seen_thresholds if vectors is None else head.thresholds
    examples = _examples(node, vectors)
    if not examples:
        return _Known(None, _thresholds(node, of_tasks, _USUAL_THRESHOLD))
    own = _own_routes(node) + bool(node.none)
    anchors = head.examples(with_vectors=vectors is not None)
    learnt = learn(head, examples, anchors, own)
    calibrating = any(route.task is None and _written(node, route) == "auto" for route in node.routes)
    of_own = _calibrated(head, examples, anchors, own) if calibrating else _USUAL_THRESHOLD
    return _Known(learnt, _thresholds(node, of_tasks, of_own))


def _classes(node: Classify) -> dict[str, int]:
    """Route → its place among the probabilities: its task's, or one of its own behind the tasks."""
    own = count(len(TASKS))
    return {route.name: next(own) if route.task is None else TASKS.index(route.task) for route in node.routes}


def _own_routes(node: Classify) -> int:
    return sum(route.task is None for route in node.routes)


def _examples(node: Classify, vectors: Mapping[str, Vector] | None) -> list[Example]:
    """Those of what belongs to no route have the last class."""
    classes = _classes(node)
    told = [(classes[route.name], text) for route in node.routes for text in route.examples]
    told += [(len(TASKS) + _own_routes(node), text) for text in node.none]
    found = []
    for place, text in ((place, clipped(text)) for place, text in told):
        task, own = (place, None) if place < len(TASKS) else (None, place - len(TASKS))
        found.append(Example(features_of(text), None if vectors is None else vectors[embedded(text)], task, own))
    return found


def _written(node: Classify, route: Route) -> Threshold:
    return node.threshold if route.threshold is None else route.threshold


def _thresholds(node: Classify, of_tasks: Mapping[str, float], of_own: float) -> dict[str, float]:
    """As written; else the calibrated ones, by route."""
    found = {}
    for route in node.routes:
        written = _written(node, route)
        calibrated = of_own if route.task is None else of_tasks[route.task]
        found[route.name] = calibrated if written == "auto" else written
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
