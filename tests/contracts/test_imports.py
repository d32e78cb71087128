"""Imports run one way: cortex → routing, cortex → cache. What decides and what remembers touches nothing outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# All that a pure decision needs; `random` for the type of what is passed in.
ROUTING_MAY = {
    "__future__",
    "collections",
    "dataclasses",
    "difflib",
    "enum",
    "functools",
    "itertools",
    "math",
    "random",
    "re",
    "typing",
    "zlib",
    "numpy",
    "routing",
}
CACHE_MUST_NOT = {
    "cortex",
    "routing",
    "aiohttp",
    "asyncio",
    "datetime",
    "http",
    "httpx",
    "logging",
    "multiprocessing",
    "requests",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib",
    "urllib3",
    "uvloop",
}


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each import wherever it stands; the name is empty for a plain import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((("." * node.level) + (node.module or ""), alias.name) for alias in node.names)


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"{package} has no files"
    return found


def rooms(path: Path) -> set[str]:
    return {module.partition(".")[0] for module, _ in imports(path.read_text(encoding="utf-8"))}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("routing"), ids=named)
def test_routing_is_pure(path: Path) -> None:
    assert rooms(path) <= ROUTING_MAY


@pytest.mark.parametrize("path", files("routing"), ids=named)
def test_routing_has_no_randomness_of_its_own(path: Path) -> None:
    taken = {name for module, name in imports(path.read_text(encoding="utf-8")) if module == "random"}
    assert taken <= {"Random"}
    assert not [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Random"
    ]


@pytest.mark.parametrize("path", files("cache"), ids=named)
def test_the_cache_knows_neither_the_network_nor_the_clock_nor_the_other_rooms(path: Path) -> None:
    assert rooms(path).isdisjoint(CACHE_MUST_NOT)


@pytest.mark.parametrize("package", ["cortex", "routing", "cache"])
def test_only_the_configuration_knows_pydantic(package: str) -> None:
    for path in files(package):
        if not path.is_relative_to(ROOT / "cortex" / "config"):
            assert rooms(path).isdisjoint({"pydantic", "pydantic_core", "pydantic_settings"}), named(path)


@pytest.mark.parametrize("package", ["cortex", "routing", "cache"])
def test_imports_are_absolute(package: str) -> None:
    for path in files(package):
        assert not [module for module, _ in imports(path.read_text(encoding="utf-8")) if module.startswith(".")], named(
            path
        )


def test_the_check_itself_sees_every_form_of_import() -> None:
    source = (
        "import os.path\nfrom time import monotonic as now\ndef f():\n    from . import x\n    import socket as s\n"
    )
    assert set(imports(source)) == {("os.path", ""), ("time", "monotonic"), (".", "x"), ("socket", "")}
