"""Requests that are all different, of the same length, at the price of one copy each.

What was asked before is answered from memory: whoever measures anything else must not ask twice. No two clients send
the same number, as they count up from the microsecond they begin in, and none sends a million requests a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

_DIGITS = 16
NUMBER = "0" * _DIGITS  # where the number goes; stands in a request once


def numbered(request: bytes) -> Iterator[bytes]:
    """The same over and over, each time with another number."""
    before, found, after = request.partition(NUMBER.encode())
    assert found, "a request has a place for its number"
    for number in count(time.time_ns() // 1000):
        yield b"%b%016d%b" % (before, number, after)
