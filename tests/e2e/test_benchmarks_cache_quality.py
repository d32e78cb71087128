"""The benchmark of how often the semantic cache is right: a whole run on sources of our own, and the published page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import cache_quality, cache_quality_data
from benchmarks.cache_quality import Bench, is_fit
from benchmarks.cache_quality_data import Question, is_development, pair_digest, pairs
from benchmarks.cache_quality_page import RESULTS


def _sources(folder: Path) -> Path:
    """Public sources with a few rows of our own."""

    def write(path: str, rows: list[dict[str, object]]) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("nq_open/NQ-open.dev.jsonl", [{"question": "who wrote dune"}, {"question": "who painted guernica"}])
    write("self-instruct/seed_tasks.jsonl", [{"instruction": "Write a letter to a landlord."}])
    write("self-instruct/user_oriented_instructions.jsonl", [{"instruction": "Plan a trip to Oslo."}])
    write("mt_bench/question.jsonl", [{"turns": ["Explain how a lock gate works.", "Shorter."]}])
    write("arena-hard/v01_question.jsonl", [{"prompt": "Who is the author of Dune?"}])
    (folder / "clinc150").mkdir()
    (folder / "clinc150" / "data_full.json").write_text(
        json.dumps({"test": [["how do i freeze my card", "freeze"], ["how can i freeze my card", "freeze"]]})
    )
    (folder / "banking77").mkdir()
    (folder / "banking77" / "test.csv").write_text("text,category\nhow do i freeze my card?,lost_card\n")
    (folder / "paraphrases").mkdir()
    (folder / "paraphrases" / "mock_data.json").write_text(
        json.dumps([{"origin": "Who wrote Dune?", "similar": "Who is the author of Dune?"}])
    )
    return folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of each file of pairs the first rows only: a run takes seconds."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for file in cache_quality_data.PAIRS.glob("*.jsonl"):
        (folder / file.name).write_text("".join(file.read_text().splitlines(keepends=True)[:6]))
    monkeypatch.setattr(cache_quality_data, "PAIRS", folder)


@pytest.mark.usefixtures("few")
def test_a_whole_run_measures_every_section_and_pages_it(tmp_path: Path) -> None:
    data, figures, page = _sources(tmp_path / "data"), tmp_path / "figures.json", tmp_path / "page"
    options = ["--data", str(data), "--json", str(figures), "--plots", str(page)]
    assert cache_quality.main(options) == 0
    told = json.loads(figures.read_text())
    assert set(cache_quality.SECTIONS) <= set(told)
    assert told["paraphrases"]["all"] == {"right": 1, "wrong": 0, "missed": 0}
    assert told["requests"]["hits"] >= 1
    assert told["traps"]["sets"]["other domains"]["pairs"] == 6
    assert {file.name for file in page.iterdir()} == {
        "README.md", "questions.svg", "traps-by-vectors-alone.svg", "traps-with-guards.svg"
    }  # fmt: skip
    before = figures.read_text()
    assert cache_quality.main([*options, "--only"]) == 0
    assert figures.read_text() == before


def test_the_published_page_is_of_the_published_figures(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "quality.json", tmp_path)
    options = ["--data", str(tmp_path), "--json", str(tmp_path / "quality.json"), "--plots", str(tmp_path), "--only"]
    assert cache_quality.main(options) == 0
    for file in tmp_path.iterdir():
        assert file.read_text() == (RESULTS / file.name).read_text(), file.name
    for link in re.findall(r"\]\(([^)#]+)\)", (tmp_path / "README.md").read_text()):
        assert (RESULTS / link).exists(), link


def test_a_hit_is_wrong_unless_it_is_known_or_judged_to_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Question("who wrote dune", "a"), Question("who is the author of dune", "b")
    hits = [(one, other, None), (one, Question("x y", "a"), True)]
    judged = cache_quality._judged(hits, 10)
    assert (judged["hits"], judged["wrong"], judged["wrong_rate"]) == (2, 1, 0.1)
    monkeypatch.setattr(cache_quality, "judgements", lambda: {pair_digest(other.text, one.text): True})
    assert cache_quality._same_question(one, other, labels=True) is True


def test_what_was_judged_within_an_intent_stands_for_what_was_not() -> None:
    asked, kept = Question("a b", "intent"), Question("a c", "intent")
    judged = cache_quality._judged([(asked, kept, True), (asked, kept, False), (asked, kept, None)], 10)
    assert (judged["judged"], judged["wrong"], judged["wrong_rate"]) == (2, 1, 0.15)


def test_no_pair_of_the_test_is_one_of_the_development() -> None:
    developed = {frozenset((pair.a, pair.b)) for pair in pairs("traps", development=True)}
    others = [*pairs("traps", development=False), *pairs("traps_apart"), *pairs("traps_independent")]
    assert not developed & {frozenset((pair.a, pair.b)) for pair in others}
    assert is_development("a", "b") == is_development("a", "b")


def test_a_pair_hits_and_misses_as_the_index_says() -> None:
    bench = Bench(Path())
    assert bench.hits("Who wrote Dune?", "Who is the author of Dune?")
    assert not bench.hits("Who wrote Dune?", "Who wrote Emma?")
    assert not is_fit("What is the weather today?")
