"""Canonical requests for codec tests, as a dialect would make them of a client's body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from cortex.chat import Broken, ChatRequest, Delta, Event
from cortex.embeddings import EmbeddingsRequest
from cortex.errors import Fault, FaultKind
from cortex.providers import CODECS, codec_for
from cortex.providers.codec import Codec, Encoded

T = TypeVar("T")
GOLDEN = Path(__file__).parents[2] / "golden" / "providers"

# Folder → type of provider, path and model, where one type speaks in more than one way.
_OTHER_WIRES = {"openai_responses": ("openai", "/responses", "o3-pro")}
WIRES = sorted({*CODECS, *_OTHER_WIRES})


def golden_codec(folder: str) -> Codec:
    """The codec that a golden folder is of: the folder bears its name, or one that `_OTHER_WIRES` has."""
    return codec_for(_OTHER_WIRES[folder][0] if folder in _OTHER_WIRES else folder)


def golden_call(folder: str) -> Encoded:
    """The call that the answers of a golden folder answer."""
    return Encoded(_OTHER_WIRES[folder][1] if folder in _OTHER_WIRES else "/")


def golden_model(folder: str) -> str:
    """The name of a model that is asked in the way of the folder."""
    return _OTHER_WIRES[folder][2] if folder in _OTHER_WIRES else "the-model"


def chat_request(body: bytes) -> ChatRequest:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    decoded = msgspec.json.decode(body)
    return ChatRequest(
        members,
        model=decoded.get("model"),
        stream=decoded.get("stream") is True,
        include_usage=(decoded.get("stream_options") or {}).get("include_usage") is True,
    )


def embeddings_request(body: bytes) -> EmbeddingsRequest:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    decoded = msgspec.json.decode(body)
    return EmbeddingsRequest(members, decoded.get("model"), decoded.get("encoding_format") == "base64")


def outcome(do: Callable[[], T]) -> T | Fault:
    """What this returns, or the fault that it raises."""
    try:
        return do()
    except Fault as fault:
        return fault


def comparable(events: list[Event]) -> list[Event | FaultKind]:
    """The events with each `Broken` as its fault's kind: faults are never equal."""
    return [event.fault.kind if isinstance(event, Broken) else event for event in events]


def as_json(event: Event) -> dict[str, object]:
    """An event with its type's name and without what is at its default; a fault by its kind."""
    if isinstance(event, Broken):
        return {"type": "Broken", "kind": event.fault.kind.value}
    defaults = {f.name: f.default for f in msgspec.structs.fields(event)}
    told = {name: value for name, value in msgspec.structs.asdict(event).items() if value != defaults[name]}
    if isinstance(event, Delta) and event.tool_calls:
        told["tool_calls"] = [
            {name: value for name, value in msgspec.structs.asdict(call).items() if value not in ("", None)}
            for call in event.tool_calls
        ]
    if isinstance(event, Delta) and event.annotations:
        told["annotations"] = list(event.annotations)
    return {"type": type(event).__name__, **told}
