"""The handlers that answer with a model: parse, hand to the attempt loop, settle one record.

All of them read the same way; they differ in the dialect alone.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from cortex import dispatch
from cortex.config.units import read_duration
from cortex.dialects import openai_embeddings
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.dialect import Dialect
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import ClientError, Fault
from cortex.operation import Chat, Embed, Operation
from cortex.refusal import request_error
from cortex.server.body import read_body
from cortex.server.errors import INTERNAL_ERROR, Refused, bad_value
from cortex.server.incoming import Incoming
from cortex.sink import ClientGone
from cortex.telemetry.record import RequestRecord
from routing.demand import Demand

Parse: TypeAlias = Callable[[bytes], Operation]

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_OPENAI = OpenAIDialect()
_API_CHAT = ApiChatDialect()


def chat_completions(incoming: Incoming) -> Awaitable[None]:
    return _serve(incoming, _OPENAI.name, _openai_chat)


def api_chat(incoming: Incoming) -> Awaitable[None]:
    incoming.speaks = _API_CHAT
    return _serve(incoming, _API_CHAT.name, _simple_chat)


def embeddings(incoming: Incoming) -> Awaitable[None]:
    return _serve(incoming, "openai_embeddings", _embed)


async def _serve(incoming: Incoming, dialect: str, parse: Parse) -> None:
    """One request, settled exactly once. Raises Refused, ClientGone, CancelledError; a bug's exception passes on."""
    telemetry, headers = incoming.app.telemetry, incoming.request.headers
    record = RequestRecord(incoming.request_id, time.time(), incoming.started, dialect, client=incoming.client)
    telemetry.begin()
    try:
        record.traceparent = _traceparent(headers.get("traceparent"))
        deadline = _deadline(incoming, headers.get("x-cortex-timeout"))
        body = await read_body(incoming.request, incoming.share, idle_s=incoming.body_idle_s, deadline=deadline)
        operation: Operation | None = incoming.runtime.caching.repeats.get(dialect, body)
        if operation is None:
            try:
                operation = parse(body)
            except Fault as fault:
                raise Refused(request_error(fault)) from None
        record.stream, record.model_asked = operation.stream, operation.model
        await dispatch.answer(
            incoming.runtime,
            operation,
            incoming.sink,
            record,
            deadline=deadline,
            headers=headers,
            log=telemetry.log,
        )
    except Refused as refused:
        _failed(record, refused.error)
        raise
    except (asyncio.CancelledError, ClientGone):
        record.gone()
        raise
    except Exception:
        _failed(record, INTERNAL_ERROR)
        if incoming.sink.started:
            record.outcome = "cut"
        raise
    finally:
        telemetry.settle(record, time.monotonic())


def _openai_chat(body: bytes) -> Operation:
    return _chat(body, _OPENAI)


def _simple_chat(body: bytes) -> Operation:
    return _chat(body, _API_CHAT)


def _chat(body: bytes, speaks: Dialect) -> Operation:
    request = speaks.parse(body)
    demand = Demand(request.prompt_tokens(), request.stream, request.output_tokens, request.needs())
    return Chat(request, speaks, demand, body)


def _embed(body: bytes) -> Operation:
    request = openai_embeddings.parse(body)
    return Embed(request, Demand(request.prompt_tokens, stream=False), body)


def _deadline(incoming: Incoming, asked: str | None) -> float:
    """Monotonic seconds. Raises Refused (400)."""
    limit_s = incoming.runtime.config.timeouts.total
    if asked is not None:
        try:
            limit_s = min(limit_s, read_duration(asked))
        except ValueError:
            message = "x-cortex-timeout is not a duration; write it as 250ms, 30s, 15m or 1h"
            raise bad_value(message, "x-cortex-timeout") from None
    return incoming.started + limit_s


def _traceparent(value: str | None) -> str | None:
    """The W3C trace context's header, if it is one."""
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None


def _failed(record: RequestRecord, error: ClientError) -> None:
    record.outcome, record.status, record.error = "failed", error.status, error.code
