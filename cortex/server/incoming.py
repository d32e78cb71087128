"""One request as the handlers see it: who asks, on which runtime, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from cortex.chat import Json
from cortex.dialects.dialect import Dialect
from cortex.errors import ClientError
from cortex.refusal import error_headers
from cortex.runtime import Runtime
from cortex.server.body import BodyShare
from cortex.server.sink import ResponseSink

if TYPE_CHECKING:
    from cortex.app import App

JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Incoming:
    app: App
    runtime: Runtime  # taken once: the request finishes on it
    request: web.BaseRequest
    request_id: str
    started: float  # monotonic seconds
    sink: ResponseSink
    share: BodyShare  # what the request's body may hold
    body_idle_s: float
    speaks: Dialect  # how the client is told of errors
    client: str | None = None  # the name of the caller's key
    tail: str = ""  # the path's variable rest, decoded: `/v1/models/{id}` leaves the id

    async def send_json(self, value: Json, status: int = 200) -> None:
        """Raises ClientGone."""
        await self.sink.send(status, JSON_HEADERS, msgspec.json.encode(value))

    async def refuse(self, error: ClientError, headers: Mapping[str, str] | None = None) -> None:
        """Tell the client that it gets no answer, or no more of it. Raises ClientGone."""
        sink = self.sink
        if sink.streaming:
            await sink.end(self.speaks.render_stream_error(error, self.request_id))
        elif not sink.started:
            # What is left of the body would have to be read before the connection serves another request.
            sink.close_after |= not self.request.content.is_eof()
            told = {**JSON_HEADERS, **error_headers(error), **(headers or {})}
            await sink.send(error.status, told, self.speaks.render_error(error, self.request_id))
