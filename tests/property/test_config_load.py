"""Whatever a configuration file holds: problems come out, never an exception, and never a secret."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.config.load import Loaded, load

CANARY = "canary7Xq-5fk2"
ENVIRON = {"SECRET": CANARY, "SET": "value", "EMPTY": ""}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def loaded_from(folder: Path, data: bytes) -> Loaded:
    path = folder / "cortex.yaml"
    path.write_bytes(data)
    loaded = load(path, ENVIRON)
    errors = [problem for problem in loaded.problems if problem.severity == "error"]
    assert (loaded.config is None) == bool(errors)
    assert all(str(problem).startswith(str(path)) and "\n" not in str(problem) for problem in loaded.problems)
    lines = [problem.line for problem in loaded.problems if problem.line]
    assert lines == sorted(lines)
    breaks = sum(data.decode(errors="replace").count(each) for each in "\n\r\x85\u2028\u2029")  # as YAML counts them
    assert all(line <= breaks + 2 for line in lines)
    return loaded


@given(st.binary(max_size=300))
def test_any_bytes(folder: Path, data: bytes) -> None:
    loaded_from(folder, data)


YAML_PIECES = st.sampled_from(
    [
        *"{}[]:-,&*!|>'\"#%@` \n?~$",
        "  ",
        "\n  ",
        ": ",
        "- ",
        "${",
        "$$",
        "<<",
        "a",
        "providers",
        "type",
        "0x1F",
        "\t",
        "\x85",
    ]
)


@given(st.lists(YAML_PIECES | st.characters(codec="utf-8"), max_size=60).map("".join))
def test_any_text(folder: Path, text: str) -> None:
    loaded_from(folder, text.encode())


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


NAMES = st.sampled_from(["groq", "ollama", "chat", "fast", "a", "b", "auto", "bad/name", ""])
KEYS = words(
    "server providers models default_model timeouts retries health telemetry cache type base_url keys value account "
    "priority key_rotation key_cooldown simulate name context cascade balance classify strategy targets to weight host "
    "port workers client_keys total log format level content attempts budget fail_rate faults seed porviders"
)
WORDS = words(
    "groq ollama openai_compatible simulated gemini chat fast groq/llama3 weighted lowest_cost 5s 20% 32MiB 0.0.0.0 "
    "http://localhost/v1 ${SET} ${EMPTY} ${UNSET} ${UNSET:-5s} ${SECRET} os.environ/SET $$ 4000 true json"
)
SCALARS = WORDS | st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=8)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)


def mappings(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mappings that have some of these members, nearly always of the right shape."""
    loosely = {name: st.one_of(member, member, member, TREES) for name, member in members.items()}
    return st.fixed_dictionaries({}, optional=loosely)


TARGETS = st.lists(NAMES | WORDS | mappings(to=NAMES, weight=SCALARS), max_size=4)
PROVIDERS = mappings(
    type=WORDS,
    base_url=WORDS,
    keys=st.lists(WORDS | mappings(value=WORDS, account=WORDS), max_size=3) | WORDS,
    models=st.lists(WORDS | mappings(name=WORDS, context=SCALARS), max_size=3),
    priority=SCALARS,
    simulate=mappings(fail_rate=SCALARS, faults=st.lists(WORDS, max_size=2)),
    timeouts=mappings(connect=WORDS),
)
FILES = mappings(
    server=mappings(host=WORDS, port=SCALARS, client_keys=WORDS, workers=SCALARS),
    providers=st.dictionaries(NAMES, PROVIDERS, max_size=4),
    models=st.dictionaries(
        NAMES, mappings(cascade=TARGETS, balance=mappings(strategy=WORDS, targets=TARGETS), classify=TREES), max_size=4
    ),
    default_model=NAMES | WORDS,
    timeouts=mappings(total=WORDS),
    telemetry=mappings(log=mappings(format=WORDS), content=SCALARS),
    cache=TREES,
)


@given(TREES | FILES)
@settings(max_examples=150)
def test_any_tree(folder: Path, tree: Any) -> None:
    loaded_from(folder, yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(FILES)
@settings(max_examples=60)
def test_one_more_mistake_is_one_more_problem(folder: Path, tree: Any) -> None:
    """What is told of one part does not depend on another that has nothing to do with it."""
    before = loaded_from(folder, yaml.safe_dump(tree).encode("utf-8", "surrogatepass")).problems
    worse = {**tree, "zzzzzzzz": 1}
    after = loaded_from(folder, yaml.safe_dump(worse).encode("utf-8", "surrogatepass")).problems
    told = [(problem.path, problem.message) for problem in before]
    assert sorted([*told, ("zzzzzzzz", "unknown key")]) == sorted((problem.path, problem.message) for problem in after)


SECRET_TEXT = st.sampled_from([CANARY, "${SECRET}", "os.environ/SECRET", f"a,{CANARY}", "${SECRET} x", "x${SECRET}"])


@settings(max_examples=60)
@given(tree=FILES, where=st.sampled_from(["client_keys", "admin_keys", "keys"]), secret=SECRET_TEXT, data=st.data())
def test_no_secret_shows(folder: Path, tree: Any, where: str, secret: str, data: st.DataObject) -> None:
    """A key of the file is not told, wherever else its value stands in there too."""
    tree = dict(tree)
    if where == "keys":
        tree["providers"] = {"mine": {"type": "groq", "keys": data.draw(st.sampled_from([secret, [secret]]))}}
    else:
        tree["server"] = {where: secret}
    for name in data.draw(st.lists(KEYS | st.text(string.ascii_letters, min_size=1), max_size=3)):
        tree.setdefault(name, data.draw(st.sampled_from([secret, [secret], {secret: secret}, {name: {secret: 1}}])))
    loaded = loaded_from(folder, yaml.safe_dump(tree).encode("utf-8", "surrogatepass"))
    assert CANARY not in "".join(map(str, loaded.problems))
    assert CANARY not in repr(loaded)
