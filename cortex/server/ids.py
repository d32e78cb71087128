"""Request ids: always ours, never the client's, so that one names one request.

They are names, not secrets: a generator seeded once a process costs no system call.
"""

from __future__ import annotations

import random

_RANDOM = random.Random()


def new_request_id() -> str:
    return f"req_{_RANDOM.getrandbits(96):024x}"
