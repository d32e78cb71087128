"""How well `classify` nodes route, on prompts that nothing was trained on, and what that costs.

    python -m benchmarks.routing_quality --data DIR [--only SECTION …]

`tasks`: the shipped recipe on every public source by a head that has not seen the source nor its relatives.
`examples`: the same with twenty of the source's own prompts a route, and with twenty alone.
`intents`: CLINC150, twenty examples an intent, and what belongs to none.
`languages`, `conversations`: the shipped head on benchmarks/routing, which no training reads.
`model_choice`, `routing_latency`: these benchmarks, as they run by themselves.
DIR is the folder of public sources. Writes tables and plots to benchmarks/results/routing/; `--only` without a section
writes the page and its plots anew, from the figures that are there.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import model_choice, routing_latency
from benchmarks.command import run
from benchmarks.routing_measures import (
    area_under_curve,
    calibration,
    coverage,
    judged,
    outcome_of,
    precision_at_recall,
    task_node,
)
from benchmarks.routing_page import DOCUMENTS, QUALITY, stored, write_page
from cortex.embedding.builtin import BuiltinEmbedder
from cortex.task_head import shipped_head
from routing.graph import Classify, Route, Target
from routing.semantic.affinity import is_remark, stays
from routing.semantic.classifier import NodeClassifier, node_classifier
from routing.semantic.features import features_of
from routing.semantic.head import HASHED, TaskHead
from routing.semantic.judgement import Judgement
from routing.semantic.learning import Matrix, softmax
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped, embedded
from training import train_head
from training.corpus import hand_written, public

HERE = Path(__file__).parent
PROMPTS = HERE / "routing"
RESULTS = HERE / "results" / "routing"
EXAMPLES = 20
ROUNDS = 2  # of drawing examples
_MOST_TESTED = 120  # prompts of a source, drawn, where examples are learnt
_LEAST_LEFT = 5  # prompts of a source and task beyond the examples, to be measured on

Vectors = Callable[[str], NDArray[np.float32]]
Section = dict[str, Any]


class Bench:
    def __init__(self, data: Path) -> None:
        self.data = data
        self._embedder = BuiltinEmbedder()
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self.head = shipped_head()

    def vector(self, text: str) -> NDArray[np.float32]:
        """Of a clipped text, as the product takes it."""
        text = embedded(text)
        if (found := self._vectors.get(text)) is None:
            found = self._vectors[text] = self._embedder.embed([text])[0]
        return found

    def classifier(self, node: Classify, head: TaskHead) -> NodeClassifier:
        texts = {embedded(clipped(text)) for route in node.routes for text in route.examples}
        texts |= {embedded(clipped(text)) for text in node.none}
        return node_classifier(node, head, {text: self.vector(text) for text in texts})


def tasks(bench: Bench) -> Section:
    """The shipped recipe on every family of sources, by a head that has seen nothing of it."""
    table = train_head.Table([*public(bench.data), *hand_written()])
    logits = {form: np.zeros((len(table.prompts), len(TASKS)), np.float32) for form in ("seen", "whole")}
    for family, apart, rest in _families(table):
        head = fold_head(bench.head, table, rest)
        logits["seen"][apart] = table.seen[apart] @ _stacked(head, "seen")
        logits["whole"][apart] = table.whole[apart] @ _stacked(head, "whole")
        print(f"{family}: done", flush=True)
    measured = ~table.hand_written
    seen, whole = (_calibrated(table, found, np.flatnonzero(measured)) for found in logits.values())
    return {
        "seen": outcome_of(table, seen, measured).as_json(),
        "whole": outcome_of(table, whole, measured).as_json(),
        "precision_at_recall": {
            name: {
                weighting: precision_at_recall(table, whole, measured, TASKS.index(name), recall, weighting)
                for weighting in ("prompts", "sources")
            }
            for name, recall in (("coding", 0.75), ("math", 0.75), ("creative", 0.60))
        },
        "coverage": coverage(table, whole, measured),
        "calibration": calibration(table, whole, measured),
    }


def examples(bench: Bench) -> Section:
    """Twenty examples a route: a source's own beside a head that has not seen it; and other sources' alone."""
    table = train_head.Table([*public(bench.data), *hand_written()])
    with_head: dict[str, float] = {}
    alone: dict[str, float] = {}
    for _, apart, rest in _families(table):
        head = fold_head(bench.head, table, rest)
        for source in sorted(set(table.sources[apart])):
            places = apart[table.sources[apart] == source]
            accuracy = own_examples(bench, head, table, places)
            if accuracy is not None:
                with_head[source] = round(accuracy, 4)
            alone[source] = round(others_alone(bench, head, table, places), 4)
            print(f"{source}: with the head {with_head.get(source)}, alone {alone[source]}", flush=True)
    return {
        "with_the_head": {"mean_of_sources": round(float(np.mean(list(with_head.values()))), 4), "sources": with_head},
        "alone": {"mean_of_sources": round(float(np.mean(list(alone.values()))), 4), "sources": alone},
    }


def _calibrated(table: train_head.Table, logits: Matrix, measured: NDArray[np.intp]) -> Matrix:
    divisor = train_head.temperature(logits[measured], table.labels[measured], table.weights(measured))
    return softmax(logits / np.float32(divisor))


def _families(table: train_head.Table) -> Iterator[tuple[str, NDArray[np.intp], NDArray[np.intp]]]:
    """Each public family's places, and those that a head which must not know it learns from."""
    for family in sorted({name for name in table.families if not name.startswith("hand/")}):
        apart = table.families == family
        yield family, np.flatnonzero(apart), np.flatnonzero(table.trainable & ~apart)


def fold_head(shipped: TaskHead, table: train_head.Table, places: NDArray[np.intp]) -> TaskHead:
    """The shipped recipe on a part of the corpus."""
    seen, whole = table.fit(table.seen, places), table.fit(table.whole, places)
    cut = table.shapes
    return replace(
        shipped,
        seen_shape=seen[:cut],
        seen_words=seen[cut:],
        whole_shape=whole[:cut],
        whole_words=whole[cut : cut + HASHED],
        whole_vector=whole[cut + HASHED :],
    )


def _stacked(head: TaskHead, form: str) -> NDArray[np.float32]:
    if form == "seen":
        return np.vstack([head.seen_shape, head.seen_words])
    return np.vstack([head.whole_shape, head.whole_words, head.whole_vector])


def own_examples(bench: Bench, head: TaskHead, table: train_head.Table, places: NDArray[np.intp]) -> float | None:
    """Accuracy on the rest of a source when twenty of its prompts a task are the node's examples."""
    found = []
    for seed in range(ROUNDS):
        examples, rest = _drawn(table, places, seed)
        if not len(rest):
            return None
        found.append(_accuracy(bench, head, table, examples, rest, with_task=True))
    return float(np.mean(found))


def others_alone(bench: Bench, head: TaskHead, table: train_head.Table, places: NDArray[np.intp]) -> float:
    """Accuracy on a source when twenty prompts a route of the other sources are all that the node has."""
    others = np.flatnonzero((table.families != table.families[places[0]]) & ~table.hand_written & table.english)
    found = []
    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        examples = np.concatenate(
            [_spread(rng, table, others[table.labels[others] == task]) for task in range(len(TASKS))]
        )
        found.append(_accuracy(bench, head, table, examples, places, with_task=False))
    return float(np.mean(found))


def _spread(rng: np.random.Generator, table: train_head.Table, places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Twenty, from all sources alike."""
    queues = [
        rng.permutation(places[table.sources[places] == source]).tolist()
        for source in sorted(set(table.sources[places]))
    ]
    in_turn = [place for row in zip_longest(*queues) for place in row if place is not None]
    return np.array(in_turn[:EXAMPLES], np.intp)


def _drawn(table: train_head.Table, places: NDArray[np.intp], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    examples, rest = [], []
    for task in range(len(TASKS)):
        of_task = rng.permutation(places[table.labels[places] == task])
        if len(of_task) >= EXAMPLES + _LEAST_LEFT:
            examples.append(of_task[:EXAMPLES])
            rest.append(of_task[EXAMPLES:])
    empty = np.zeros(0, np.intp)
    return (np.concatenate(examples), np.concatenate(rest)) if rest else (empty, empty)


def _accuracy(
    bench: Bench,
    head: TaskHead,
    table: train_head.Table,
    examples: NDArray[np.intp],
    places: NDArray[np.intp],
    *,
    with_task: bool,
) -> float:
    routes = tuple(
        Route(
            name,
            Target("x"),
            name if with_task else None,
            tuple(dict.fromkeys(table.prompts[place].text for place in examples if table.labels[place] == task)),
            threshold=0.0,
        )
        for task, name in enumerate(TASKS)
    )
    classifier = bench.classifier(Classify(routes, Target("x")), head)
    right = 0
    places = np.random.default_rng(0).permutation(places)[:_MOST_TESTED]
    for place in places:
        text = clipped(table.prompts[place].text)
        best = classifier.judge(features_of(text), bench.vector(text)).best[0][0]
        right += best == table.prompts[place].task
    return right / len(places)


def intents(bench: Bench) -> Section:
    """CLINC150 with twenty examples an intent: the product's node of 150 routes, and its calibrated threshold."""
    told = json.loads((bench.data / "clinc150" / "data_full.json").read_text(encoding="utf-8"))
    found = []
    for seed in range(ROUNDS):
        rng = random.Random(seed)
        by_intent: dict[str, list[str]] = {}
        for text, intent in told["train"]:
            by_intent.setdefault(intent, []).append(text)
        routes = tuple(
            Route(intent, Target("x"), examples=tuple(rng.sample(sorted(set(texts)), EXAMPLES)))
            for intent, texts in sorted(by_intent.items())
        )
        classifier = bench.classifier(Classify(routes, Target("x")), bench.head)
        inside = [(judged(bench, classifier, text), intent) for text, intent in told["test"]]
        outside = [judged(bench, classifier, text) for text, _ in told["oos_test"]]
        found.append(
            {
                "accuracy": np.mean([_best(judgement)[0] == intent for judgement, intent in inside]),
                "in_scope_routed_right": np.mean([judgement.route == intent for judgement, intent in inside]),
                "out_of_scope_to_default": np.mean([judgement.route is None for judgement in outside]),
                "auroc": area_under_curve(
                    [_best(judgement)[1] for judgement, _ in inside], [_best(judgement)[1] for judgement in outside]
                ),
                "threshold": next(judgement.threshold for judgement, _ in inside if judgement.threshold is not None),
            }
        )
    return {name: round(float(np.mean([each[name] for each in found])), 4) for name in found[0]}


def languages(bench: Bench) -> Section:
    """The shipped head and its thresholds on the hand-written test: every language on its own."""
    classifier = bench.classifier(task_node(), bench.head)
    section: Section = {}
    for path in sorted(PROMPTS.glob("test_??.jsonl")):
        rows = _lines(path)
        found = [(judged(bench, classifier, row["text"]), row["task"]) for row in rows]
        special = [
            (judgement.route, task) for judgement, task in found if judgement.route in ("coding", "math", "creative")
        ]
        section[path.stem.removeprefix("test_")] = {
            "prompts": len(rows),
            "likeliest_is_right": _share(judgement.best[0][0] == task for judgement, task in found if judgement.best),
            "right_or_default": _share(judgement.route in (task, None) for judgement, task in found),
            "routed": _share(judgement.route is not None for judgement, _ in found),
            "right_of_routed": _share(judgement.route == task for judgement, task in found if judgement.route),
            "specialised_precision": _share(route == task for route, task in special),
        }
    rows = _lines(PROMPTS / "test_other.jsonl")
    section["other"] = {
        "prompts": len(rows),
        "to_default": _share(judged(bench, classifier, row["text"]).route is None for row in rows),
    }
    return section


def conversations(bench: Bench) -> Section:
    """Every turn of every conversation, with the affinity that a session has: likeliest route, no default."""
    classifier = bench.classifier(task_node(), bench.head)
    right = turns = switches = switched = moved = 0
    for row in _lines(PROMPTS / "conversations.jsonl"):
        kept: str | None = None
        before: str | None = None
        for number, turn in enumerate(row["turns"]):
            judgement = judged(bench, classifier, turn["text"])
            if number:
                remark = is_remark(judgement.route, len(turn["text"].split()))
                judgement = stays(judgement, kept, remark=remark)
                if turn["route"] != before:
                    switches += 1
                    switched += judgement.route == turn["route"]
                else:
                    moved += judgement.route != kept
            kept, before = judgement.route, turn["route"]
            turns += 1
            right += judgement.route in (turn["route"], None)
    return {
        "turns": turns,
        "right_or_default": round(right / turns, 4),
        "switches_followed": round(switched / switches, 4),
        "moved_without_need": round(moved / (turns - switches), 4),
    }


def _best(judgement: Judgement) -> tuple[str | None, float]:
    return judgement.best[0] if judgement.best else (None, 0.0)


def _share(found: Any) -> float | None:
    values = list(found)
    return round(sum(values) / len(values), 4) if values else None


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


_MEASURES: dict[str, Callable[[Bench], Section]] = {
    "languages": languages,
    "conversations": conversations,
    "intents": intents,
    "tasks": tasks,
    "examples": examples,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every section could be measured."""
    sections = (*_MEASURES, *DOCUMENTS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of public sources")
    parser.add_argument("--only", nargs="*", choices=sections, default=sections)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in _MEASURES if name in options.only]
    if wanted:
        _measure(Bench(options.data), wanted, options.output / QUALITY)
    mains: dict[str, Callable[[Sequence[str]], int]] = {
        "model_choice": lambda into: model_choice.main(["--data", str(options.data), *into]),
        "routing_latency": routing_latency.main,
    }
    codes = [_beside(mains[name], options.output, file) for name, file in DOCUMENTS.items() if name in options.only]
    write_page(options.output)
    return max(codes, default=0)


def _measure(bench: Bench, wanted: Sequence[str], file: Path) -> None:
    found: dict[str, Section] = {}
    for name in wanted:
        found[name] = _MEASURES[name](bench)
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    file.write_text(json.dumps(stored(file) | found, indent=1) + "\n", encoding="utf-8")


def _beside(main: Callable[[Sequence[str]], int], folder: Path, name: str) -> int:
    """Another benchmark's exit status; its plots and its document, without the samples, are put into the folder."""
    file = folder / name
    code = main(["--json", str(file), "--plots", str(folder)])
    if told := stored(file):
        told.pop("samples", None)
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return code


if __name__ == "__main__":
    run(main)
