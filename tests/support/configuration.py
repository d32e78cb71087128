"""Configurations as text: what they say when loaded, or why they are refused."""

from __future__ import annotations

from pathlib import Path

from cortex.config.load import load
from cortex.config.schema import Config


def loaded(folder: Path, text: str) -> Config:
    """Raises AssertionError if it has problems."""
    result = load(_saved(folder, text), {})
    assert result.config is not None, result.problems
    return result.config


def problems(folder: Path, text: str) -> str:
    """One a line. Raises AssertionError if there are none."""
    result = load(_saved(folder, text), {})
    assert result.config is None
    return "\n".join(map(str, result.problems))


def _saved(folder: Path, text: str) -> Path:
    path = folder / "cortex.yaml"
    path.write_text(text)
    return path
