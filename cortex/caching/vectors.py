"""Embeddings, remembered text by text: a request is answered from the cache as far as its texts are known.

Vectors of two models are never put together: what another model made than the one that answers counts as unknown.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

import msgspec

from cortex.embeddings import Known
from routing.graph import Candidate

_OBJECTS_BYTES = 160


class KeptVector(msgspec.Struct, eq=False, gc=False):
    """One text's."""

    candidate: Candidate
    route: tuple[str, ...]
    asked: str  # the graph's entry
    upstream_model: str
    vector: array[float] | str  # 64-bit floats, or the upstream's base64
    tokens: int

    @property
    def size_bytes(self) -> int:
        return _OBJECTS_BYTES + sys.getsizeof(self.vector)

    @property
    def known(self) -> Known:
        return Known(self.vector if isinstance(self.vector, str) else self.vector.tolist(), self.tokens)


def packed(vector: Sequence[float] | str) -> array[float] | str:
    """As little memory as keeps every digit."""
    return vector if isinstance(vector, str) else array("d", vector)
