"""Fits `routing.semantic.examples.CONFIDENCE`: how probably a route of one's own is right.

    python -m training.fit_confidence --data DIR

Makes many small nodes of public intents (CLINC150's and BANKING77's training parts) with 5, 10 and 20 examples a
route. Judges prompts that belong to one of them, and others that do not: of other intents, of CLINC150's out-of-scope
training part, of the seven tasks. Prints the three numbers, and how precise and how complete thresholds on them are.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.task_head import shipped_head
from routing.semantic import examples
from routing.semantic.features import features_of
from routing.semantic.head import Example
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped, embedded
from training.corpus import public

SEED = 5
NODES = 12  # of each number of examples and source of intents
ROUTES = (3, 5, 8, 12)
TESTED = 15  # prompts of each route, and as many in all that belong to none
_STEPS = 4000
_RATE = 0.5


def intents(data: Path) -> tuple[list[Mapping[str, Sequence[str]]], list[str]]:
    """By source, and what is out of scope."""
    told = json.loads((data / "clinc150" / "data_full.json").read_text(encoding="utf-8"))
    clinc: dict[str, list[str]] = {}
    for text, intent in told["train"]:
        clinc.setdefault(intent, []).append(text)
    banking: dict[str, list[str]] = {}
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            banking.setdefault(row["category"], []).append(row["text"])
    return [clinc, banking], [text for part in ("oos_train", "oos_val") for text, _ in told[part]]


def observations(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3): log of the share, nearness, 1; and whether the route was right."""
    rng = random.Random(SEED)
    head, embedder = shipped_head(), BuiltinEmbedder()
    sources, outside = intents(data)
    general = [prompt.text for prompt in public(data)]

    def example(text: str, own: int | None = None) -> Example:
        text = clipped(text)
        return Example(features_of(text), embedder.embed([embedded(text)])[0], None, own)

    rows, right = [], []
    for source in sources:
        for count in (5, 10, 20):
            for _ in range(NODES):
                names = rng.sample(sorted(source), rng.choice(ROUTES))
                drawn = [rng.sample(list(source[name]), count + TESTED) for name in names]
                taught = [example(text, own) for own, texts in enumerate(drawn) for text in texts[:count]]
                learnt = examples.learn(head, taught, head.examples(with_vectors=True), len(names))
                asked: list[tuple[str, int | None]] = [
                    (text, own) for own, texts in enumerate(drawn) for text in texts[count:]
                ]
                strange = rng.sample(sorted(set(source) - set(names)), 15)
                others = [rng.choice(source[name]) for name in strange] + rng.sample(outside, 15)
                asked += [(text, None) for text in others + rng.sample(general, 15)]
                for text, own in asked:
                    judged = example(text)
                    shares = learnt.probabilities(head, judged.features, judged.vector)[len(TASKS) :]
                    best = int(shares.argmax())
                    near = learnt.nearness(best, judged.features, judged.vector)
                    rows.append((float(np.log(max(float(shares[best]), 1e-9))), near, 1.0))
                    right.append(best == own)
    return np.array(rows), np.array(right, float)


def fit(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Logistic regression by gradient descent on scaled columns; right and wrong weigh the same."""
    weights = np.where(right > 0, 0.5 / right.sum(), 0.5 / (1 - right).sum())
    scale = np.array([rows[:, 0].std(), rows[:, 1].std(), 1.0])
    scaled, found = rows / scale, np.zeros(3)
    for _ in range(_STEPS):
        found -= _RATE * scaled.T @ (weights * (1 / (1 + np.exp(-scaled @ found)) - right))
    return found / scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the public sources")
    rows, right = observations(parser.parse_args().data)
    found = fit(rows, right)
    print("CONFIDENCE =", tuple(round(float(value), 2) for value in found), "from", len(rows), "prompts")
    confident = 1 / (1 + np.exp(-rows @ found))
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        routed = confident >= threshold
        print(
            f"threshold {threshold}: precision {right[routed].mean():.3f}, of the right ones kept "
            f"{(right * routed).sum() / right.sum():.3f}, of the wrong ones stopped {1 - routed[right == 0].mean():.3f}"
        )


if __name__ == "__main__":
    main()
