"""Embedders that block their thread until they are let go, fail when told to, and note what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cortex.embedding.builtin import BuiltinEmbedder

if TYPE_CHECKING:
    from cortex.embedding.embedder import Vectors

GIVE_UP_S = 30.0


class ScriptedEmbedder:
    """The vector of a text is the same each time, and another one for each text."""

    name = "scripted"
    dimensions = 8

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.error: Exception | None = None
        self.entered = threading.Semaphore(0)  # once for each call
        self._free = threading.Event()
        self._free.set()

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def hold(self) -> None:
        """Whoever embeds from now on waits for `let_go`."""
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        self.entered.release()
        assert self._free.wait(GIVE_UP_S), "never let go"
        if self.error is not None:
            raise self.error
        return np.stack([vector_of(text) for text in texts])


class Obstinate(BuiltinEmbedder):
    """The built-in embedder, which can be held up or told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        assert self.free.wait(GIVE_UP_S), "never let go"
        if self.error is not None:
            raise self.error
        return super().embed(texts)


def workers() -> list[threading.Thread]:
    """The threads of embedding services that still live."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("cortex-embedding")]


def vector_of(text: str) -> NDArray[np.float32]:
    vector = np.random.default_rng(crc32(text.encode("utf-8", "surrogatepass"))).normal(
        size=ScriptedEmbedder.dimensions
    )
    return (vector / np.linalg.norm(vector)).astype(np.float32)
