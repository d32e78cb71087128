"""A static table of vectors distilled from all-MiniLM-L6-v2, as model2vec does it: one row a token of the vocabulary.

Each token alone goes through the model; the rows are centred, turned to their 128 largest principal components and
weighted by how rare the token is (SIF over Zipf's law: BERT's vocabulary stands in the order of frequency). A text is
the sum of its tokens' rows, normalised.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.minilm_graph import DIMENSIONS, quantise

KEPT_DIMENSIONS = 128
ROW_MAX = 127
SIF = 1e-4
BATCH = 512
CLS, SEP = 101, 102


def distil(session: onnxruntime.InferenceSession, tokens: list[str]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows (tokens, 128) and their scales (tokens,). The session's model is the one in float."""
    words = np.array([token for token, text in enumerate(tokens) if not _is_special(text)])
    vectors = np.concatenate([_embed(session, words[at : at + BATCH]) for at in range(0, len(words), BATCH)])
    kept = _principal(vectors.astype(np.float64), KEPT_DIMENSIONS)
    chance = 1.0 / (np.arange(len(words)) + 2)
    kept *= (SIF / (SIF + chance / chance.sum()))[:, None]
    table = np.zeros((len(tokens), KEPT_DIMENSIONS), np.float32)
    table[words] = kept / np.linalg.norm(kept, axis=1).mean()
    rows, scales = quantise(table, axis=1, limit=ROW_MAX)
    return rows, scales[:, 0]


def _is_special(token: str) -> bool:
    return token.startswith("[") and token.endswith("]") and len(token) > 2


def _embed(session: onnxruntime.InferenceSession, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    ids = np.stack([np.full_like(tokens, CLS), tokens, np.full_like(tokens, SEP)], axis=1)
    (vectors,) = session.run(["embedding"], {"input_ids": ids.astype(np.int64)})
    return np.asarray(vectors, np.float32).reshape(-1, DIMENSIONS)


def _principal(vectors: NDArray[np.float64], kept: int) -> NDArray[np.float64]:
    """The centred vectors along their `kept` main directions, each direction with its sign fixed."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    main = directions[:, ::-1][:, :kept]
    signs = np.sign(main[np.abs(main).argmax(axis=0), np.arange(kept)])
    turned: NDArray[np.float64] = centred @ (main * signs)
    return turned
