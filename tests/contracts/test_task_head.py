"""What stands here about the shipped head belongs together, and its test was kept apart from its training."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cortex.task_head import FILE, shipped_head
from routing.semantic.lexicon import TASKS

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "training" / "examples").glob("*.jsonl"))
FOLDER = ROOT / "benchmarks" / "routing"
TESTS = [*sorted(FOLDER.glob("test_*.jsonl")), FOLDER / "conversations.jsonl"]  # the workload is timed only
REPORT = json.loads((ROOT / "docs" / "models" / "task_head.json").read_text(encoding="utf-8"))
MOST_BYTES = 30 * 1024 * 1024  # with the embedder


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(path: Path) -> list[str]:
    return [text for row in rows(path) for text in ([row["text"]] if "text" in row else _turns(row))]


def _turns(row: dict[str, Any]) -> list[str]:
    return [turn["text"] for turn in row["turns"]]


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


def test_no_prompt_of_the_test_was_trained_on() -> None:
    trained = {plain(text) for path in EXAMPLES for text in texts(path)}
    assert len(trained) > 3000
    # Greetings and the like of a word or two are nobody's.
    assert [text for path in TESTS for text in texts(path) if plain(text) in trained and len(text.split()) > 3] == []


@pytest.mark.parametrize("path", sorted((ROOT / "training").glob("*.py")), ids=lambda path: path.name)
def test_no_training_script_names_the_test(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    said = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
    ]
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [text for text in [*said, *imported] if "benchmarks" in text] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_task_has_as_many_examples(path: Path) -> None:
    counts = {task: sum(row["task"] == task for row in rows(path)) for task in TASKS}
    assert sum(counts.values()) == len(rows(path))
    assert min(counts.values()) >= 40
    assert len({row["text"] for row in rows(path)}) == len(rows(path))


def test_the_report_is_of_the_shipped_file() -> None:
    assert REPORT["head"]["sha256"] == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert REPORT["head"]["bytes"] == FILE.stat().st_size
    head = shipped_head()
    assert REPORT["head"]["thresholds"] == head.thresholds
    assert REPORT["head"]["seen_thresholds"] == head.seen_thresholds
    assert REPORT["head"]["clear"] == head.clear
    assert REPORT["head"]["prompts"]["hand_written"] == sum(len(rows(path)) for path in EXAMPLES)


def test_its_examples_are_hand_written() -> None:
    known = {(row["task"], row["text"]) for path in EXAMPLES for row in rows(path)}
    assert {(TASKS[anchor.task], anchor.text) for anchor in shipped_head().anchors} <= known


def test_all_that_is_shipped_for_classifying_stays_small() -> None:
    files = [FILE, *(ROOT / "cortex" / "data" / "minilm").iterdir()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
