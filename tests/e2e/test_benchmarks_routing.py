"""The benchmarks of routing: no prompt is judged by its own label, every answer is checked, a whole run tells all.

Nothing here looks at a time, nor at how good a figure is.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import routing_quality
from benchmarks.choice_curve import Curve
from benchmarks.choice_methods import LABELLED, kind_told
from benchmarks.choice_splits import Split, crossed, drawn, measured, unseen_kinds
from benchmarks.choice_tables import STRONG, WEAK, Prompts, groups_of
from benchmarks.exchange import completion
from benchmarks.prompt_load import PromptResult
from benchmarks.prompts import Prompt, for_ever, varied, workload
from benchmarks.routing_timings import CLASSIFIED, NEW, PLAIN, Timed, stages_of
from tests.support.benchmark import client, command, scripted

GROUPS = st.lists(st.integers(0, 12), min_size=8, max_size=30).filter(lambda groups: len(set(groups)) >= 4)


def prompts(count: int = 40, seed: int = 0) -> Prompts:
    rng = np.random.default_rng(seed)

    def rows(width: int) -> np.ndarray:
        made = rng.normal(size=(count, width)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    return Prompts(
        texts=[f"prompt {number}" for number in range(count)],
        kinds=np.array([f"kind {number % 4}" for number in range(count)]),
        weak=rng.integers(0, 2, count).astype(np.float64),
        strong=np.ones(count),
        groups=np.arange(count) // 2,
        vectors=rows(8),
        whole=rows(8),
        shapes=rows(5),
        tasks=np.abs(rows(7)),
    )


def test_the_curve_of_a_score_that_tells_nothing_is_straight() -> None:
    curve = Curve(np.zeros(4), np.array([1.0, 0.0, -1.0, 1.0]))
    assert curve.apgr == pytest.approx(0.5)
    assert (curve.cpt(0.5), curve.cpt(0.8)) == (pytest.approx(0.5), pytest.approx(0.8))


def test_the_curve_goes_by_the_score_and_takes_equal_scores_together() -> None:
    gains = np.array([0.0, 1.0, 0.0, 1.0])
    assert Curve(np.array([1.0, 4, 2, 3]), gains).apgr == pytest.approx(0.75)
    assert Curve(np.array([4.0, 1, 3, 2]), gains).apgr == pytest.approx(0.25)
    assert Curve(np.array([1.0, 2, 2, 1]), gains).apgr == pytest.approx(0.5)
    assert Curve(np.array([1.0, 4, 2, 3]), gains).cpt(0.8) == pytest.approx(0.4)
    low, high = Curve(np.array([1.0, 4, 2, 3]), gains).interval(50, np.random.default_rng(0))
    assert low <= 0.75 <= high


def apart(groups: np.ndarray, split: Split) -> bool:
    known, asked = split
    return len(asked) > 0 and not set(groups[known]) & set(groups[asked])


@given(GROUPS, st.integers(2, 4), st.integers(0, 5))
def test_prompts_of_one_group_are_on_one_side(numbers: list[int], parts: int, seed: int) -> None:
    groups = np.array(numbers)
    for (split,) in drawn(groups, 2, 3, seed):
        assert len(split[0]) == 2
        assert apart(groups, split)
    for splits in crossed(groups, parts, 2, seed):
        assert all(apart(groups, split) for split in splits)
        assert sorted(np.concatenate([asked for _, asked in splits])) == list(range(len(groups)))


def test_no_label_is_of_a_subject_that_is_asked() -> None:
    some = prompts()
    splits = unseen_kinds(some, 5)
    assert sorted(np.concatenate([asked for _, asked in splits])) == list(range(len(some)))
    for known, asked in splits:
        assert 0 < len(known) <= 5
        assert not set(some.kinds[known]) & set(some.kinds[asked])
        assert apart(some.groups, (known, asked))


@pytest.mark.parametrize("method", [*LABELLED.values(), kind_told])
def test_a_score_owes_nothing_to_the_prompts_own_label(method: object) -> None:
    some = prompts()
    splits = crossed(some.groups, len(some), 1)[0]
    known, asked = splits[0]
    other = some.strong.copy()
    other[asked] = -7.0
    told = [method(each.at(known), each.at(asked)) for each in (some, replace(some, strong=other))]  # type: ignore[operator]
    assert np.array_equal(*told)
    assert measured(some, [splits], method).apgr  # type: ignore[arg-type]


def test_what_is_nearly_the_same_is_of_one_group_also_by_way_of_others() -> None:
    angles = np.array([0.0, 0.25, 0.5, 2.0])  # radians: neighbours are alike, the first and the third are not
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert list(groups_of(vectors)) == [0, 0, 0, 3]


def _tables(folder: Path) -> Path:
    """RouteLLM's files with a few prompts of our own. The strong model is right wherever a number is odd."""

    def write(path: Path, subject: str, count: int) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["prompt", WEAK, STRONG])
            for number in range(count):
                weak, strong = number % 3 == 0, number % 2 == 1 or number % 3 == 0
                writer.writerow([f"What is the {number}th of {subject}?\nA. {number}\nB. none", weak, strong])

    def lines(path: Path, rows: list[dict[str, object]]) -> None:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    for name in ("mmlu", "gsm8k", "mt_bench"):
        (folder / "routellm" / name).mkdir(parents=True)
    mmlu, gsm8k, mt_bench = ((folder / "routellm" / name) for name in ("mmlu", "gsm8k", "mt_bench"))
    for subject in ("birds", "rivers", "kings of France", "prime numbers", "cheeses", "planets"):
        write(mmlu / f"mmlu_{subject.replace(' ', '_')}.csv", subject, 8)
    lines(mmlu / "contaminated_prompts.jsonl", [{"eval_prompt": "What is the 7th of birds?\nA. 7\nB. none"}])
    write(gsm8k / "gsm8k_responses.csv", "apples that Ann has left", 16)
    lines(gsm8k / "contaminated_prompts.jsonl", [])
    turns = [f"Write {thing}." for thing in ("a poem", "a loop in Rust", "a proof", "a letter", "a plan", "a joke")]
    questions = [
        {"question_id": number, "category": f"c{number % 3}", "turns": [turn, "Shorter."]}
        for number, turn in enumerate(turns)
    ]
    lines(mt_bench / "question.jsonl", questions)
    lines(
        mt_bench / "judgements.jsonl",
        [
            {"question_id": number, "model": model, "turn": turn, "score": 8 if model == STRONG else number + turn}
            for number in range(len(turns))
            for model in (WEAK, STRONG)
            for turn in (1, 2)
        ],
    )
    lines(mt_bench / "contaminated_prompts.jsonl", [{"eval_prompt": turns[-1]}])
    return folder


def test_a_whole_run_of_the_choice_between_two_models(tmp_path: Path) -> None:
    options = ("--data", str(_tables(tmp_path / "data")), "--rounds", "2", "--plots", str(tmp_path / "plots"))
    code, printed, document = command(tmp_path / "figures.json", "model_choice", *options)
    assert (code, document["errors"]) == (0, [])
    # Those that RouteLLM calls contaminated are not among them.
    assert {name: facts["prompts"] for name, facts in document["prompts"].items()} == {
        "mmlu": 47,
        "gsm8k": 16,
        "mt_bench": 5,
    }
    assert document["settings"]["labels"] == 23
    for section in document["same_table"].values():
        assert {"random", "the longer prompt (no labels)", *LABELLED, "the best possible"} <= set(section)
    assert set(document["cross_table"]) == {
        "MMLU → GSM8K", "MMLU → MT-Bench", "GSM8K → MMLU", "GSM8K → MT-Bench", "both → MT-Bench"
    }  # fmt: skip
    assert "RouteLLM, best" in printed
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        "model-choice-mmlu.svg", "model-choice-gsm8k.svg", "model-choice-mt-bench.svg"
    }  # fmt: skip


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    """A folder of the published figures, without page and plots."""
    for file in routing_quality.RESULTS.glob("*.json"):
        shutil.copy(file, tmp_path)
    return tmp_path


def _page(folder: Path) -> str:
    assert routing_quality.main(["--data", str(folder), "--output", str(folder), "--only"]) == 0
    return (folder / "README.md").read_text()


def test_the_published_page_of_routing_is_of_the_published_figures(figures: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", _page(figures))
    assert {"model-choice.json", "latency.json", "routing-latency.svg", "coverage.svg"} <= set(links)
    assert all((routing_quality.RESULTS / link).exists() for link in links)
    for file in figures.iterdir():
        assert file.read_text() == (routing_quality.RESULTS / file.name).read_text(), file.name


def test_figures_of_routing_that_do_not_count_are_published_as_such(figures: Path) -> None:
    file = figures / "latency.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "errors": ["status 502"]}))
    _, _, costs = _page(figures).partition("## What classifying costs")
    assert costs.index("these figures do not count") < costs.index("| added p50 |")


def test_one_command_measures_what_other_benchmarks_do_and_pages_it(tmp_path: Path) -> None:
    data, output = _tables(tmp_path / "data"), tmp_path / "output"
    assert routing_quality.main(["--data", str(data), "--output", str(output), "--only", "model_choice"]) == 0
    assert json.loads((output / "model-choice.json").read_text())["prompts"]["gsm8k"]["prompts"] == 16
    assert (output / "model-choice-gsm8k.svg").exists()
    page = (output / "README.md").read_text()
    assert "| kNN, vectors |" in page
    assert "Seven tasks" not in page


def test_a_varied_prompt_is_another_text_with_the_same_end() -> None:
    for prompt in workload():
        texts = [varied(prompt.text, number) for number in range(800)]
        assert texts[0] == prompt.text
        assert len(set(texts)) == len(texts)
        assert {text[-1] for text in texts[1:]} == {prompt.text[-1]} or prompt.text[-1].isalnum()


def test_the_workload_for_ever_repeats_no_text() -> None:
    requests = list(islice(for_ever(), 5 * len(workload())))
    assert len(set(requests)) == len(requests)


def test_some_prompts_of_the_workload_are_of_all_kinds() -> None:
    assert {prompt.kind for prompt in workload(40)} == {prompt.kind for prompt in workload()}
    assert len(workload(40)) == 40


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(completion()), completion())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(ANSWER.replace(b"token07", b"token70"), "another text"), (ANSWER.replace(b"200 OK", b"502 Bad"), "status 502")],
)
async def test_a_wrong_answer_to_a_prompt_is_an_error(answer: bytes, kind: str) -> None:
    decisions = b'{"decisions": []}'
    told = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(decisions), decisions)
    async with scripted(lambda writer: writer.write(answer), to_get=told) as port:
        pid = str(os.getpid())
        options = ("--beside", str(port), "--rounds", "1", "--prompts", "3", "--watch", pid, "--beside-watch", pid)
        code, result = await client("prompt_load", str(port), *options)
    assert code == 1
    assert result["errors"] == {kind: 12, "a decision of a classify node is missing": 1}
    assert result["first_error"].startswith(kind)


def _decision(stage: str, took_ms: float = 1.0, reason: str | None = None) -> dict[str, object]:
    return {"stage": stage, "took_ms": took_ms, "reason": reason}


def test_what_decided_is_told_apart() -> None:
    decisions = [
        _decision("features"),
        _decision("embedding"),
        _decision("embedding", 25.2),
        _decision("abstained", reason="qa is not sure enough"),
        _decision("abstained", 25.1, "qa is not sure enough; the embedder was too slow"),
        _decision("abstained", reason="language: it"),
    ]
    assert stages_of(decisions) == {
        "features": 1,
        "embedding": 1,
        "no vector in time": 2,
        "default: not sure": 1,
        "default: language": 1,
    }


def test_added_time_is_less_what_the_same_prompt_usually_takes() -> None:
    result = PromptResult(
        classified_ms=[[3.0, 9.0], [4.0, 9.5], [5.0, 10.0]],
        plain_ms=[[1.0, 2.0], [50.0, 2.0], [1.0, 2.5]],  # one was held up: that is chance
        decisions=[[_decision("features", 0.1), _decision("embedding", 7.0)]] * 3,
        classified_cpu_s=0.1,
        plain_cpu_s=0.1,
        answered=16,
        errors={},
        first_error="",
    )
    timed = Timed(NEW, [Prompt("short", "a"), Prompt("long", "b")], result)
    assert timed.added(CLASSIFIED) == [2.0, 3.0, 4.0, 7.0, 7.5, 8.0]
    assert timed.added(CLASSIFIED, "long") == [7.0, 7.5, 8.0]
    assert timed.added(PLAIN, "short") == [0.0, 0.0, 49.0]
    assert timed.decided("long") == [7.0, 7.0, 7.0]
    assert timed.stages("short") == {"features": 3}


def test_a_whole_run_of_what_classifying_costs(tmp_path: Path) -> None:
    options = ("--rounds", "1", "--starts", "1", "--rate", "40", "--seconds", "0.5", "--prompts", "12")
    plots = ("--plots", str(tmp_path / "plots"))
    code, printed, document = command(tmp_path / "figures.json", "routing_latency", *options, *plots)
    assert (code, document["errors"]) == (0, [])
    assert set(document["timed"]) == {"each time a new text", "the same texts again"}
    for timed in document["timed"].values():
        assert timed["kinds"]["all"]["prompts"] == 12
        assert sum(timed["kinds"]["all"]["decided"].values()) == 12
    for lag in document["lag"].values():
        assert lag["late_ms"]["noted"] > 100
        assert lag["load"]["sent"] == lag["load"]["answered"] > 0
    assert document["lag"]["plain cascade"]["decided"] == {}
    classified = document["lag"]["classify node"]
    assert sum(classified["decided"].values()) == classified["load"]["sent"]
    assert "What decided" in printed
    assert (tmp_path / "plots" / "routing-latency.svg").read_text().startswith("<svg")
