"""What all benchmarks have in common as commands: a directory for logs, `--json`, and the exit status."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.outcome import Outcome
from benchmarks.processes import ServerFailed
from benchmarks.stage import LoadFailed, Stage

_INTERRUPTED = 130


def parser(name: str, description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"benchmarks.{name}", description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write figures and samples to a file")
    return made


def perform(
    measure: Callable[[Stage], Outcome], json_file: Path | None, plots: Path | None = None, page: Path | None = None
) -> int:
    """Measure, tell, and give the exit status: 0 if every answer was right, 1 if not or if a server failed."""
    directory = Path(tempfile.mkdtemp(prefix="cortex-bench-"))
    try:
        outcome = measure(Stage.on_this_machine(directory))
    except (ServerFailed, LoadFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if json_file is not None:
        json_file.write_text(json.dumps(outcome.document(), indent=2) + "\n")
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        for name, plot in outcome.plots.items():
            (plots / name).write_text(plot)
    if page is not None:
        results.write_one(page, outcome)
    print(outcome.text())
    if outcome.errors:
        print(f"logs are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


def say(what: str) -> None:
    """Progress, beside the figures."""
    print(what, file=sys.stderr, flush=True)


def run(main: Callable[[Sequence[str] | None], int]) -> None:
    """Ends the process with the command's exit status."""
    try:
        sys.exit(main(None))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
