"""The page and the plots of what `benchmarks.routing_quality` and the benchmarks that it runs have found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import svg
from benchmarks.choice_tables import NAMES
from benchmarks.figures import MIB
from benchmarks.outcome import one_line
from benchmarks.routing_timings import CLASSIFIED, PLAIN

QUALITY = "quality.json"
# A benchmark's own document, which also draws its plots.
DOCUMENTS = {"model_choice": "model-choice.json", "routing_latency": "latency.json"}
_TIMES = (("added", "p50"), ("added", "p99"), ("chance", "p99"), ("decision", "p50"), ("decision", "p99"))
_LANGUAGES = {"en": "English", "es": "Spanish", "pt": "Portuguese", "fr": "French", "de": "German"}


def write_page(folder: Path) -> None:
    """README.md and SVG files in `folder`, of the figures that are there."""
    found = stored(folder / QUALITY)
    found |= {name: told for name, file in DOCUMENTS.items() if (told := stored(folder / file))}
    lines = ["# How well `classify` nodes route", "", "Made by `python -m benchmarks.routing_quality --data DIR`.", ""]
    for name, render in (
        ("tasks", _tasks),
        ("examples", _examples),
        ("intents", _intents),
        ("languages", _languages),
        ("conversations", _conversations),
        ("model_choice", _model_choice),
        ("routing_latency", _routing_latency),
    ):
        if name in found:
            lines += [*render(found[name], folder), ""]
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def stored(file: Path) -> dict[str, Any]:
    """Empty where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _tasks(told: Mapping[str, Any], folder: Path) -> list[str]:
    by_source = told["whole"]["by_source"]
    _plot(folder, "tasks-by-source.svg", "Accuracy by source, each by a head that has not seen it", by_source)
    _plot(folder, "coverage.svg", "Accuracy by the share that is routed", {f"{s:.0%}": a for s, a in told["coverage"]})
    _plot(folder, "calibration.svg", "Accuracy by probability", {f"p ≈ {p:.2f}": a for p, a, _ in told["calibration"]})
    precision = told["precision_at_recall"]
    return [
        "## Seven tasks, no examples",
        "",
        "Each public source by a head that has seen neither it nor its relatives.",
        "",
        *_table(
            ("", "words and shapes", "with the vector"),
            [
                ("mean of sources", told["seen"]["mean_of_sources"], told["whole"]["mean_of_sources"]),
                (
                    "mean of sources and tasks",
                    told["seen"]["mean_of_sources_and_tasks"],
                    told["whole"]["mean_of_sources_and_tasks"],
                ),
                *(
                    (task, told["seen"]["by_task"][task], accuracy)
                    for task, accuracy in told["whole"]["by_task"].items()
                ),
            ],
        ),
        "",
        *_table(
            ("precision at recall .75 (creative: .60)", "prompts alike", "sources alike"),
            [(task, each["prompts"], each["sources"]) for task, each in precision.items()],
        ),
        "",
        *_table(
            ("probability of the likeliest", "right", "share of prompts"),
            [(f"{probability:.2f}", accuracy, share) for probability, accuracy, share in told["calibration"]],
        ),
        "",
        *(f"![{name}]({name}.svg)" for name in ("tasks-by-source", "coverage", "calibration")),
    ]


def _examples(told: Mapping[str, Any], folder: Path) -> list[str]:
    return [
        "## Twenty examples a route",
        "",
        *_table(
            ("", "mean of sources"),
            [
                ("the source's own, beside a head that has not seen it", told["with_the_head"]["mean_of_sources"]),
                ("other sources' alone", told["alone"]["mean_of_sources"]),
            ],
        ),
    ]


def _intents(told: Mapping[str, Any], folder: Path) -> list[str]:
    return ["## CLINC150, twenty examples an intent", "", *_table(("", ""), [(k, v) for k, v in told.items()])]


def _languages(told: Mapping[str, Any], folder: Path) -> list[str]:
    columns = ("prompts", "likeliest_is_right", "right_or_default", "routed", "specialised_precision")
    rows = [(name, *(told[code][column] for column in columns)) for code, name in _LANGUAGES.items() if code in told]
    other = told["other"]
    return [
        "## Languages: the hand-written test",
        "",
        *_table(("", *(column.replace("_", " ") for column in columns)), rows),
        "",
        f"Of {other['prompts']} prompts in other languages {other['to_default']:.3f} go to the default.",
    ]


def _conversations(told: Mapping[str, Any], folder: Path) -> list[str]:
    rows = [(name.replace("_", " "), value) for name, value in told.items()]
    return ["## Conversations", "", *_table(("", ""), rows)]


def _model_choice(told: Mapping[str, Any], folder: Path) -> list[str]:
    tables, published = told["same_table"], told["published"]
    titles = list(dict.fromkeys(title for section in tables.values() for title in section))
    return [
        "## Which of two models a prompt needs",
        "",
        f"APGR with labels of the same table, and where 95 % of such tables lie. {_links('model_choice')}",
        "",
        *_warnings(told),
        *_table(
            ("", *(NAMES[table] for table in tables)),
            [
                ("goal", *(told["goals"][table] for table in tables)),
                ("RouteLLM, its best", *(max(published[table].values()) for table in tables)),
                *((title, *(_apgr(section.get(title)) for section in tables.values())) for title in titles),
            ],
        ),
        "",
        *(f"![{name}]({name}.svg)" for name in (f"model-choice-{table.replace('_', '-')}" for table in tables)),
    ]


def _apgr(told: Mapping[str, Any] | None) -> str:
    return "-" if told is None else "{:.3f} ({:.3f}–{:.3f})".format(told["apgr"], *told["interval"])


def _routing_latency(told: Mapping[str, Any], folder: Path) -> list[str]:
    timed = [
        (f"{title}: {kind}", each["prompts"], *(each[f"{what}_ms"][share] for what, share in _TIMES))
        for title, section in told["timed"].items()
        for kind, each in section["kinds"].items()
    ]
    return [
        "## What classifying costs a request",
        "",
        f"One request at a time, ms. {_links('routing_latency')}",
        "",
        f"`{one_line(told['machine'])}`",
        "",
        *_warnings(told),
        *_table(("", "prompts", *(f"{what} {share}" for what, share in _TIMES)), timed),
        "",
        *_table(
            ("", PLAIN, CLASSIFIED),
            [
                (
                    f"the event loop's lag p99, ms, {told['settings']['rate']:g} requests a second",
                    *(told["lag"][subject]["late_ms"]["p99"] for subject in (PLAIN, CLASSIFIED)),
                ),
                ("start to ready, s", *_starts(told, "ready_s")),
                ("memory idle, MiB", *(each / MIB for each in _starts(told, "idle_rss_bytes"))),
                (
                    "memory after the prompts, MiB",
                    *(told["rss_bytes_after"][subject] / MIB for subject in (PLAIN, CLASSIFIED)),
                ),
            ],
        ),
        "",
        "![routing-latency](routing-latency.svg)",
    ]


def _starts(told: Mapping[str, Any], name: str) -> list[float]:
    return [median(each[name] for each in told["starts"] if each["subject"] == way) for way in (PLAIN, CLASSIFIED)]


def _links(name: str) -> str:
    return f"[All figures]({DOCUMENTS[name]}), [how to read them](../../README.md#{name})."


def _warnings(told: Mapping[str, Any]) -> list[str]:
    errors = ["**There were errors: these figures do not count.**"] if told["errors"] else []
    return [line for each in (*errors, *told["notes"]) for line in (f"> {each}", "")]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *cells)]


def _plot(folder: Path, name: str, title: str, values: Mapping[str, float]) -> None:
    (folder / name).write_text(svg.bars(title, "", values, digits=3), encoding="utf-8")
