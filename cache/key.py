"""The digest under which an answer is remembered: of what was asked, however it was spelt.

Two requests get the same digest exactly if they mean the same: the order of an object's members, white space, how a
character is escaped and how a number is spelt say nothing; everything else does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
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


_decode = msgspec.json.Decoder(dict[str, Any], float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Scope:
    """Digests of what is asked in the same place: none equals one of another scope's."""

    __slots__ = ("_keyed",)

    def __init__(self, keyed: hashlib._Hash) -> None:
        self._keyed = keyed

    def digest(self, body: bytes, besides: Iterable[str], also: Sequence[Json] = ()) -> bytes:
        """`DIGEST_BYTES` bytes. `body` is a JSON object of which the members `besides` do not matter; `also` is what
        else was asked.

        Raises NoKey.
        """
        try:
            said = _decode(body)
            for name in besides:
                said.pop(name, None)
            text = _encode((said, also))
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


class Keys:
    """One secret's: without it nobody can tell from a digest what was asked."""

    def __init__(self, secret: bytes) -> None:
        # SHA-256 of secret and text: the digests are cut short, so none can be lengthened into another's.
        self._keyed = hashlib.sha256(len(secret).to_bytes(8, "big") + secret)

    def scope(self, *where: str) -> Scope:
        keyed = self._keyed.copy()
        text = _encode(where)
        keyed.update(len(text).to_bytes(8, "big") + text)
        return Scope(keyed)
