"""The digest under which an answer is remembered: of what was asked, however it was spelt.

Two requests get the same digest exactly if they mean the same: the order of an object's members, white space, how a
character is escaped and how a number is spelt say nothing; everything else does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

DIGEST_BYTES = 16
Json: TypeAlias = Any  # a decoded JSON value

_LARGEST_INTEGER = 2.0**63


class NoKey(ValueError):
    """What was asked cannot be put in one canonical form, so nothing can be remembered under it."""


def _number(spelt: str) -> float | int:
    """`1.0` and `1e0` are the integer 1."""
    number = float(spelt)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return int(number) if abs(number) < _LARGEST_INTEGER and number.is_integer() else number


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Keys:
    """Digests keyed by one secret: without it nobody can tell from a digest what was asked."""

    def __init__(self, secret: bytes) -> None:
        # SHA-256 of secret and text: the digests are cut short, so none can be lengthened into another's.
        self._keyed = hashlib.sha256(len(secret).to_bytes(8, "big") + secret)

    def digest(self, scope: Sequence[Json], members: Mapping[str, bytes | msgspec.Raw]) -> bytes:
        """`DIGEST_BYTES` bytes. `members` are JSON, not yet decoded; `scope` is what else must be the same.

        Raises NoKey.
        """
        try:
            said = {name: _decode(raw) for name, raw in members.items()}
            text = _encode((scope, said))
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            raise NoKey(str(error)) from None
        return self._digest(text)

    def part(self, whole: bytes, value: Json) -> bytes:
        """The digest of one of several things asked for at once; `whole` is the digest of all that they share."""
        return self._digest(whole + _encode(value))

    def _digest(self, text: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(text)
        return keyed.digest()[:DIGEST_BYTES]
