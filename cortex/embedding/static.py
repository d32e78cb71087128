"""The static embedder: one stored vector a token, added up. Fifty times as fast as the model, and less exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.embedding.embedder import EmbedderError
from cortex.embedding.minilm import FOLDER, shipped, tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cortex.embedding.embedder import Vectors


class StaticEmbedder:
    """Loads when made. Raises EmbedderError."""

    name = "all-MiniLM-L6-v2-static"
    dimensions = 128

    def __init__(self, folder: Path = FOLDER) -> None:
        self._tokenize = tokenizer(folder, special=False)
        self._rows, self._scales = _table(shipped("static.npz", folder))

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            ids = self._tokenize(text)
            vectors[row] = self._scales[ids] @ self._rows[ids]  # a token's weight is in its scale
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        nothing = lengths[:, 0] == 0  # no token, or none that is known
        vectors[nothing], lengths[nothing] = 1.0, self.dimensions**0.5
        vectors /= lengths
        return vectors


def _table(path: Path) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows (tokens, dimensions) and what each is to be multiplied by (tokens,)."""
    try:
        import numpy as np

        with np.load(path, allow_pickle=False) as file:
            return file["rows"], file["scales"]
    except Exception as error:
        raise EmbedderError(f"{path} cannot be loaded: {error}") from error
