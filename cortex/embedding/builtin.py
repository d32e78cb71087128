"""The built-in embedder: all-MiniLM-L6-v2 in int8 on onnxruntime, one thread, no torch.

Texts go through one by one: nothing is padded, a vector does not depend on the texts beside it, memory stays small, and
a batch would be no faster but for the shortest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.embedding.embedder import EmbedderError
from cortex.embedding.minilm import FOLDER, shipped, tokenizer

if TYPE_CHECKING:
    import onnxruntime

    from cortex.embedding.embedder import Vectors

_LOG_ERRORS = 3  # onnxruntime's severity


class BuiltinEmbedder:
    """Loads when made. Raises EmbedderError."""

    name = "all-MiniLM-L6-v2-int8"
    dimensions = 384

    def __init__(self, folder: Path = FOLDER) -> None:
        self._tokenize = tokenizer(folder, special=True)
        self._session = _session(shipped("model.onnx", folder))

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            ids = np.array([self._tokenize(text)], np.int64)
            try:
                (vectors[row],) = self._session.run(None, {"input_ids": ids})[0]
            except Exception as error:
                raise EmbedderError(f"onnxruntime: {error}") from error
        return vectors


def _session(path: Path) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_ERRORS
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # More than the basic would fuse additions with layer normalisation into a kernel that is eight times slower.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.enable_mem_pattern = False  # it would remember a layout for every length of text
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EmbedderError(f"{path} cannot be loaded: {error}") from error
