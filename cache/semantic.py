"""The semantic tier: which question that was answered before asks the same as this one. Pure; vectors are passed in.

A match is near enough by its vector and passes `cache.guards`. Vectors lie scope by scope in one block each, so that a
look-up is one product of a matrix and a vector over the questions that may answer it: with 10,000 of 384 dimensions
about a millisecond of one core. All entries together are bounded in number, and the oldest goes first.
"""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.guards import Difference, compare
from cache.reading import Reading, read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]  # (dimensions,), of length 1

AUTO_THRESHOLD = 0.85
_MOST_COMPARED = 8  # of the nearest entries, by their words
_AS_NEAR = 0.02  # similarity less than the nearest's; two that ask different things and are as near: which is meant?
_FIRST_ROWS = 1
_GROWTH = 1.5
# Of memory beside vectors and texts: places in two dictionaries, the entry, its key and scope; and a block's.
_ENTRY_BYTES = 330
_BLOCK_BYTES = 450


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest question. `refused`: why its answer is not good for this one."""

    key: bytes
    similarity: float
    refused: str | None


@dataclass(slots=True, eq=False)
class _Entry:
    key: bytes
    text: str
    block: _Block
    row: int

    @property
    def size_bytes(self) -> int:
        return _ENTRY_BYTES + len(self.key) + sys.getsizeof(self.text)


class _Block:
    """One scope's vectors, those in use first."""

    __slots__ = ("entries", "rows", "scope")

    def __init__(self, scope: bytes, dimensions: int) -> None:
        import numpy as np  # not before a question is remembered

        self.scope = scope
        self.entries: list[_Entry] = []
        self.rows = np.empty((_FIRST_ROWS, dimensions), np.float32)

    @property
    def size_bytes(self) -> int:
        return _BLOCK_BYTES + len(self.scope) + int(self.rows.nbytes)

    def append(self, entry: _Entry, vector: Vector) -> None:
        if len(self.entries) == len(self.rows):
            self._resize(math.ceil(len(self.rows) * _GROWTH))
        entry.row = len(self.entries)
        self.rows[entry.row] = vector
        self.entries.append(entry)

    def remove(self, entry: _Entry) -> None:
        """The last takes its place."""
        last = self.entries.pop()
        if last is not entry:
            self.rows[entry.row] = self.rows[last.row]
            last.row = entry.row
            self.entries[last.row] = last
        if _FIRST_ROWS <= 3 * len(self.entries) < len(self.rows):
            self._resize(max(_FIRST_ROWS, 2 * len(self.entries)))

    def _resize(self, rows: int) -> None:
        import numpy as np

        resized = np.empty((rows, self.rows.shape[1]), np.float32)
        resized[: len(self.entries)] = self.rows[: len(self.entries)]
        self.rows = resized

    def nearest(self, vector: Vector, most: int) -> list[tuple[float, _Entry]]:
        """By similarity, the nearest first."""
        import numpy as np

        similarities = self.rows[: len(self.entries)] @ vector
        if len(similarities) > most:
            places = np.argpartition(similarities, -most)[-most:]
        else:
            places = np.arange(len(similarities))
        places = places[np.argsort(-similarities[places], kind="stable")]
        return [(float(similarities[place]), self.entries[place]) for place in places]


class SemanticIndex:
    """Of questions with vectors of one embedder: the first vector tells the dimensions. One of other dimensions comes
    from another embedder, whose vectors compare with none that is here: when it is added, all else is forgotten."""

    def __init__(self, max_entries: int) -> None:
        """Raises ValueError: there must be room for one."""
        if max_entries < 1:
            raise ValueError("max_entries must be at least 1")
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()  # the oldest first
        self._blocks: dict[bytes, _Block] = {}
        self._dimensions = 0
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Of all memory that the entries take."""
        return self._size_bytes

    @property
    def max_entries(self) -> int:
        return self._max_entries

    @max_entries.setter
    def max_entries(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._make_room(0)

    def add(self, scope: bytes, key: bytes, text: str, vector: Vector) -> None:
        """What was there under the key is replaced."""
        self.discard(key)
        if len(vector) != self._dimensions:
            self.clear()
            self._dimensions = len(vector)
        self._make_room(1)
        block = self._blocks.get(scope)
        if block is None:
            block = self._blocks[scope] = _Block(scope, self._dimensions)
            self._size_bytes += block.size_bytes
        before = block.size_bytes
        entry = self._entries[key] = _Entry(key, text, block, 0)
        block.append(entry, vector)
        self._size_bytes += block.size_bytes - before + entry.size_bytes

    def find(self, scope: bytes, text: str, vector: Vector, threshold: float) -> Match | None:
        """The most similar of the scope's questions that asks the same; else the most similar one, and why it does not.

        None: there is nothing to compare with. `threshold` is the least similarity, from -1 to 1.
        """
        block = self._blocks.get(scope)
        if block is None or len(vector) != self._dimensions:
            return None
        asked: Reading | None = None
        refused: Match | None = None  # the nearest that was
        found: Match | None = None
        for similarity, entry in block.nearest(vector, _MOST_COMPARED):
            if similarity < threshold or (found and similarity < found.similarity - _AS_NEAR):
                return found or refused or Match(entry.key, similarity, "not similar enough")
            asked = asked or read(text)
            kept = read(entry.text)
            why = _why_not(compare(asked, kept), similarity)
            if why is not None:
                refused = refused or Match(entry.key, similarity, why)
            elif found is None:
                found, row, reading = Match(entry.key, similarity, None), block.rows[entry.row], kept
            elif _why_not(compare(reading, kept), float(row @ block.rows[entry.row])) is not None:
                return Match(found.key, found.similarity, "another kept question is as near, and asks something else")
        return found or refused

    def discard(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        block = entry.block
        self._size_bytes -= block.size_bytes + entry.size_bytes
        block.remove(entry)
        if block.entries:
            self._size_bytes += block.size_bytes
        else:
            del self._blocks[block.scope]

    def clear(self) -> None:
        self._entries.clear()
        self._blocks.clear()
        self._size_bytes = 0

    def _make_room(self, entries: int) -> None:
        while self._entries and len(self._entries) + entries > self._max_entries:
            self.discard(next(iter(self._entries)))


def _why_not(difference: Difference, similarity: float) -> str | None:
    if difference.refused is None and similarity < difference.similarity:
        return f"not similar enough for other words: {difference.similarity:.3f} is needed"
    return difference.refused
