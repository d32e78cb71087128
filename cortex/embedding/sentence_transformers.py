"""Any model of sentence-transformers, from a local folder or the hub, on torch: the extra `semantic`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cortex.embedding.embedder import EmbedderError

if TYPE_CHECKING:
    from cortex.embedding.embedder import Vectors

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
INSTALL = "pip install 'cortex-gateway[semantic]'"
_BATCH = 32


class SentenceTransformersEmbedder:
    """Loads when made, and downloads what is not on the disk. Raises EmbedderError."""

    def __init__(self, model: str = DEFAULT_MODEL, device: str | None = None) -> None:
        """`device` as torch names it ("cpu", "cuda:1"); None: the best that there is."""
        try:
            library = importlib.import_module("sentence_transformers")
        except ImportError as error:
            raise EmbedderError(f"sentence-transformers cannot be imported ({error}): {INSTALL}") from error
        try:
            self._model: Any = library.SentenceTransformer(model, device=device)
        except Exception as error:
            raise EmbedderError(f"the model {model} cannot be loaded: {error}") from error
        self.name = model
        self.dimensions = int(self._encode([""]).shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        try:
            vectors = self._model.encode(
                readable, batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
        except Exception as error:
            raise EmbedderError(f"the model {self.name} failed: {error}") from error
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise EmbedderError(f"the model {self.name} gave no vectors: shape {vectors.shape}")
        return vectors
