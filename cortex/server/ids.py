"""Request ids: always ours, never the client's, so that one names one request."""

from __future__ import annotations

import secrets


def new_request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def id_headers(request_id: str) -> dict[str, str]:
    """Under Cortex's own name and the two under which the vendors' SDKs look for it."""
    return {"x-cortex-request-id": request_id, "x-request-id": request_id, "request-id": request_id}
