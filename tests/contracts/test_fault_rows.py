"""The fault catalogue and the security defaults are answered in full: no row without a test, no test without a row."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from tests.e2e import faults, test_security, test_security_messages
from tests.support.fault_table import DEFAULTS, FAULTS


def _tests(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(module).items():
        if name.startswith("test_") and callable(value):
            yield f"{module.__name__}.{name}", value


def _fault_tests() -> list[tuple[str, Callable[..., Any]]]:
    names = [found.name for found in pkgutil.iter_modules(faults.__path__)]
    modules = [importlib.import_module(f"{faults.__name__}.{name}") for name in names]
    return [each for module in modules for each in _tests(module)]


def _security_tests() -> list[tuple[str, Callable[..., Any]]]:
    return [*_tests(test_security), *_tests(test_security_messages)]


def test_every_row_of_the_fault_catalogue_has_a_test() -> None:
    answered = {row for _, test in _fault_tests() for row in getattr(test, "fault_rows", ())}
    assert sorted(FAULTS.keys() - answered) == []


def test_every_fault_test_says_which_row_it_answers() -> None:
    assert [name for name, test in _fault_tests() if not getattr(test, "fault_rows", ())] == []


def test_every_security_default_has_a_test() -> None:
    answered = {line for _, test in _security_tests() for line in getattr(test, "default_lines", ())}
    assert sorted(DEFAULTS.keys() - answered) == []


def test_every_security_test_says_which_default_it_answers() -> None:
    assert [name for name, test in _security_tests() if not getattr(test, "default_lines", ())] == []
