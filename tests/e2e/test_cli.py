"""The command line as a person uses it: a process, its exit code, and what it says on which stream."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cortex import __version__

ROOT = Path(__file__).parents[2]
LIMIT_S = 60  # so that a hanging process fails its test

GOOD = """\
providers:
  local:
    type: simulated
    models: [small, large]
  groq:
    type: groq
    priority: 20
    keys: "${CANARY_KEYS:-}"
    models: [{name: openai/gpt-oss-20b, context: 50, input_usd_per_mtok: 0.075, output_usd_per_mtok: 0.3}]
models:
  chat: {cascade: [fast, local/large]}
  fast: {balance: {strategy: lowest_latency, targets: [groq, local]}}
default_model: chat
"""
BAD = """\
providers:
  local:
    type: simulated
    models: [small]
models:
  chat: {cascade: [locl]}
  fast: {cascade: [chat], strateggy: weighted}
"""


def cortex(*arguments: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(**options.pop("env", {})), timeout=LIMIT_S, text=True,
        encoding="utf-8", stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, check=False, **options,
    )  # fmt: skip


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cortex", *map(str, arguments)]


def environment(**extra: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **extra}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    (tmp_path / "cortex.yaml").write_text(GOOD)
    return tmp_path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "cortex.yaml").write_text(BAD)
    return tmp_path


CHOOSING = """\
providers:
  local: {type: simulated, models: [coder, writer, small]}
models:
  front:
    rules:
      - {when: {prompt_tokens: {over: 1000}}, to: local/small}
      - {to: auto}
  auto:
    classify:
      default: local/small
      routes:
        coding: {task: coding, to: local/coder}
        creative: {task: creative, to: local/writer}
default_model: front
"""
POEM = "Write a short poem about the sea at night"


@pytest.fixture
def choosing(tmp_path: Path) -> Path:
    (tmp_path / "cortex.yaml").write_text(CHOOSING)
    return tmp_path


def words(output: str) -> list[str]:
    """Its lines, with one space between words."""
    return [" ".join(line.split()) for line in output.splitlines()]


# What every command has in common


def test_version_and_help(tmp_path: Path) -> None:
    assert cortex("--version", cwd=tmp_path).stdout == f"cortex {__version__}\n"
    told = cortex("--help", cwd=tmp_path).stdout
    assert all(name in told for name in ("serve", "check", "graph", "explain", "routes", "schema"))


def test_help_imports_nothing_that_only_a_command_needs(tmp_path: Path) -> None:
    script = "import sys; sys.argv[1:] = ['--help']; from cortex.cli import main; main(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), timeout=LIMIT_S, capture_output=True, text=True
    )
    modules = done.stdout.splitlines()[-1].split()
    assert "click" in modules
    assert not {"aiohttp", "asyncio", "pydantic", "yaml", "uvloop", "routing", "rich"} & set(modules)


@pytest.mark.parametrize("arguments", [["check"], ["graph"], ["explain", "Hi"], ["serve"]])
def test_a_bad_file_is_told_line_by_line_on_standard_error_and_exits_2(bad: Path, arguments: list[str]) -> None:
    done = cortex(*arguments, cwd=bad)
    problems = done.stderr.splitlines()
    assert done.returncode == 2
    assert done.stdout == ""
    assert [re.match(r"cortex\.yaml:\d+:\d+: ", line) is not None for line in problems] == [True, True, False]
    assert problems[-1] == "2 problems"
    assert "models.chat.cascade[0]" in problems[0]
    assert 'did you mean "local"' in problems[0]
    assert "models.fast.strateggy" in problems[1]


@pytest.mark.parametrize("arguments", [["serve"], ["check", "elsewhere.yaml"]])
def test_a_missing_file_is_a_problem_without_a_traceback(tmp_path: Path, arguments: list[str]) -> None:
    done = cortex(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"\w+\.yaml: does not exist.*\n1 problem\n", done.stderr)


def test_no_key_shows_in_any_output(good: Path) -> None:
    canary = "gsk_canary7Qz9w3Rt"
    for arguments in (["check"], ["explain", "Hi", "--json"]):
        done = cortex(*arguments, cwd=good, env={"CANARY_KEYS": canary})
        assert done.returncode == 0
        assert "canary" not in done.stdout + done.stderr
    (good / "cortex.yaml").write_text(GOOD + f"nonsense: {canary}\n")
    done = cortex("check", cwd=good)
    assert done.returncode == 2
    assert "canary" not in done.stdout + done.stderr


def interrupted_read(error: str) -> list[str]:
    """`cortex explain -` whose standard input does `error` when it is read."""
    script = f"""
import io, signal, sys
class Input(io.RawIOBase):
    def readable(self): return True
    def readinto(self, buffer):
        {error}
        return 0
sys.stdin = io.TextIOWrapper(io.BufferedReader(Input()))
sys.argv[1:] = ["explain", "-"]
from cortex.cli import main
sys.exit(main())
"""
    return [sys.executable, "-c", script]


def test_an_interrupt_exits_130(good: Path) -> None:
    script = interrupted_read("signal.raise_signal(signal.SIGINT)")
    done = subprocess.run(script, cwd=good, env=environment(), timeout=LIMIT_S, capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.strip() == ""


def test_a_bug_is_one_line_and_exits_1(good: Path) -> None:
    done = subprocess.run(
        interrupted_read("1 / 0"), cwd=good, env=environment(), timeout=LIMIT_S, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(r"cortex: internal error: ZeroDivisionError at .+:\d+; please report it\n", done.stderr)


@pytest.mark.parametrize("arguments", [["graph"], ["serve", "--port", "0"]])
def test_a_reader_that_has_left_gets_no_traceback(good: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = cortex(*arguments, cwd=good, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_terminal_without_the_letters_of_a_drawing_gets_others(good: Path) -> None:
    done = cortex("graph", cwd=good, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "local/small" in done.stdout


# check, graph, schema


def test_check_tells_what_is_on_and_why_the_rest_is_not(good: Path) -> None:
    done = cortex("check", cwd=good)
    assert (done.returncode, done.stderr) == (0, "")
    lines = words(done.stdout)
    assert lines[0] == "cortex.yaml: good"
    assert "local on small, large" in lines
    assert "groq off: no key openai/gpt-oss-20b https://api.groq.com/openai/v1" in lines
    assert "chat cascade default model" in lines
    assert "fast balance: lowest_latency" in lines
    with_key = cortex("check", cwd=good, env={"CANARY_KEYS": "gsk_1"})
    assert "groq on openai/gpt-oss-20b https://api.groq.com/openai/v1" in words(with_key.stdout)


def test_graph_in_its_three_formats(good: Path) -> None:
    text, mermaid, svg = (cortex("graph", "--format", form, cwd=good) for form in ("text", "mermaid", "svg"))
    assert text.stdout.splitlines() == [
        "chat  cascade  default model",
        "├─ 1. fast  balance: lowest_latency",
        "│  ├─ groq/openai/gpt-oss-20b  off: no key",
        "│  └─ local/small",
        "└─ 2. local/large",
    ]
    assert mermaid.stdout.startswith("flowchart LR\n")
    assert ElementTree.fromstring(svg.stdout).tag == "{http://www.w3.org/2000/svg}svg"
    assert cortex("graph", "--format", "text", "cortex.yaml", cwd=good).stdout == text.stdout


def test_schema_is_json_schema(tmp_path: Path) -> None:
    schema = json.loads(cortex("schema", cwd=tmp_path).stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "providers" in schema["properties"]


# explain


def test_explain_tells_route_candidates_and_skips(good: Path) -> None:
    done = cortex("explain", "Hello", cwd=good)
    assert (done.returncode, done.stderr) == (0, "")
    lines = words(done.stdout)
    assert "route chat > fast" in lines
    assert "model local/small" in lines
    assert any("groq/openai/gpt-oss-20b skipped (off: no key) via chat > fast context 50" in line for line in lines)


def test_explain_as_json_reads_a_long_prompt_from_standard_input(good: Path) -> None:
    done = cortex(
        "explain", "-", "--json", "--config", good / "cortex.yaml", cwd=ROOT, input="word " * 100,
        env={"CANARY_KEYS": "gsk_1"},
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["model"] == "local/small"
    assert told["prompt_tokens"] > 100
    skipped = {step["target"]: step["skip"] for step in told["candidates"] if step["skip"]}
    assert skipped.keys() == {"groq/openai/gpt-oss-20b"}
    assert "context" in skipped["groq/openai/gpt-oss-20b"]


def test_explain_of_an_unknown_model_names_the_nearest(good: Path) -> None:
    done = cortex("explain", "Hi", "--model", "chatt", cwd=good)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'chatt' is not configured; did you mean chat" in done.stderr


def test_explain_tells_the_choices(choosing: Path) -> None:
    done = cortex("explain", POEM, cwd=choosing)
    assert (done.returncode, done.stderr) == (0, "")
    lines = words(done.stdout)
    assert "route front > auto" in lines
    assert "model local/writer" in lines
    first, second = lines[lines.index("choices") + 1 :][:2]
    assert first == "front auto by rule: else"
    assert re.fullmatch(r"auto creative creative \d\.\d\d, coding \d\.\d\d \(needs .+\) by \w+, .+ ms", second)
    assert POEM not in done.stdout


def test_explain_as_json_tells_the_choices(choosing: Path) -> None:
    told = json.loads(cortex("explain", POEM, "--json", cwd=choosing).stdout)
    assert (told["model"], told["route"]) == ("local/writer", ["front", "auto"])
    assert told["rules"] == [{"node": "front", "when": "else", "to": "auto"}]
    assert [(each["node"], each["route"]) for each in told["classify"]] == [("auto", "creative")]
    long = cortex("explain", "-", "--json", cwd=choosing, input="word " * 1000)
    told = json.loads(long.stdout)
    assert (told["model"], told["classify"]) == ("local/small", [])
    assert told["rules"] == [{"node": "front", "when": "over 1,000 tokens", "to": "local/small"}]


def test_check_and_graph_know_nodes_that_choose(choosing: Path) -> None:
    lines = words(cortex("check", cwd=choosing).stdout)
    assert "front rules default model" in lines
    assert "auto classify" in lines
    assert cortex("graph", cwd=choosing).stdout.splitlines() == [
        "front  rules  default model",
        "├─ over 1,000 tokens → local/small",
        "└─ else → auto  classify",
        "   ├─ coding → local/coder",
        "   ├─ creative → local/writer",
        "   └─ unsure → local/small",
    ]


# serve


@contextmanager
def serving(*arguments: str | Path, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A serving process and its banner's lines, up to the one about OpenAI's clients."""
    process = subprocess.Popen(
        command("serve", "--port", "0", *arguments), cwd=cwd, env=environment(), text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        banner: list[str] = []
        for line in process.stdout:
            banner.append(line.rstrip("\n"))
            if "base_url=" in line:
                break
        assert banner, process.communicate(timeout=LIMIT_S)[1]
        yield process, banner
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_S)


def ended(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str]:
    process.send_signal(by)
    _, said = process.communicate(timeout=LIMIT_S)
    return process.returncode, said


def test_serve_says_where_it_listens_and_ends_when_told(good: Path) -> None:
    with serving(cwd=good) as (process, banner):
        url = re.fullmatch(rf"Cortex {__version__} listens on (http://127\.0\.0\.1:\d+) \(cortex\.yaml\)", banner[0])
        assert url is not None
        assert words("\n".join(banner[1:3])) == ["groq off: no key", "local on"]
        with urllib.request.urlopen(f"{url[1]}/livez", timeout=LIMIT_S) as answer:
            assert answer.status == 200
        code, said = ended(process, signal.SIGTERM)
        assert code == 0
        assert "Traceback" not in said


def test_a_served_node_classifies_from_the_first_request_on(choosing: Path) -> None:
    with serving(cwd=choosing) as (process, banner):
        url = banner[0].split()[4]
        with urllib.request.urlopen(f"{url}/api/health", timeout=LIMIT_S) as answer:
            assert json.load(answer)["classifier"] == {"embedder": "builtin", "status": "ready"}
        body = {"messages": [{"role": "user", "content": POEM}], "stream": False}
        request = urllib.request.Request(
            f"{url}/api/chat", data=json.dumps(body).encode(), headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            assert answer.headers["x-cortex-model"] == "local/writer"
            assert answer.headers["x-cortex-route"] == "front>auto"
        code, said = ended(process, signal.SIGTERM)
        assert (code, "Traceback" in said) == (0, False)


def test_the_demo_answers_the_line_that_it_prints(tmp_path: Path) -> None:
    with serving("--demo", cwd=tmp_path) as (process, banner):
        assert "simulated" in "\n".join(banner)
        line = next(line for line in banner if "curl -N" in line)
        pasted = re.search(r"curl -N (\S+) -H '([^:]+): ([^']+)' -d '([^']+)'", line)
        assert pasted is not None
        request = urllib.request.Request(pasted[1], data=pasted[4].encode(), headers={pasted[2]: pasted[3]})
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            body = answer.read().decode()
        assert 'data: {"content":' in body
        assert "event: done" in body
        _, said = ended(process, signal.SIGINT)
        assert "Traceback" not in said


def test_serve_on_a_port_in_use_names_it_and_how_to_mend_it(good: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cortex("serve", "--port", str(port), cwd=good)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid"])
def test_serve_on_an_address_that_is_not_here_exits_1(good: Path, host: str) -> None:
    (good / "cortex.yaml").write_text(GOOD + "server: {client_keys: [a-client-key-of-some-length]}\n")
    done = cortex("serve", "--host", host, "--port", "0", cwd=good)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on {host}:0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workers", "2"], "not available in this version"),
        (["--demo", "--config", "cortex.yaml"], "--demo"),
        (["--host", "0.0.0.0"], "client_keys"),
        (["--port", "70000"], "--port"),
    ],
)
def test_serve_refuses_what_it_cannot_or_should_not_do(good: Path, arguments: list[str], says: str) -> None:
    done = cortex("serve", *arguments, cwd=good)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
