"""On what, and of what, the figures are: processor, kernel, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from benchmarks.processes import ROOT

_PACKAGES = ("aiohttp", "uvloop", "msgspec", "pydantic")


def machine() -> dict[str, str | int | None]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **versions,
        "commit": _commit(),
    }


def _cpu_model() -> str | None:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return None


def _commit() -> str | None:
    """The commit that is measured, marked if files differ from it; None outside a repository."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        changes = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    if commit.returncode:
        return None
    return commit.stdout.strip() + (" with changes" if changes.stdout else "")
