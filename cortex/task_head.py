"""The shipped head of the task classifier, as the package holds it: read once, when a node asks for it."""

from __future__ import annotations

import json
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from routing.semantic.features import features_of
from routing.semantic.head import Anchor, TaskHead
from routing.semantic.lexicon import TASKS
from routing.semantic.turn import clipped

FILE = Path(__file__).with_name("data") / "task_head.npz"


@cache
def shipped_head(file: Path = FILE) -> TaskHead:
    """Blocking, some tens of milliseconds. Raises OSError or ValueError if the file is not there, or another's."""
    try:
        return _read(file)
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} is damaged: {type(error).__name__}: {error}; install Cortex again") from error


def _read(file: Path) -> TaskHead:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        told = json.loads(str(arrays["told"]))
        weights = {name: arrays[name].astype(np.float32) for name in _WEIGHTS}
        vectors, logits = (arrays[name].astype(np.float32) for name in ("anchor_vectors", "anchor_logits"))
    anchors = tuple(Anchor(TASKS.index(task), text, features_of(clipped(text))) for task, text in told["anchors"])
    return TaskHead(
        **weights,
        thresholds=told["thresholds"],
        seen_thresholds=told["seen_thresholds"],
        clear=told["clear"],
        anchors=anchors,
        anchor_vectors=vectors,
        anchor_logits=logits,
    )


_WEIGHTS = ("seen_shape", "seen_words", "whole_shape", "whole_words", "whole_vector")
