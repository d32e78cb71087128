"""How often the semantic cache is right, and how often it is wrong.

    python -m benchmarks.cache_quality --data DIR [--json FILE] [--plots DIR] [--only SECTION …]

`traps`: pairs that differ in one thing; a hit is false. `same`: pairs that ask the same; a miss is a loss.
`paraphrases`: GPTCache's pairs, as a cache: every original is put, then every rewording asked.
`questions`, `requests`: streams, where each question is asked once, and remembered unless it hits.
`look_up`: how long one takes with 10,000 questions in one scope, on one core.
DIR is the folder of public sources. Figures go to FILE, page and plots to the folder of --plots; by default all of them
to benchmarks/results/cache. With --only, what FILE has of other sections stays; without a section, the page is all
that is written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cache_quality_data import (
    Pair,
    Question,
    intents,
    is_development,
    judgements,
    pair_digest,
    pairs,
    paraphrases,
    plain,
    questions,
    requests,
)
from benchmarks.cache_quality_page import RESULTS, write_page
from benchmarks.command import run
from benchmarks.machine import machine
from cache.fitness import unfit
from cache.semantic import AUTO_THRESHOLD, SemanticIndex
from cortex.embedding.builtin import BuiltinEmbedder
from routing.semantic.language import language_of

SCOPE = b"all"
ENTRIES = 10_000
THRESHOLDS = (0.75, 0.80, 0.85, 0.90, 0.95, 0.98)
_LOOK_UPS = 1_000
_TOLD = 40  # false hits that a section quotes
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

Section = dict[str, Any]
Vector = NDArray[np.float32]
Hit = tuple[Question, Question, bool | None]  # asked, kept, whether they ask the same; None: not judged


class Bench:
    def __init__(self, data: Path) -> None:
        self.data = data
        self._embedder = BuiltinEmbedder()
        self._vectors: dict[str, Vector] = {}

    def vector(self, text: str) -> Vector:
        """Of the whole text, as far as the encoder reads."""
        if (found := self._vectors.get(text)) is None:
            found = self._vectors[text] = self._embedder.embed([text])[0]
        return found

    def similarity(self, one: str, other: str) -> float:
        return float(self.vector(one) @ self.vector(other))

    def hits(self, kept: str, asked: str) -> bool:
        index = SemanticIndex(1)
        index.add(SCOPE, b"0", kept, self.vector(kept))
        match = index.find(SCOPE, asked, self.vector(asked), AUTO_THRESHOLD)
        return match is not None and match.refused is None


def is_fit(text: str) -> bool:
    return unfit(text, language_of(text, [word.lower() for word in _WORD.findall(text)])) is None


# Pairs


def traps(bench: Bench) -> Section:
    """False hits. What is unfit for the tier is compared all the same, and each pair is asked both ways."""
    sets = {
        "development half": pairs("traps", development=True),
        "test half": pairs("traps", development=False),
        "long, development half": pairs("traps_long", development=True),
        "long, test half": pairs("traps_long", development=False),
        "other domains": pairs("traps_apart"),
        "independent, half opened late": pairs("traps_independent", development=True),
        "independent, half never opened": pairs("traps_independent", development=False),
    }
    seen = ("development", "opened late")
    tests = [pair for name, found in sets.items() if not any(each in name for each in seen) for pair in found]
    return {
        "sets": {name: _trapped(bench, found) for name, found in sets.items()},
        "test": _trapped(bench, tests),
        "by_kind": _by(tests, lambda pair: pair.kind, lambda found: _trapped(bench, found, told=0)),
        "by_language": _by(tests, lambda pair: pair.language, lambda found: _trapped(bench, found, told=0)),
    }


def _trapped(bench: Bench, found: Sequence[Pair], *, told: int = _TOLD) -> Section:
    wrong = [pair for pair in found if bench.hits(pair.a, pair.b) or bench.hits(pair.b, pair.a)]
    near = sum(bench.similarity(pair.a, pair.b) >= AUTO_THRESHOLD for pair in found)
    section: Section = {
        "pairs": len(found),
        "false_hits": len(wrong),
        "rate": _share(len(wrong), len(found)),
        "rate_by_vectors_alone": _share(near, len(found)),
    }
    if told:
        section["wrong"] = [[pair.a, pair.b] for pair in wrong[:told]]
    return section


def same(bench: Bench) -> Section:
    """Hits of what asks the same, each pair both ways; what is unfit does not hit."""
    own = [*pairs("same"), *_reworded(bench)]
    sets = {
        "development half": [pair for pair in own if is_development(pair.a, pair.b)],
        "test half": [pair for pair in own if not is_development(pair.a, pair.b)],
        "independent, half opened late": pairs("same_independent", development=True),
        "independent, half never opened": pairs("same_independent", development=False),
    }
    tests = [*sets["test half"], *sets["independent, half never opened"]]
    return {
        "sets": {name: _paired(bench, found) for name, found in sets.items()},
        "by_language": _by(tests, lambda pair: pair.language, lambda found: _paired(bench, found)),
    }


def _reworded(bench: Bench) -> list[Pair]:
    stream = questions(bench.data)
    kept = {pair.b for name in ("same", "same_independent") for pair in pairs(name)}
    return [
        Pair(question.meaning, question.text, "en", "")
        for question in stream
        if question.text != question.meaning and question.text not in kept
    ]


def _paired(bench: Bench, found: Sequence[Pair]) -> Section:
    hits = near = 0
    for pair in found:
        fit = is_fit(pair.a) and is_fit(pair.b)
        hits += fit and bench.hits(pair.a, pair.b) and bench.hits(pair.b, pair.a)
        near += bench.similarity(pair.a, pair.b) >= AUTO_THRESHOLD
    return {
        "pairs": len(found),
        "hits": hits,
        "rate": _share(hits, len(found)),
        "rate_by_vectors_alone": _share(near, len(found)),
    }


def paraphrased(bench: Bench) -> Section:
    """Right: its own original, or one of the very same text. Wrong: any other."""
    rows = paraphrases(bench.data)
    index = SemanticIndex(len(rows))
    for place, (origin, _) in enumerate(rows):
        if is_fit(origin):
            index.add(SCOPE, b"%d" % place, origin, bench.vector(origin))
    origins = np.stack([bench.vector(origin) for origin, _ in rows])
    guarded: list[str] = []
    alone: list[tuple[float, bool]] = []
    for origin, similar in rows:
        match = index.find(SCOPE, similar, bench.vector(similar), AUTO_THRESHOLD) if is_fit(similar) else None
        if match is None or match.refused is not None:
            guarded.append("missed")
        else:
            guarded.append("right" if rows[int(match.key)][0] == origin else "wrong")
        similarities = origins @ bench.vector(similar)
        best = int(similarities.argmax())
        alone.append((float(similarities[best]), rows[best][0] == origin))
    halves = {
        name: Counter(what for what, (origin, _) in zip(guarded, rows, strict=True) if is_development(origin) == half)
        for name, half in (("development half", True), ("test half", False))
    }
    return {
        "all": _counted(Counter(guarded)),
        **{name: _counted(found) for name, found in halves.items()},
        "vectors_alone": {
            f"{threshold:.2f}": {
                "right": sum(right for similarity, right in alone if similarity >= threshold),
                "wrong": sum(not right for similarity, right in alone if similarity >= threshold),
            }
            for threshold in THRESHOLDS
        },
    }


def _counted(found: Counter[str]) -> Section:
    return {what: found[what] for what in ("right", "wrong", "missed")}


# Streams


def asked_questions(bench: Bench) -> Section:
    return _streamed(bench, questions(bench.data))


def asked_requests(bench: Bench) -> Section:
    return _streamed(bench, requests(bench.data), labels=True)


def _same_question(asked: Question, kept: Question, *, labels: bool) -> bool | None:
    """None: nobody has judged. A label of an intent does not tell that two texts of it ask the same."""
    if plain(asked.text) == plain(kept.text) or (not labels and asked.meaning == kept.meaning):
        return True
    return judgements().get(pair_digest(asked.text, kept.text))


def _streamed(bench: Bench, stream: Sequence[Question], *, labels: bool = False) -> Section:
    index = SemanticIndex(len(stream))
    vectors = np.empty((len(stream), len(bench.vector(stream[0].text))), np.float32)
    hits: list[Hit] = []
    alone: list[tuple[float, Question, Question]] = []
    not_fit = 0
    for place, question in enumerate(stream):
        vector = vectors[place] = bench.vector(question.text)
        if place:
            similarities = vectors[:place] @ vector
            best = int(similarities.argmax())
            alone.append((float(similarities[best]), question, stream[best]))
        if not is_fit(question.text):
            not_fit += 1
            continue
        match = index.find(SCOPE, question.text, vector, AUTO_THRESHOLD)
        if match is not None and match.refused is None:
            kept = stream[int(match.key)]
            hits.append((question, kept, _same_question(question, kept, labels=labels)))
        else:
            index.add(SCOPE, b"%d" % place, question.text, vector)
    halves = {half: [hit for hit in hits if is_development(hit[0].text) == half] for half in (True, False)}
    asked = Counter(is_development(question.text) for question in stream)
    return {
        "questions": len(stream),
        "unfit": not_fit,
        "meanings": len({question.meaning for question in stream}),
        **_judged(hits, len(stream)),
        "development_half": _judged(halves[True], asked[True]),
        "test_half": _judged(halves[False], asked[False]),
        "vectors_alone": {f"{threshold:.2f}": _nearest(alone, threshold, len(stream)) for threshold in THRESHOLDS},
    }


def _judged(hits: Sequence[Hit], questions: int) -> Section:
    """What nobody has judged counts as wrong between two meanings, and as the judged ones are within one."""
    across = [(asked.text, kept.text) for asked, kept, right in hits if asked.meaning != kept.meaning and not right]
    within = [(asked, kept, right) for asked, kept, right in hits if asked.meaning == kept.meaning]
    wrong = [(asked.text, kept.text) for asked, kept, right in within if right is False]
    judged = sum(right is not None for _, _, right in within)
    estimated = len(across) + (len(wrong) / judged * len(within) if judged else 0.0)
    return {
        "hits": len(hits),
        "hit_rate": _share(len(hits), questions),
        "wrong": len(across) + len(wrong),
        "judged": judged + len(hits) - len(within),
        "wrong_rate": _share(estimated, questions),
        "wrong_of_hits": _share(estimated, len(hits)),
        "wrong_pairs": [*across, *wrong],
    }


def _nearest(alone: Iterable[tuple[float, Question, Question]], threshold: float, questions: int) -> Section:
    near = [(asked, kept) for similarity, asked, kept in alone if similarity >= threshold]
    return {
        "hit_rate": _share(len(near), questions),
        "of_two_meanings": _share(sum(asked.meaning != kept.meaning for asked, kept in near), questions),
    }


# Time


def look_up(bench: Bench) -> Section:
    """On one core, if OPENBLAS_NUM_THREADS=1 is in the environment."""
    texts = [text for text, _ in intents(bench.data)] + [question.text for question in questions(bench.data)]
    texts = list(dict.fromkeys(texts))[: ENTRIES + _LOOK_UPS]
    asked = texts[:: max(1, len(texts) // _LOOK_UPS)][:_LOOK_UPS]
    rest = [text for text in texts if text not in set(asked)][:ENTRIES]
    index = SemanticIndex(ENTRIES)
    for place, text in enumerate(rest):
        index.add(SCOPE, b"%016d" % place, text, bench.vector(text))
    took: list[float] = []
    for text in asked:
        vector = bench.vector(text)
        start = time.perf_counter()
        index.find(SCOPE, text, vector, AUTO_THRESHOLD)
        took.append((time.perf_counter() - start) * 1000)
    return {
        "entries": len(index),
        "look_ups": len(took),
        "ms": {
            name: round(float(np.percentile(took, share)), 3) for name, share in (("p50", 50), ("p90", 90), ("p99", 99))
        },
        "mib": round(index.size_bytes / 2**20, 1),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "all cores"),
    }


def _by(found: Iterable[Pair], name: Callable[[Pair], str], measure: Callable[[Sequence[Pair]], Section]) -> Section:
    groups: dict[str, list[Pair]] = {}
    for pair in found:
        groups.setdefault(name(pair), []).append(pair)
    return {group: measure(groups[group]) for group in sorted(groups)}


def _share(part: float, whole: float) -> float:
    return round(part / whole, 5) if whole else 0.0


SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "traps": traps,
    "same": same,
    "paraphrases": paraphrased,
    "questions": asked_questions,
    "requests": asked_requests,
    "look_up": look_up,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, default=RESULTS / "quality.json", metavar="FILE")
    parser.add_argument("--plots", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    options = parser.parse_args(arguments)
    told = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    if options.only:
        bench = Bench(options.data)
        for name in options.only:
            print(f"{name} …", flush=True)
            told[name] = SECTIONS[name](bench)
        told |= {"machine": machine(), "threshold": AUTO_THRESHOLD}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(write_page(told, options.plots))
    return 0


if __name__ == "__main__":
    run(main)
