from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.config import load
from cortex.config.diagnostics import MAX_PROBLEMS
from cortex.config.files import MAX_BYTES


def write(folder: Path, text: str) -> Path:
    path = folder / "cortex.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path) -> list[str]:
    loaded = load(path, {})
    assert loaded.config is None
    return [str(problem).removeprefix(str(path)) for problem in loaded.problems]


def test_no_file(tmp_path: Path) -> None:
    assert told(tmp_path / "none.yaml") == [": does not exist"]


def test_a_folder(tmp_path: Path) -> None:
    assert told(tmp_path) == [": is a directory"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert told(tmp_path / "pipe") == [": is not a regular file"]


def test_no_path() -> None:
    assert told(Path("a\0b")) == [": cannot be read: not a path"]


def test_a_file_in_a_file(tmp_path: Path) -> None:
    assert told(write(tmp_path, "") / "cortex.yaml") == [": cannot be read: Not a directory"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.chmod(0)
    assert told(path) == [": cannot be read: Permission denied"]


def test_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "cortex.yaml"
    path.write_bytes("server:\n  # größe ".encode() + b"\xff\n")
    assert told(path) == [":2:11: is not UTF-8 text"]
    path.write_bytes("server: {}".encode("utf-16"))
    assert told(path) == [":1:1: is not UTF-8 text"]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "cortex.yaml"
    path.write_bytes(b"\xef\xbb\xbfserver: {port: 1}")
    config = load(path, {}).config
    assert config is not None
    assert config.server.port == 1


def test_too_large(tmp_path: Path) -> None:
    path = write(tmp_path, "server: {}" + " " * MAX_BYTES)
    assert told(path) == [": is larger than 1024 KiB"]
    path.write_text("server: {}".ljust(MAX_BYTES))
    assert load(path, {}).config is not None


def test_many_problems_are_counted_only(tmp_path: Path) -> None:
    path = write(tmp_path, "".join(f"unknown{n}: 1\n" for n in range(1000)))
    problems = told(path)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == f": {1000 - MAX_PROBLEMS} more problems"


def test_many_warnings_forbid_nothing(tmp_path: Path) -> None:
    models = ", ".join(["m"] * 300)
    loaded = load(write(tmp_path, f"providers: {{a: {{type: ollama, models: [{models}]}}}}"), {})
    assert {problem.severity for problem in loaded.problems} == {"warning"}
    assert loaded.config is not None


def test_the_env_file_beside_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "server: {port: '${PORT}', drain: '${DRAIN}'}")
    (tmp_path / ".env").write_text("PORT=5\nDRAIN=5s\n")
    config = load(path, {"PORT": "6"}).config
    assert config is not None
    assert (config.server.port, config.server.drain) == (6, 5.0)


def test_a_substituted_value_is_text_that_the_field_converts(tmp_path: Path) -> None:
    text = "server: {port: '${PORT}', client_keys: '${KEYS}'}\ndefault_model: ${MODEL}\nproviders: {m: {type: ollama}}"
    config = load(write(tmp_path, text), {"PORT": "4001", "KEYS": "[true, null]", "MODEL": "m"}).config
    assert config is not None
    assert (config.server.port, config.server.client_keys) == (4001, ("[true", "null]"))


def test_the_secrets_of_a_file_are_known_even_if_it_is_wrong(tmp_path: Path) -> None:
    text = """
        server: {client_keys: "${CLIENT}", admin_keys: [admin-1], zzz: 1}
        providers:
          a: {type: groq, keys: "key-1,key-2"}
          b: {type: wrong, keys: [key-3, {value: key-4, account: team}]}
        misplaced: {keys: key-5}
        """
    loaded = load(write(tmp_path, text), {"CLIENT": "client-1"})
    assert loaded.config is None
    assert loaded.secrets == {"client-1", "admin-1", "key-1", "key-2", "key-3", "key-4", "key-5"}
    assert not [secret for secret in loaded.secrets if secret in repr(loaded)]


def test_a_configuration_survives_pickling(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "providers: {a: {type: groq, keys: key-1}}"), {})
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_the_problem_of_a_variable_in_the_env_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("=canary\n")
    loaded = load(write(tmp_path, "server: {}"), {})
    assert [problem.file for problem in loaded.problems] == [str(tmp_path / ".env")]
    assert loaded.config is not None


def test_nothing_is_imported_that_a_plain_file_does_not_need(tmp_path: Path) -> None:
    path = write(tmp_path, "providers: {a: {type: ollama}}")
    program = "import sys; from pathlib import Path; from cortex.config import load; load(Path(sys.argv[1]), {}); "
    program += "print([name for name in ('dotenv', 'aiohttp', 'rich', 'asyncio') if name in sys.modules])"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
