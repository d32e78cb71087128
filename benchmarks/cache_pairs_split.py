"""Which half of the material a pair of texts belongs to, once and for all: guards and thresholds see one half only."""

from __future__ import annotations

import hashlib


def is_development(*texts: str) -> bool:
    return hashlib.sha256("\n".join(texts).encode()).digest()[0] % 2 == 0
