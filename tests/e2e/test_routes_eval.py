"""`cortex routes eval` as a person uses it: a process, a configuration, a file of prompts whose routes are known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.e2e.test_cli import cortex, words

CONFIG = """\
providers:
  local: {type: simulated, models: [small, large]}
models:
  ask:
    classify:
      default: local/large
      threshold: 0.4
      routes:
        coder: {task: coding, to: local/large}
        maths: {task: math, to: local/large}
        leases:
          to: local/small
          examples:
            - May the landlord end the lease without a reason?
            - Which clause of the lease says who pays for repairs?
            - Is the deposit in this rental contract too high?
            - How long is the notice period for our tenants?
"""
OTHER = "  tell: {classify: {default: local, routes: {coder: {task: coding, to: local}}}}\n"
PROMPTS: list[dict[str, Any]] = [
    {"text": "Write a Python function that reverses a linked list, canary one", "route": "coder"},
    {
        "text": "def f(x):\n    return x[0\n\nSyntaxError: '[' was never closed. Fix it please, canary two",
        "task": "coding",
    },
    {"text": "Solve 3x^2 - 12x + 9 = 0 and show each step, canary three", "route": "maths"},
    {"text": "May our landlord end the lease next month?", "route": "leases"},
    {"messages": [{"role": "user", "content": "Who pays for repairs under the lease?"}], "route": "leases"},
    {"text": "Quanto tempo devo cuocere questa torta nel forno?", "route": None},
    {"text": "Write a Python function that adds two numbers, canary four", "route": "maths"},
]
WRONG_LINE = 7


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "cortex.yaml").write_text(CONFIG)
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    return tmp_path


def test_the_tables_tell_how_prompts_are_routed_and_never_a_prompt(place: Path) -> None:
    done = cortex("routes", "eval", "set.jsonl", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    lines = words(done.stdout)
    assert lines[:3] == ["node ask", "prompts 7", "accuracy 85.7 %, 6 of 7; the default counts as a class"]
    assert "coder maths leases default" in lines
    assert "maths 1 1 . ." in lines
    assert "mistakes: 1" in lines
    assert any(line.startswith(f"{WRONG_LINE} maths coder coder 0.") for line in lines)
    assert "1 language: it" in lines
    assert "notes" not in lines
    assert "canary" not in done.stdout
    assert "landlord" not in done.stdout


def test_json_and_picture(place: Path) -> None:
    done = cortex("routes", "eval", "set.jsonl", "--json", "--picture", "out.svg", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["node"], told["prompts"], told["right"]) == ("ask", 7, 6)
    assert [route["route"] for route in told["routes"]] == ["coder", "maths", "leases", "default"]
    assert sum(route["share"] for route in told["routes"]) == pytest.approx(1.0, abs=1e-3)
    assert [sum(row) for row in told["confusion"]["wanted_by_got"]] == [2, 2, 2, 1]
    assert [point["at_least"] for point in told["coverage"]] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert told["in_force"]["routed"] == pytest.approx(6 / 7, abs=1e-3)
    assert sum(stage["prompts"] for stage in told["decided_by"]) == 7
    assert 0 < told["took_ms"]["p50"] <= told["took_ms"]["p99"]
    (mistake,) = told["mistakes"]
    assert (mistake["line"], mistake["wanted"], mistake["got"]) == (WRONG_LINE, "maths", "coder")
    assert mistake["best"][0]["p"] >= mistake["threshold"] == 0.4
    picture = (place / "out.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert "canary" not in picture + done.stdout


def test_a_threshold_of_the_curve_gives_what_it_says(place: Path) -> None:
    told = json.loads(cortex("routes", "eval", "set.jsonl", "--json", cwd=place).stdout)
    point = told["coverage"][-1]
    (place / "cortex.yaml").write_text(CONFIG.replace("threshold: 0.4", f"threshold: {point['threshold']}"))
    again = json.loads(cortex("routes", "eval", "set.jsonl", "--json", cwd=place).stdout)
    assert {**again["in_force"], "threshold": point["threshold"], "at_least": 0.5} == point


def test_without_an_embedder_it_goes_by_words_and_shapes(place: Path) -> None:
    (place / "cortex.yaml").write_text(CONFIG + "embedder: none\n")
    told = json.loads(cortex("routes", "eval", "set.jsonl", "--json", cwd=place).stdout)
    assert "embedding" not in {stage["stage"] for stage in told["decided_by"] if stage["prompts"]}
    assert told["notes"] == []


def test_an_embedder_that_fails_is_told(place: Path) -> None:
    (place / "cortex.yaml").write_text(CONFIG + "embedder: {type: sentence_transformers, model: ./nowhere}\n")
    done = cortex("routes", "eval", "set.jsonl", cwd=place)
    assert done.returncode == 0
    assert "embedder: failed, " in done.stdout
    assert done.stdout.rstrip().endswith("prompts are classified by words and shapes alone")


def test_late_vectors_are_waited_for_and_told(place: Path) -> None:
    (place / "cortex.yaml").write_text(CONFIG + "embedder: {type: builtin, timeout: 0.001ms}\n")
    told = json.loads(cortex("routes", "eval", "set.jsonl", "--json", cwd=place).stdout)
    (note,) = told["notes"]
    assert re.match(r"[1-7] waited longer for a vector than the 0\.001 ms that a request is granted", note)
    assert "embedding" in {stage["stage"] for stage in told["decided_by"] if stage["prompts"]}


def test_several_nodes_need_a_name(place: Path) -> None:
    (place / "cortex.yaml").write_text(CONFIG + OTHER + "embedder: none\n")
    done = cortex("routes", "eval", "set.jsonl", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert "choose one with --node: ask, tell" in done.stderr
    assert cortex("routes", "eval", "set.jsonl", "--node", "ask", cwd=place).returncode == 0
    told = cortex("routes", "eval", "set.jsonl", "--node", "tell", cwd=place)
    assert (told.returncode, told.stdout) == (2, "")
    assert "set.jsonl:3: no route is called 'maths'" in told.stderr


def test_the_faults_of_a_file_exit_2(place: Path) -> None:
    (place / "set.jsonl").write_text('{"text": "canary"}\n\ncanary\n')
    done = cortex("routes", "eval", "set.jsonl", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    first, second, count = done.stderr.splitlines()
    assert first == "set.jsonl:1: neither `route` nor `task` is there"
    assert second.startswith("set.jsonl:3: is not JSON")
    assert count == "2 problems"
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["set.jsonl", "--node", "aks"], "the node 'aks' is not in the configuration; these do: ask"),
        (["set.jsonl", "--picture", "nowhere/out.svg"], "there is no such folder"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_begin_exits_2(place: Path, arguments: list[str], says: str) -> None:
    done = cortex("routes", "eval", *arguments, cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_picture_that_cannot_be_written_exits_1_after_the_answer(place: Path) -> None:
    (place / "cortex.yaml").write_text(CONFIG + "embedder: none\n")
    done = cortex("routes", "eval", "set.jsonl", "--picture", ".", cwd=place)
    assert done.returncode == 1
    assert done.stdout.startswith("node")
    assert ". cannot be written: Is a directory" in done.stderr
