"""What the runs of `benchmarks.cache` amount to: what is kept of the budgets, tables, plots and a document. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from benchmarks.cache_hits import HITS, NEW, compared
from benchmarks.cache_hits import document as hit_document
from benchmarks.cache_memory import Filled, memory_document, memory_plot, memory_table
from benchmarks.cache_misses import MissSample, miss_document, miss_figures, miss_tables
from benchmarks.cache_stampede import ON, StampedeSample, stampede_comparisons, stampede_document
from benchmarks.figures import UPSTREAM, Comparison, Spread, Table
from benchmarks.machine import machine
from benchmarks.outcome import Outcome
from benchmarks.report import NOT_QUIET, Sample, quiet, waited_percent
from benchmarks.svg import bars

_RATE = 15_000.0  # hits a second on one core, at least
_ADDED_MS = 0.15  # to a hit at one connection, median, at most
_MORE_US = 5.0  # of a miss, at most
_MEMORY_SHARE = 0.1  # how far what is taken may be from what is said

Budget = tuple[str, str, str, bool]  # what, measured, budget, whether it is kept


def outcome(
    settings: Mapping[str, Any],
    hits: Sequence[Sample],
    misses: Sequence[MissSample],
    stampede: Sequence[StampedeSample],
    memory: Sequence[Filled],
    errors: Sequence[str],
) -> Outcome:
    hit_tables, crowds = compared(hits), stampede_comparisons(stampede)
    budgets = [*_hit_budgets(hit_tables), *_miss_budgets(misses), *_crowd_budgets(crowds), *_memory_budgets(memory)]
    tables = [
        Table(
            "Budgets", ["measured", "budget", "kept"], [(what, [*said, _yes(kept)]) for what, *said, kept in budgets]
        ),
        *(each.table() for each in hit_tables.values()),
        *(miss_tables(misses) if misses else ()),
        *(each.table() for each in crowds.values()),
        *([memory_table(memory)] if memory else ()),
    ]
    waited = [waited_percent(sample) for sample in hits if sample.subject != UPSTREAM]
    waited += [sample.result.waited_share * 100 for sample in misses]
    return Outcome(
        name="cache",
        title="What the response cache costs, and spares",
        machine=machine(),
        settings=settings,
        tables=tables,
        data={
            "budgets": [dict(zip(("what", "measured", "budget", "kept"), each, strict=True)) for each in budgets],
            "hits": hit_document(hits),
            "misses": miss_document(misses),
            "stampede": stampede_document(stampede),
            "memory": memory_document(memory),
        },
        errors=errors,
        notes=[] if quiet(waited) else [NOT_QUIET],
        plots=_plots(hit_tables, misses, memory),
    )


def _yes(kept: bool) -> Literal["yes", "no"]:
    return "yes" if kept else "no"


def _hit_budgets(tables: Mapping[str, Comparison]) -> Iterator[Budget]:
    for comparison in tables.values():
        if (added := comparison.spread("added_p50_ms", HITS)) is not None:
            kept = added.median <= _ADDED_MS
            yield f"{comparison.title}: added p50 ms", added.text(3), f"at most {_ADDED_MS:g}", kept
        elif (rate := comparison.spread("requests_s", HITS)) is not None:
            yield f"{comparison.title}: a second", rate.text(0), f"at least {_RATE:,.0f}", rate.median >= _RATE


def _miss_budgets(samples: Sequence[MissSample]) -> Iterator[Budget]:
    for kind, figures in miss_figures(samples).items():
        for stem, what in (("cpu", "CPU µs more"), ("p50", "p50 µs more")):
            if (told := figures.get(f"{stem}_more_us")) is not None:
                spread = Spread(**told)
                yield f"Misses of {kind}: {what}", spread.text(1), f"at most {_MORE_US:g}", spread.median <= _MORE_US


def _crowd_budgets(crowds: Mapping[str, Comparison]) -> Iterator[Budget]:
    for comparison in crowds.values():
        if (calls := comparison.spread("upstream_calls", ON)) is not None:
            yield f"{comparison.title}: upstream calls", calls.text(0), "1", calls.low == calls.high == 1


def _memory_budgets(filled: Sequence[Filled]) -> Iterator[Budget]:
    for each in filled:
        end = each.samples[-1]
        share = end.taken_bytes / max(1, end.counted_bytes)
        kept = abs(share - 1) <= _MEMORY_SHARE
        yield f"Memory, {each.filling.title}: of what it says", f"{share:.0%}", "90 to 110%", kept
        if end.evicted and end.entries < end.max_entries:
            share = end.taken_bytes / end.max_bytes
            kept = share <= 1 + _MEMORY_SHARE
            yield f"Memory, {each.filling.title}: of max_bytes", f"{share:.0%}", "at most 110%", kept


def _plots(hits: Mapping[str, Comparison], misses: Sequence[MissSample], memory: Sequence[Filled]) -> dict[str, str]:
    plots: dict[str, str] = {}
    rates = {
        f"{subject}, {name}": comparison.medians("requests_s")[subject]
        for name, comparison in hits.items()
        if name in ("json", "stream")
        for subject in (HITS, NEW)
    }
    if rates:
        plots["cache-hits.svg"] = bars("Requests a second, 64 connections", "req/s", rates)
    more = {kind: figures["cpu_more_us"]["median"] for kind, figures in miss_figures(misses).items()}
    if more:
        plots["cache-misses.svg"] = bars("Processor time more for a miss", "µs", more, digits=1)
    if memory:
        plots["cache-memory.svg"] = memory_plot(memory[0])
    return plots
