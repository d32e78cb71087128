"""Request ids: always ours, never the client's, so that one names one request.

They are names, not secrets: a generator seeded once a process costs no system call.
"""

from __future__ import annotations

import random

_RANDOM = random.Random()


def new_request_id() -> str:
    return f"req_{_RANDOM.getrandbits(96):024x}"


def id_headers(request_id: str) -> dict[str, str]:
    """Under Cortex's own name and the two under which the vendors' SDKs look for it."""
    return {"x-cortex-request-id": request_id, "x-request-id": request_id, "request-id": request_id}
