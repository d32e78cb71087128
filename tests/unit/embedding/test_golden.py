"""The built-in embedder beside the original on sentence-transformers, whose vectors training/export_minilm.py noted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cortex.embedding.builtin import BuiltinEmbedder

GOLDEN = Path(__file__).parents[2] / "golden" / "embedding" / "minilm.json"
LEAST_COSINE = 0.97


def test_the_vectors_are_the_original_s(builtin: BuiltinEmbedder) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden) >= 10
    ours = builtin.embed([row["text"] for row in golden])
    cosines = (ours * np.array([row["vector"] for row in golden])).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE
