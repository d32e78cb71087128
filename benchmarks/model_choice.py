"""How well Cortex tells which of two models a prompt needs: RouteLLM's tables and its measures, beside its figures.

    python -m benchmarks.model_choice --data DIR [--json FILE] [--plots DIR]

DIR is the folder of public data; DIR/routellm holds the tables. Each prompt goes to GPT-4-1106 or to Mixtral-8x7B:
those of the highest score to GPT-4. A label says by how much GPT-4 was better at a prompt. Promises that no prompt is
judged by its own label, nor by that of one that is nearly the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.choice_methods import (
    LABELLED,
    UNLABELLED,
    Method,
    kind_told,
    linear,
    logistic,
    nearest,
    nearest_with_shapes,
)
from benchmarks.choice_splits import Measured, Rounds, crossed, drawn, measured, of_scores, transferred, unseen_kinds
from benchmarks.choice_tables import NAMES, Prompts, load
from benchmarks.command import parser, perform, run, say
from benchmarks.figures import Table
from benchmarks.machine import machine
from benchmarks.outcome import Outcome
from benchmarks.svg import bars

GOALS = {"mmlu": 0.63, "gsm8k": 0.64, "mt_bench": 0.69}
# APGR in arXiv 2406.18665; its routers learnt from Chatbot Arena and from what stands in parentheses.
PUBLISHED = {
    "mmlu": {"RouteLLM, best (1,500 labels)": 0.603, "RouteLLM, best (arena alone)": 0.524},
    "gsm8k": {"RouteLLM, best": 0.622},
    "mt_bench": {"RouteLLM, best (GPT-4 as judge)": 0.802},
}

_FOLDS = 5
_KS = (5, 10, 20, 40, 80, 160, 320)
_COUNTS = (200, 500, 1500, 5000)
_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
_COLUMNS = ("APGR, mean (least–most)", "95 % of such tables", "CPT(50 %)", "CPT(80 %)")
_TRANSFERS = (("mmlu", "gsm8k"), ("mmlu", "mt_bench"), ("gsm8k", "mmlu"), ("gsm8k", "mt_bench"))

Section = dict[str, Measured]


@dataclass(frozen=True, slots=True)
class Settings:
    labels: int = 1500  # of MMLU: what RouteLLM had
    rounds: int = 9


def measure(data: Path, settings: Settings) -> Outcome:
    """Raises OSError, KeyError or ValueError if the tables are not there, or others."""
    tables = {name: load(data, name) for name in NAMES}
    labels = min(settings.labels, len(tables["mmlu"]) // 2)
    rounds = {
        "mmlu": drawn(tables["mmlu"].groups, labels, settings.rounds),
        "gsm8k": crossed(tables["gsm8k"].groups, _FOLDS, settings.rounds),
        "mt_bench": crossed(tables["mt_bench"].groups, len(tables["mt_bench"]), 1),
    }
    same = {name: _same_table(prompts, rounds[name], NAMES[name]) for name, prompts in tables.items()}
    unseen = {
        f"MMLU, {labels:,} labels": _unseen_subjects(tables["mmlu"], labels, settings.rounds),
        "MMLU, labels of four fifths": _unseen_subjects(tables["mmlu"], len(tables["mmlu"]), settings.rounds),
        "MT-Bench, all labels": _labelled(
            tables["mt_bench"], [unseen_kinds(tables["mt_bench"], len(tables["mt_bench"]))], "unseen categories"
        ),
    }
    across = _across(tables, labels, settings.rounds)
    counts = _by_count(tables["mmlu"], labels, settings.rounds)
    constants = _by_constant(tables, rounds)
    sizes = {name: len(prompts) for name, prompts in tables.items()}
    drawing = f"{labels:,} labels of the same table, drawn {settings.rounds} times"
    titles = {
        "mmlu": f"MMLU, {sizes['mmlu']:,} prompts: {drawing}",
        "gsm8k": f"GSM8K, {sizes['gsm8k']:,} prompts: same table, {_FOLDS} folds, cut {settings.rounds} times",
        "mt_bench": f"MT-Bench, {sizes['mt_bench']:,} questions: same table, each left out in turn",
    }
    return Outcome(
        name="model_choice",
        title="Which of two models a prompt needs",
        machine=machine(),
        settings={**asdict(settings), "labels": labels},
        tables=[
            *(
                _table(f"{titles[name]}; goal APGR ≥ {GOALS[name]}", section, PUBLISHED[name])
                for name, section in same.items()
            ),
            _grid("Labels of the same table, but none of the subject or category that is asked: APGR", unseen),
            _grid(f"Labels of other tables, {labels:,} at most: APGR", across),
            _grid("MMLU, by the number of labels: APGR", counts),
            *(_grid(f"{name}: APGR", rows) for name, rows in constants.items()),
        ],
        data={
            "prompts": {name: _facts(prompts) for name, prompts in tables.items()},
            "goals": GOALS,
            "published": PUBLISHED,
            "same_table": _json(same),
            "unseen_kinds": _json(unseen),
            "cross_table": _json(across),
            "label_counts": _json(counts),
            "constants": {name: _json(rows) for name, rows in constants.items()},
        },
        errors=[],
        notes=_NOTES,
        plots={f"model-choice-{name.replace('_', '-')}.svg": _plot(name, section) for name, section in same.items()},
    )


_NOTES = (
    "Rows of tasks use the shipped head: it learnt the tasks of these very prompts, but never saw who answers right."
    " That coding, math and reasoning need the strong model is assumed, not learnt.",
    "Constants are the same for all tables (k is 2 √labels), but were set with these tables in sight; what others give"
    " is measured, too.",
    "An interval tells how far other prompts of the kind might lie; MT-Bench has so few that most rows overlap.",
    "RouteLLM's routers were asked the same prompts, but learnt from other data.",
)


def _same_table(prompts: Prompts, rounds: Rounds, name: str) -> Section:
    rng = np.random.default_rng(0)
    found = {"random": of_scores(prompts, [rng.random(len(prompts)) for _ in rounds])}
    for title, method in UNLABELLED.items():
        found[f"{title} (no labels)"] = of_scores(prompts, [method(prompts, prompts)])
    found |= _labelled(prompts, rounds, name)
    if len(np.unique(prompts.kinds)) > 1:
        found["gain by kind, if it were told"] = measured(prompts, rounds, kind_told)
    found["the best possible"] = of_scores(prompts, [prompts.gains])
    return found


def _labelled(prompts: Prompts, rounds: Rounds, name: str) -> Section:
    found = {}
    for title, method in LABELLED.items():
        say(f"{name}: {title}")
        found[title] = measured(prompts, rounds, method)
    return found


def _unseen_subjects(prompts: Prompts, labels: int, rounds: int) -> Section:
    """Each fifth of the subjects on its own: scores of two that learnt from other subjects do not compare."""
    splits = [
        split for seed in range(max(1, rounds // _FOLDS)) for split in unseen_kinds(prompts, labels, _FOLDS, seed)
    ]
    return _labelled(prompts, [[split] for split in splits], f"unseen subjects, {labels:,} labels")


def _across(tables: Mapping[str, Prompts], labels: int, rounds: int) -> dict[str, Section]:
    found = {}
    for source, target in _TRANSFERS:
        say(f"{NAMES[source]} → {NAMES[target]}")
        found[f"{NAMES[source]} → {NAMES[target]}"] = {
            title: transferred(tables[source], tables[target], method, labels, rounds)
            for title, method in LABELLED.items()
        }
    both = tables["mmlu"].beside(tables["gsm8k"])
    found["both → MT-Bench"] = {
        title: transferred(both, tables["mt_bench"], method, labels, rounds) for title, method in LABELLED.items()
    }
    return found


def _by_count(prompts: Prompts, labels: int, rounds: int) -> dict[str, Section]:
    found = {}
    for count in sorted({*_COUNTS, labels}):
        if count <= len(prompts) // 2:
            found[f"{count:,} labels"] = _labelled(prompts, drawn(prompts.groups, count, rounds), f"{count:,} labels")
    return found


def _by_constant(tables: Mapping[str, Prompts], rounds: Mapping[str, Rounds]) -> dict[str, dict[str, Section]]:
    """The same with other constants than the usual: what a lucky choice would have given."""
    ways: dict[str, tuple[Callable[[float], Method], Sequence[float]]] = {
        "kNN, vectors, by k": (lambda k: partial(nearest, k=int(k)), _KS),
        "kNN, with shapes, by k": (lambda k: partial(nearest_with_shapes, k=int(k)), _KS),
        "logistic, by penalty": (lambda penalty: partial(logistic, penalty=penalty), _PENALTIES),
        "linear, by penalty": (lambda penalty: partial(linear, penalty=penalty), _PENALTIES),
    }
    found: dict[str, dict[str, Section]] = {}
    for title, (way, values) in ways.items():
        say(title)
        found[title] = {NAMES[table]: {} for table in tables}
        for table, prompts in tables.items():
            fewest = min(len(known) for known, _ in rounds[table][0])
            for value in values:
                if value < fewest:
                    found[title][NAMES[table]][f"{value:g}"] = measured(prompts, rounds[table], way(value))
    return found


def _table(title: str, section: Section, published: Mapping[str, float]) -> Table:
    rows = [(name, _cells(each)) for name, each in section.items()]
    rows += [(name, [f"{apgr:.3f}", "-", "-", "-"]) for name, apgr in published.items()]
    return Table(title, _COLUMNS, rows)


def _cells(each: Measured) -> list[str]:
    low, high = each.interval
    shares = [f"{np.mean(share) * 100:.0f} %" for share in (each.cpt50, each.cpt80)]
    return [_spread(each), f"{low:.3f}–{high:.3f}", *shares]


def _spread(each: Measured) -> str:
    low, high = f"{min(each.apgr):.3f}", f"{max(each.apgr):.3f}"
    return f"{each.mean:.3f}" + (f" ({low}–{high})" if low != high else "")


def _grid(title: str, rows: Mapping[str, Section]) -> Table:
    columns = list(dict.fromkeys(name for section in rows.values() for name in section))
    cells = {
        row: [_spread(section[name]) if name in section else "-" for name in columns] for row, section in rows.items()
    }
    return Table(title, columns, list(cells.items()))


def _facts(prompts: Prompts) -> dict[str, Any]:
    return {
        "prompts": len(prompts),
        "groups": len(np.unique(prompts.groups)),
        "weak": round(float(prompts.weak.mean()), 4),
        "strong": round(float(prompts.strong.mean()), 4),
    }


def _json(sections: Mapping[str, Section]) -> dict[str, Any]:
    return {name: {title: each.as_json() for title, each in section.items()} for name, section in sections.items()}


def _plot(name: str, section: Section) -> str:
    """Those with labels, beside chance and the best that was published."""
    published, apgr = next(iter(PUBLISHED[name].items()))
    shown = {title: section[title].mean for title in (*LABELLED, "random")}
    return bars(
        f"{NAMES[name]}: APGR; goal {GOALS[name]:g}", "", {**shown, published.partition(" (")[0]: apgr}, digits=3
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    usual = Settings()
    made = parser("model_choice", "Measure how well a prompt tells which of two models it needs.")
    made.add_argument("--data", type=Path, required=True, help="the folder of public data")
    made.add_argument("--labels", type=int, default=usual.labels, help="of MMLU")
    made.add_argument("--rounds", type=int, default=usual.rounds, help="of drawing labels")
    made.add_argument("--plots", type=Path, metavar="DIRECTORY", help="write plots there")
    options = made.parse_args(arguments)
    if options.labels < 1 or options.rounds < 1:
        made.error("--labels and --rounds must be positive")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if it could be measured."""
    options = _options(arguments)
    settings = Settings(options.labels, options.rounds)
    return perform(lambda _: measure(options.data, settings), options.json, options.plots)


if __name__ == "__main__":
    run(main)
