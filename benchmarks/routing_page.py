"""The page and the plots of what `benchmarks.routing_quality` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import svg

_LANGUAGES = {"en": "English", "es": "Spanish", "pt": "Portuguese", "fr": "French", "de": "German"}


def write_page(found: Mapping[str, Any], folder: Path) -> None:
    """README.md and SVG files in `folder`, of the sections that there are."""
    lines = ["# How well `classify` nodes route", "", "Made by `python -m benchmarks.routing_quality --data DIR`.", ""]
    for name, render in (
        ("tasks", _tasks),
        ("examples", _examples),
        ("intents", _intents),
        ("languages", _languages),
        ("conversations", _conversations),
    ):
        if name in found:
            lines += [*render(found[name], folder), ""]
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


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


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *cells)]


def _plot(folder: Path, name: str, title: str, values: Mapping[str, float]) -> None:
    (folder / name).write_text(svg.bars(title, "", values, digits=3), encoding="utf-8")
