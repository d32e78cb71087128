"""How many tokens a chat is to Gemini, as it counts them itself: countTokens, which costs nothing.

The whole request is counted, system prompt and tools included, and not its contents alone.
"""

from __future__ import annotations

import msgspec

from cortex.chat import ChatRequest
from cortex.errors import Fault, FaultKind
from cortex.providers.codec import Encoded, Model
from cortex.providers.faults import NOT_DECODABLE
from cortex.providers.gemini_faults import classify_error
from cortex.providers.gemini_request import chat_body, path_to, resource


class _Count(msgspec.Struct, rename="camel"):
    total_tokens: int | None = None
    error: object = None


def encode_count(request: ChatRequest, model: Model) -> Encoded:
    """Raises Fault(UNSUPPORTED or BAD_REQUEST), as `encode_chat` does."""
    body, dropped = chat_body(request, model)
    asked = {"generateContentRequest": {"model": resource(model), **body}}
    return Encoded(path_to(model, "countTokens"), msgspec.json.encode(asked), dropped=dropped)


def decode_count(body: bytes) -> int:
    """Raises Fault if it is no count."""
    try:
        count = msgspec.json.decode(body, type=_Count)
    except NOT_DECODABLE as error:
        raise Fault(FaultKind.INVALID_RESPONSE, f"the upstream's answer counts no tokens: {error}") from None
    if count.error is not None:
        raise classify_error(count.error)
    if count.total_tokens is None:
        raise Fault(FaultKind.INVALID_RESPONSE, "the upstream's answer counts no tokens")
    return count.total_tokens
