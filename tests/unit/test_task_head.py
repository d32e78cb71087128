"""The shipped head as the package holds it, and what becomes of one that is damaged or another version's."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cortex import task_head
from cortex.task_head import FILE, shipped_head
from routing.semantic.lexicon import TASKS
from tests.support import upstream_openai as openai
from tests.support.choosing import CODE, ask, by_task, choosing
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream


def test_it_is_read_once_and_is_for_these_features_and_tasks() -> None:
    head = shipped_head()
    assert head is shipped_head()
    for thresholds in (head.thresholds, head.seen_thresholds, head.clear):
        assert thresholds.keys() == set(TASKS)
        assert all(0 < threshold < 1 for threshold in thresholds.values())
    assert {anchor.task for anchor in head.anchors} == set(range(len(TASKS)))
    assert head.anchor_vectors is not None
    assert head.anchor_vectors.shape == (len(head.anchors), len(head.whole_vector))
    assert np.linalg.norm(head.anchor_vectors, axis=1) == pytest.approx(np.ones(len(head.anchors)), abs=0.01)
    assert head.anchor_logits.shape == (len(head.anchors), len(TASKS))


def arrays(file: Path = FILE) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def told(**changes: Any) -> Any:
    return np.array(json.dumps(json.loads(str(arrays()["told"])) | changes))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: path.unlink(missing_ok=True),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no head"),
    "cut": lambda path: path.write_bytes(FILE.read_bytes()[:100_000]),
    "without weights": lambda path: np.savez(
        path, **{name: array for name, array in arrays().items() if name != "whole_words"}
    ),
    "for other features": lambda path: np.savez(path, **{**arrays(), "seen_shape": arrays()["seen_shape"][1:]}),
    "for other tasks": lambda path: np.savez(path, **{**arrays(), "told": told(anchors=[["cooking", "Bake a cake"]])}),
    "without thresholds": lambda path: np.savez(
        path, **{**arrays(), "told": np.array(json.dumps({"anchors": [], "clear": {}}))}
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_head_is_an_error_of_the_promised_kinds(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "task_head.npz"
    DAMAGES[damage](path)
    with pytest.raises((OSError, ValueError)):
        shipped_head(path)


async def test_without_its_head_a_node_takes_the_default_and_health_tells_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "task_head.npz"
    DAMAGES["cut"](path)
    monkeypatch.setattr(task_head, "shipped_head", functools.partial(shipped_head, path))
    async with Upstream(openai.speaking(["Hi"])) as upstream:
        async with Gateway(choosing(upstream.url, {"auto": by_task()}, embedder="builtin")) as gateway:
            found = await ask(gateway, CODE)
            assert (found.model, found.judged["reason"]) == ("rest", "the classifier is not ready")
            async with gateway.client.get("/api/health") as response:
                classifier = (await response.json())["classifier"]
            assert (classifier["embedder"], classifier["status"]) == ("builtin", "failed")
            assert classifier["reason"]
            assert classifier["meanwhile"] == "every prompt takes its node's default"
