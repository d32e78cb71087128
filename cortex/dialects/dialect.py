"""The interface of a client dialect, and what every dialect says alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from cortex.chat import ChatRequest, Event, Json
from cortex.errors import ClientError


class Provenance(msgspec.Struct, frozen=True):
    """Where an answer comes from, for dialects that tell it."""

    request_id: str
    model: str  # provider/model, the leaf
    route: tuple[str, ...]  # the nodes walked
    attempts: Callable[[], list[dict[str, Json]]]  # so far
    prompt_tokens: int  # an estimate, for upstreams that tell no usage
    created: int = 0  # Unix time in seconds, for upstreams that tell none


class StreamRenderer(Protocol):
    """The events of one streamed answer → client frames."""

    def render(self, events: Sequence[Event]) -> bytes:
        """Whole frames; b"" if these events say nothing to the client. Never called with `Broken`."""


class Dialect(Protocol):
    """How one kind of client speaks. Stateless."""

    name: str  # equals `Encoded.forwards` of calls whose answers are this dialect's
    keepalive: bytes  # a frame that every client of the dialect ignores

    def parse(self, body: bytes) -> ChatRequest:
        """Raises Fault(BAD_REQUEST), with the member at fault as its `param`."""

    def form(self, request: ChatRequest) -> object:
        """Requests of the same form get the same body for the same answer. None: each body is one request's own."""

    def stream_renderer(self, request: ChatRequest, provenance: Provenance) -> StreamRenderer:
        """For an answer that is streamed, event by event."""

    def render_answer(self, request: ChatRequest, events: Sequence[Event], provenance: Provenance) -> bytes:
        """One JSON answer of the events of a whole answer."""

    def render_error(self, error: ClientError, request_id: str) -> bytes:
        """A JSON body."""

    def render_stream_error(self, error: ClientError, request_id: str) -> bytes:
        """The frame that ends a stream which cannot be completed: no end marker follows."""


def error_object(error: ClientError, request_id: str) -> dict[str, Json]:
    """OpenAI's error object, and what Cortex adds: the request's id, the attempts, the true wait in seconds."""
    told: dict[str, Json] = {
        "message": error.message,
        "type": error.type,
        "code": error.code,
        "param": error.param,
        "request_id": request_id,
    }
    if error.attempts:
        told["attempts"] = error.attempts
    wait_s = error.retry_after_s if error.wait_s is None else error.wait_s
    if wait_s is not None:
        told["retry_after_s"] = wait_s
    return {"error": told}


def made_up_call_id(request_id: str, choice: int, index: int) -> str:
    """The id of a tool call whose upstream gives none: the same however often the answer is rendered."""
    return f"call_{request_id}_{choice}_{index}"
