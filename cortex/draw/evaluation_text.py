"""An evaluation of a node's routes for the terminal: tables, rates in percent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cortex.draw.columns import columns
from cortex.draw.labels import as_percent, cut
from routing.semantic.evaluation import COVERAGES, Coverage, Evaluation, Judged, Times

MOST_CLASSES = 24  # of a matrix; of more, what is most often mistaken is listed
_MOST_CONFUSED = 30
_LONGEST = 24  # letters of a name


def render(node: str, evaluation: Evaluation, notes: Sequence[str] = ()) -> str:
    """Ends with a newline."""
    right = f"{as_percent(evaluation.accuracy)}, {evaluation.right:,} of {evaluation.prompts:,}"
    lines = columns(
        [
            ("node", node),
            ("prompts", f"{evaluation.prompts:,}"),
            ("accuracy", f"{right}; the default counts as a class"),
        ],
        indent="",
    )
    lines += ["", "routes", *_table(_routes(evaluation))]
    lines += ["", *_confusion(evaluation)]
    lines += ["", "one threshold for every route, so that so many are routed", *_table(_curve(evaluation))]
    lines += ["", "decided by", *_table(_stages(evaluation))]
    if evaluation.abstained:
        left = [(f"{count:,}", why) for why, count in evaluation.abstained.items()]
        lines += ["", "left to the default, because", *_table(left, words=(1,))]
    if evaluation.mistakes:
        count, shown = evaluation.prompts - evaluation.right, len(evaluation.mistakes)
        lines += ["", f"mistakes: {count:,}" if count == shown else f"mistakes: the {shown} surest of {count:,}"]
        lines += _table(_mistakes(evaluation), words=(1, 2, 3, 4, 5))
    if notes:
        lines += ["", "notes", *(f"  {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _routes(evaluation: Evaluation) -> Iterator[Sequence[str]]:
    yield "", "prompts", "traffic", "precision", "recall", "threshold"
    for name, score in zip(evaluation.names, evaluation.routes, strict=True):
        thresholds = dict.fromkeys(f"{score.thresholds[end]:.3f}" for end in (0, -1) if score.thresholds)
        yield (
            cut(name, _LONGEST),
            f"{score.prompts:,}",
            as_percent(score.share),
            as_percent(score.precision),
            as_percent(score.recall),
            " to ".join(thresholds) or ("-" if score.route is not None else ""),
        )


def _confusion(evaluation: Evaluation) -> Iterator[str]:
    names = [cut(name, _LONGEST) for name in evaluation.names]
    if len(names) <= MOST_CLASSES:
        yield "confusion: a row for what is wanted, a column for what was got"
        rows = [[name, *(f"{count:,}" if count else "." for count in row)] for name, row in _rows(names, evaluation)]
        yield from _table([["", *names], *rows])
        return
    confused = [
        (count, wanted, got)
        for wanted, row in _rows(names, evaluation)
        for got, count in zip(names, row, strict=True)
        if count and got != wanted
    ]
    confused.sort(key=lambda found: -found[0])
    yield f"confusion: the {min(len(confused), _MOST_CONFUSED)} most frequent; --json has the matrix"
    rows = [[f"{count:,}", wanted, got] for count, wanted, got in confused[:_MOST_CONFUSED]]
    yield from _table([["", "wanted", "got"], *rows], words=(1, 2))


def _rows(names: Sequence[str], evaluation: Evaluation) -> Iterable[tuple[str, Sequence[int]]]:
    return zip(names, evaluation.confusion, strict=True)


def _curve(evaluation: Evaluation) -> Iterator[Sequence[str]]:
    yield "routed", "threshold", "right of these", "right of all"
    shown: set[int] = set()
    for coverage in map(evaluation.at, COVERAGES):
        if coverage.routed not in shown:  # more cannot be routed, or the same prompts are as probable
            shown.add(coverage.routed)
            yield _covered(coverage, f"{coverage.threshold:.4f}")
    yield _covered(evaluation.in_force, "in force")


def _covered(coverage: Coverage, threshold: str) -> Sequence[str]:
    return as_percent(coverage.share), threshold, as_percent(coverage.accuracy), as_percent(coverage.accuracy_of_all)


def _stages(evaluation: Evaluation) -> Iterator[Sequence[str]]:
    yield "", "prompts", "share", "right", "p50 ms", "p99 ms"
    for each in evaluation.stages:
        right = each.right / each.prompts if each.prompts else None
        share = each.prompts / evaluation.prompts
        yield each.stage, f"{each.prompts:,}", as_percent(share), as_percent(right), *_times(each.took_ms)
    yield (
        "all",
        f"{evaluation.prompts:,}",
        as_percent(1.0),
        as_percent(evaluation.accuracy),
        *_times(evaluation.took_ms),
    )


def _mistakes(evaluation: Evaluation) -> Iterator[Sequence[str]]:
    yield "line", "wanted", "got", "best", "needs", "by"
    for each in evaluation.mistakes:
        needs = "" if each.judgement.threshold is None else f"{each.judgement.threshold:.3f}"
        yield (
            f"{each.line:,}",
            cut(evaluation.name(each.wanted), _LONGEST),
            cut(evaluation.name(each.judgement.route), _LONGEST),
            ", ".join(f"{cut(route, _LONGEST)} {probability:.3f}" for route, probability in each.judgement.best),
            needs,
            _by(each),
        )


def _by(judged: Judged) -> str:
    if judged.judgement.best or not judged.judgement.reason:
        return judged.judgement.stage
    return f"{judged.judgement.stage}: {judged.judgement.reason}"


def _table(rows: Iterable[Sequence[str]], words: Sequence[int] = ()) -> list[str]:
    """Aligned columns under a first row that names them: figures to the right, the first column and `words` not."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {*words, *(() if words else (0,))}
    return [
        "  "
        + "  ".join(
            word.ljust(width) if place in left else word.rjust(width)
            for place, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _times(times: Times) -> tuple[str, str]:
    return _ms(times.p50), _ms(times.p99)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
