"""The page and the plots of what `benchmarks.cache_quality` has found. It states goals, and where they are missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import svg
from benchmarks.outcome import one_line

RESULTS = Path(__file__).parent / "results" / "cache"
PAGE = "README.md"
_LANGUAGES = {"en": "English", "es": "Spanish", "pt": "Portuguese", "fr": "French", "de": "German"}


def write_page(told: Mapping[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# How often the semantic cache is right",
        "",
        "Made by `python -m benchmarks.cache_quality --data DIR`; all figures: [quality.json](quality.json). "
        "How it decides, and what was seen before it was measured: "
        "[decision 0015](../../../docs/decisions/0015-semantic-cache.md).",
        "",
        f"`{one_line(told['machine'])}`, threshold {told['threshold']:.2f}",
        "",
    ]
    for name, render in _SECTIONS.items():
        if name in told:
            lines += [*render(told[name]), ""]
    for name, plot in _plots(told).items():
        (folder / name).write_text(plot, encoding="utf-8")
        lines += [f"![{name.removesuffix('.svg')}]({name})", ""]
    page = folder / PAGE
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def _traps(told: Mapping[str, Any]) -> list[str]:
    rows = [(name, *_trapped(each)) for name, each in (*told["sets"].items(), ("all unseen", told["test"]))]
    return [
        "## Traps: pairs that differ in one thing",
        "",
        "A number, a name, a negation, an opposite, who does what to whom, what is asked, one of a kind, the "
        "form asked for. Each pair is put and asked both ways; what the tier would not even take up is compared "
        "all the same. Goal: at most .5 % false hits on traps that guards were not made on. `independent` was "
        "written without knowledge of guards and other pairs; half of it was opened after the first measurement, "
        "and counts no more in `all unseen` (decision 0015).",
        "",
        *_table(("", "pairs", "false hits", "rate", "by vectors alone"), rows),
        "",
        *_table(
            ("what differs (all unseen)", "pairs", "false hits", "rate", "by vectors alone"),
            [(name, *_trapped(each)) for name, each in told["by_kind"].items()],
        ),
        "",
        *_table(
            ("language (all unseen)", "pairs", "false hits", "rate", "by vectors alone"),
            [(_LANGUAGES[name], *_trapped(each)) for name, each in told["by_language"].items()],
        ),
    ]


def _trapped(each: Mapping[str, Any]) -> tuple[Any, ...]:
    return each["pairs"], each["false_hits"], _percent(each["rate"]), _percent(each["rate_by_vectors_alone"])


def _same(told: Mapping[str, Any]) -> list[str]:
    named = [*told["sets"].items(), *((_LANGUAGES[name], each) for name, each in told["by_language"].items())]
    return [
        "## Pairs that ask the same",
        "",
        "What the guards cost: how many hit, both ways. Languages: of what guards were not made on.",
        "",
        *_table(
            ("", "pairs", "hits", "rate", "by vectors alone"),
            [
                (name, each["pairs"], each["hits"], _percent(each["rate"]), _percent(each["rate_by_vectors_alone"]))
                for name, each in named
            ],
        ),
    ]


def _paraphrases(told: Mapping[str, Any]) -> list[str]:
    named = [(name, told[name]) for name in ("all", "development half", "test half")]
    named += [(f"all, vectors alone at {threshold}", each) for threshold, each in told["vectors_alone"].items()]
    right, wrong = told["all"]["right"], told["all"]["wrong"]
    return [
        "## GPTCache's paraphrases",
        "",
        "999 statements from a library's documentation: every original is put, then every rewording asked. "
        "Right: its own original. Wrong: any other, also one that says the same, of which the data has many. "
        f"Goal: at least 800 right, at most 20 wrong; found: {right} right ({_apart(right, 800, most=False)}), "
        f"{wrong} wrong ({_apart(wrong, 20, most=True)}).",
        "",
        *_table(
            ("", "right", "wrong", "missed"),
            [(name, each["right"], each["wrong"], each.get("missed", "")) for name, each in named],
        ),
    ]


def _apart(found: int, goal: int, *, most: bool) -> str:
    beyond = found - goal if most else goal - found
    return f"missed by {beyond}" if beyond > 0 else "reached"


def _questions(told: Mapping[str, Any]) -> list[str]:
    return [
        "## A stream of questions",
        "",
        "The 20,000 labelled question pairs of Quora that such caches are usually measured on could not be had "
        "here. This stream has every question of NQ-open's development set, the instructions of Self-Instruct "
        "(seed and user-oriented), MT-bench's first turns, Arena-Hard's prompts, and as repeats the questions "
        "of NQ-open, CLINC150, banking77 and Self-Instruct that were drawn at random and written anew in other "
        "words, and the pairs above that ask the same. No text occurs twice; the order is drawn. A hit is right "
        "if the two are known to ask the same or were judged to by reading "
        "(benchmarks/cache_pairs/judged.jsonl); what was doubtful or is not judged is wrong. Goal: at most .5 % "
        "wrong of all questions at 6 % hits or more. The rewordings were written for this and are closer than some "
        "users' may be: how often it errs is what this tells, not how often it will hit.",
        "",
        *_streamed(told),
    ]


def _requests(told: Mapping[str, Any]) -> list[str]:
    return [
        "## A stream of short requests",
        "",
        "The tests of CLINC150 and banking77: requests that crowd together, of 227 intents. Hits between two "
        "intents were all judged by reading, and a sample of those within one; the rate of errors is reckoned from "
        "both.",
        "",
        *_streamed(told),
    ]


def _streamed(told: Mapping[str, Any]) -> list[str]:
    rows = [
        (name, each["hits"], _percent(each["hit_rate"]), each["judged"], each["wrong"], _percent(each["wrong_rate"], 2))
        for name, each in (
            ("all", told), ("development half", told["development_half"]), ("test half", told["test_half"])
        )
    ]  # fmt: skip
    alone = [
        (threshold, _percent(each["hit_rate"]), _percent(each["of_two_meanings"], 2))
        for threshold, each in told["vectors_alone"].items()
    ]
    return [
        f"{told['questions']:,} questions of {told['meanings']:,} known meanings; {told['unfit']} are not taken up.",
        "",
        *_table(("", "hits", "of all", "judged or known", "wrong among them", "wrong of all questions"), rows),
        "",
        *_table(("vectors alone, threshold", "hits", "with a question of another meaning or label"), alone),
    ]


def _look_up(told: Mapping[str, Any]) -> list[str]:
    ms = told["ms"]
    return [
        "## Time and memory",
        "",
        f"A look-up among {told['entries']:,} questions of one scope, given the vector: {ms['p50']:.2f} ms at "
        f"the median, {ms['p90']:.2f} at p90, {ms['p99']:.2f} at p99 ({told['look_ups']:,} look-ups, threads of "
        f"the matrix library: {told['blas_threads']}); {told['mib']} MiB. Goal: 1 ms.",
    ]


_SECTIONS = {
    "traps": _traps,
    "same": _same,
    "paraphrases": _paraphrases,
    "questions": _questions,
    "requests": _requests,
    "look_up": _look_up,
}


def _plots(told: Mapping[str, Any]) -> dict[str, str]:
    plots: dict[str, str] = {}
    if "traps" in told:
        kinds = told["traps"]["by_kind"]
        plots["traps-by-vectors-alone.svg"] = svg.bars(
            "False hits by vectors alone, by what differs",
            "%",
            {name: 100 * each["rate_by_vectors_alone"] for name, each in kinds.items()},
        )
        plots["traps-with-guards.svg"] = svg.bars(
            "False hits with the guards, by what differs",
            "%",
            {name: 100 * each["rate"] for name, each in kinds.items()},
            digits=1,
        )
    if "questions" in told:
        told = told["questions"]
        alone = [(100 * each["hit_rate"], 100 * each["of_two_meanings"]) for each in told["vectors_alone"].values()]
        plots["questions.svg"] = svg.lines(
            "A stream of questions: hits, and what of them is wrong or unknown",
            "% of questions that hit",
            "% wrong",
            {"vectors alone": sorted(alone), "with guards": [(100 * told["hit_rate"], 100 * told["wrong_rate"])]},
            limits=(0.5,),
        )
    return plots


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *cells)]
