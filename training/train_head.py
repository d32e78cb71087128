"""Trains the shipped head, and measures it by leaving out one source after the other.

    python -m training.train_head --data DIR [--report FILE]

`--data` is the folder of public sources (training/corpus.py names them); the embedder is the built-in one. Writes
cortex/data/task_head.npz, and with --report a JSON file with the scores of every source. What stands in
benchmarks/routing is never read here: it is the test. Takes some minutes; the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.task_head import FILE
from routing.semantic import learning
from routing.semantic.features import features_of
from routing.semantic.head import HASHED, VECTOR_SCALE, folded
from routing.semantic.learning import Matrix, softmax
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped, embedded
from training.corpus import Prompt, hand_written, public

SEED = 11
PENALTY = 7e-4
STEPS = 150
ANCHORS_OF_A_TASK = {"en": 44, "es": 20, "pt": 10, "fr": 10, "de": 10}
_HAND_WRITTEN_WEIGHT = 3.0
# The least precision that a route's threshold must have shown on sources that the head had not seen; and that which
# what can be seen must have shown to decide alone.
PRECISION = {
    "coding": 0.95,
    "math": 0.95,
    "creative": 0.85,
    "reasoning": 0.80,
    "text_ops": 0.80,
    "qa": 0.80,
    "chat": 0.85,
}
CLEAR_PRECISION = 0.88
_LOWEST, _HIGHEST = 0.45, 0.9


class Table:
    """All prompts as numbers. `seen` and `whole` are the rows of the head's two forms."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.prompts = prompts
        texts = [clipped(prompt.text) for prompt in prompts]
        features = [features_of(text) for text in texts]
        words = np.zeros((len(texts), HASHED), np.float32)
        for row, found in enumerate(features):
            places, signs = folded(found.buckets)
            np.add.at(words[row], places, signs)
        shape = np.array([found.shape for found in features], np.float32)
        self.vectors = _vectors([embedded(text) for text in texts])
        self.seen = np.hstack([shape, words])
        self.whole = np.hstack([self.seen, np.float32(VECTOR_SCALE) * self.vectors])
        self.shapes = shape.shape[1]
        self.labels = np.array([TASKS.index(prompt.task) for prompt in prompts], np.intp)
        self.families = np.array([prompt.family for prompt in prompts])
        self.sources = np.array([prompt.source for prompt in prompts])
        self.hand_written = np.array([prompt.source.startswith("hand/") for prompt in prompts])
        self.trainable = np.array([prompt.trainable for prompt in prompts])
        self.english = np.array([prompt.language == "en" for prompt in prompts])

    def weights(self, places: NDArray[np.intp]) -> Matrix:
        """Every task weighs the same, a large source less than its size, the hand-written more; their sum is one."""
        cells = Counter(zip(self.sources[places], self.labels[places], strict=True))
        found = np.array(
            [
                cells[self.sources[place], self.labels[place]] ** -0.5
                * (_HAND_WRITTEN_WEIGHT if self.hand_written[place] else 1.0)
                for place in places
            ],
            np.float32,
        )
        for task in range(len(TASKS)):
            of_task = self.labels[places] == task
            found[of_task] /= found[of_task].sum()
        return found / found.sum()

    def fit(self, rows: Matrix, places: NDArray[np.intp]) -> Matrix:
        offsets = np.zeros((len(places), len(TASKS)), np.float32)
        weights = self.weights(places)
        return learning.fit(rows[places], self.labels[places], weights, offsets, 2 * PENALTY, steps=STEPS)


def held_out(table: Table, rows: Matrix) -> Matrix:
    """(prompts, tasks): each prompt's logits by a head that has seen nothing of its family."""
    logits = np.zeros((len(table.prompts), len(TASKS)), np.float32)
    folds: list[NDArray[np.intp]] = [
        np.flatnonzero(table.families == family)
        for family in sorted(set(table.families))
        if not family.startswith("hand/")
    ]
    # The hand-written prompts are one family in five languages: a fifth of each is held out at a time.
    of_hand = np.random.default_rng(SEED).permutation(np.flatnonzero(table.hand_written))
    folds += [of_hand[part::5] for part in range(5)]
    for fold in folds:
        apart = np.zeros(len(table.prompts), bool)
        apart[fold] = True
        logits[fold] = rows[fold] @ table.fit(rows, np.flatnonzero(table.trainable & ~apart))
    return logits


def temperature(logits: Matrix, labels: NDArray[np.intp], weights: Matrix) -> float:
    """By which logits are divided so that their probabilities are true."""
    of = np.arange(len(labels))
    losses = {
        value: float(-(weights * np.log(softmax(logits / np.float32(value))[of, labels] + 1e-12)).sum())
        for value in np.arange(0.6, 3.05, 0.05)
    }
    return float(min(losses, key=lambda value: losses[value]))


def threshold(scores: Matrix, right: NDArray[np.bool_], weights: Matrix, precision: float) -> float:
    """The least score above which `precision` of the weight is right."""
    order = np.argsort(-scores)
    shown = np.cumsum((weights * right)[order]) / np.cumsum(weights[order])
    enough = np.flatnonzero(shown >= precision)
    return float(scores[order[enough[-1]]]) if len(enough) else 1.0


def thresholds(
    table: Table, probabilities: Matrix, wanted: Mapping[str, float], lowest: float, highest: float
) -> dict[str, float]:
    everything = np.arange(len(table.prompts))
    weights = table.weights(everything)
    found = {}
    for task, name in enumerate(TASKS):
        chosen = probabilities.argmax(axis=1) == task
        scores, right = probabilities[chosen, task], table.labels[chosen] == task
        found[name] = round(float(np.clip(threshold(scores, right, weights[chosen], wanted[name]), lowest, highest)), 3)
    return found


def scores(table: Table, probabilities: Matrix) -> dict[str, Any]:
    """Accuracy of every source and task, and their means."""
    right = probabilities.argmax(axis=1) == table.labels
    sources: dict[str, dict[str, Any]] = {}
    for source in sorted(set(table.sources)):
        of_source = table.sources == source
        cells = {
            TASKS[task]: {"prompts": int(of_cell.sum()), "accuracy": round(float(right[of_cell].mean()), 3)}
            for task in range(len(TASKS))
            if (of_cell := of_source & (table.labels == task)).any()
        }
        sources[source] = {"accuracy": round(float(right[of_source].mean()), 3), "tasks": cells}
    public_ones = [told["accuracy"] for source, told in sources.items() if not source.startswith("hand/")]
    return {"mean_of_public_sources": round(float(np.mean(public_ones)), 4), "sources": sources}


def anchors(table: Table) -> NDArray[np.intp]:
    """The places of the hand-written prompts that are shipped: some of every task and language."""
    rng = np.random.default_rng(SEED)
    found: list[int] = []
    for task in range(len(TASKS)):
        for language, count in ANCHORS_OF_A_TASK.items():
            of_cell = np.array(
                [
                    place
                    for place, prompt in enumerate(table.prompts)
                    if table.hand_written[place] and table.labels[place] == task and prompt.language == language
                ]
            )
            found += sorted(rng.choice(of_cell, count, replace=False).tolist())
    return np.array(found, np.intp)


def _vectors(texts: Sequence[str]) -> Matrix:
    embedder = BuiltinEmbedder()
    found = np.zeros((len(texts), embedder.dimensions), np.float32)
    for place, text in enumerate(texts):
        found[place] = embedder.embed([text])[0]
        if place % 1000 == 0:
            print(f"embedded {place} of {len(texts)}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the public sources")
    parser.add_argument("--report", type=Path, help="where to write the scores of every source, as JSON")
    parser.add_argument("--output", type=Path, default=FILE)
    arguments = parser.parse_args()
    table = Table([*public(arguments.data), *hand_written()])
    everything = np.arange(len(table.prompts))
    weights = table.weights(everything)
    forms: dict[str, Matrix] = {"seen": table.seen, "whole": table.whole}
    logits, weight_of, report = {}, {}, {}
    for form, rows in forms.items():
        found = held_out(table, rows)
        divisor = temperature(found, table.labels, weights)
        logits[form] = found / np.float32(divisor)
        weight_of[form] = table.fit(rows, np.flatnonzero(table.trainable)) / np.float32(divisor)
        report[form] = {"temperature": round(divisor, 2), **scores(table, softmax(logits[form]))}
        print(form, report[form]["mean_of_public_sources"], file=sys.stderr)
    chosen = anchors(table)
    told = {
        "thresholds": thresholds(table, softmax(logits["whole"]), PRECISION, _LOWEST, _HIGHEST),
        "seen_thresholds": thresholds(table, softmax(logits["seen"]), PRECISION, _LOWEST, _HIGHEST),
        "clear": thresholds(table, softmax(logits["seen"]), dict.fromkeys(TASKS, CLEAR_PRECISION), 0.55, 0.995),
        "anchors": [[table.prompts[place].task, table.prompts[place].text] for place in chosen],
    }
    shapes = table.shapes
    arrays = {
        "seen_shape": weight_of["seen"][:shapes],
        "seen_words": weight_of["seen"][shapes:],
        "whole_shape": weight_of["whole"][:shapes],
        "whole_words": weight_of["whole"][shapes : shapes + HASHED],
        "whole_vector": weight_of["whole"][shapes + HASHED :],
        "anchor_vectors": table.vectors[chosen],
        "anchor_logits": logits["seen"][chosen],
    }
    with arguments.output.open("wb") as file:
        np.savez_compressed(
            file, told=np.array(json.dumps(told)), **{name: array.astype(np.float16) for name, array in arrays.items()}
        )
    print({name: told[name] for name in ("thresholds", "seen_thresholds", "clear")}, file=sys.stderr)
    if arguments.report:
        report["head"] = {
            "bytes": arguments.output.stat().st_size,
            "sha256": hashlib.sha256(arguments.output.read_bytes()).hexdigest(),
            "prompts": {
                "trained_on": int(table.trainable.sum()),
                "measured_only": int((~table.trainable).sum()),
                "hand_written": int(table.hand_written.sum()),
            },
            **{name: told[name] for name in ("thresholds", "seen_thresholds", "clear")},
        }
        arguments.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
