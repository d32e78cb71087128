"""What an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class EmbedderError(Exception):
    """An embedder could not be made, or could not embed. The message is for whoever configured it."""


class Embedder(Protocol):
    """Blocking: for a worker thread, one call at a time."""

    @property
    def name(self) -> str: ...  # the model's: vectors of one name compare with each other, and with no other's

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (n, dimensions), rows of length 1, in the order of the texts. Any text goes, the empty one too.

        Raises EmbedderError.
        """
