"""The shapes of requests and answers, as JSON Schema. Data only.

Cortex's own answers are told member by member and closed to others; what follows OpenAI's or Anthropic's contract is
told as far as Cortex looks at it and open, because unknown members are passed on.
"""

from __future__ import annotations

from cortex.chat import Json


def _open(required: dict[str, Json], **optional: Json) -> Json:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _closed(required: dict[str, Json], **optional: Json) -> Json:
    return {**_open(required, **optional), "additionalProperties": False}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: dict[str, Json]) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_of(*values: str) -> Json:
    return {"enum": list(values)}


_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_NUMBER: Json = {"type": "number"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TIME: Json = {"type": "string", "format": "date-time"}
_ANY_OBJECT: Json = {"type": "object"}

_MESSAGES = {"type": "array", "minItems": 1, "items": _open({"role": _TEXT})}
_STATUS = _one_of("available", "cooling", "ejected", "disabled", "off")
_SUMMARY = _closed({"total": _COUNT, "available": _COUNT, "unavailable": _COUNT})
_USAGE = _open({"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT}, estimated=_FLAG)

_ATTEMPT = _closed(
    {"target": _TEXT, "key": _TEXT, "status": _or_null(_COUNT), "kind": _TEXT},
    message=_TEXT,
    start_ms=_NUMBER,
    connect_ms=_or_null(_NUMBER),
    first_token_ms=_or_null(_NUMBER),
    end_ms=_or_null(_NUMBER),
    next=_or_null(_TEXT),
    calls={**_COUNT, "description": "upstream calls of the attempt, where it took more than one"},
)

_OPENAI_MODEL = _closed({"id": _TEXT, "object": {"const": "model"}, "created": _COUNT, "owned_by": _TEXT})
_ANTHROPIC_MODEL = _closed({"type": {"const": "model"}, "id": _TEXT, "display_name": _TEXT, "created_at": _TIME})

SCHEMAS: dict[str, Json] = {
    "ChatRequest": _open({"messages": _MESSAGES}, model=_TEXT, stream=_or_null(_FLAG), max_tokens=_or_null(_COUNT)),
    "ApiChatRequest": _open(
        {"messages": _MESSAGES},
        model=_TEXT,
        provider={**_TEXT, "description": "asks this provider and no other"},
        temperature=_NUMBER,
        max_tokens=_COUNT,
        stream={**_FLAG, "default": True},
    ),
    "EmbeddingsRequest": _open(
        {"input": {"type": ["string", "array"]}},
        model=_TEXT,
        encoding_format=_one_of("float", "base64"),
        dimensions=_COUNT,
    ),
    "ChatCompletion": _open({"id": _TEXT, "choices": _list(_ANY_OBJECT)}, model=_TEXT, usage=_ANY_OBJECT),
    "ApiChatAnswer": _open(
        {
            "content": _or_null(_TEXT),
            "finish_reason": _or_null(_TEXT),
            "model": _TEXT,
            "usage": _or_null(_USAGE),
            "request_id": _TEXT,
        },
        reasoning=_TEXT,
        tool_calls=_list(_ANY_OBJECT),
    ),
    "EmbeddingList": _open({"object": {"const": "list"}, "data": _list(_ANY_OBJECT)}, model=_TEXT, usage=_ANY_OBJECT),
    "ModelList": {
        "description": "OpenAI's shape, or Anthropic's where the request carries `anthropic-version`",
        "oneOf": [
            _closed({"object": {"const": "list"}, "data": _list(_OPENAI_MODEL)}),
            _closed(
                {
                    "data": _list(_ANTHROPIC_MODEL),
                    "has_more": _FLAG,
                    "first_id": _or_null(_TEXT),
                    "last_id": _or_null(_TEXT),
                }
            ),
        ],
    },
    "Model": {"oneOf": [_OPENAI_MODEL, _ANTHROPIC_MODEL]},
    "Health": _closed(
        {
            "status": _one_of("healthy", "degraded", "unhealthy", "no_workers"),
            "timestamp": _TIME,
            "workers": _map(_STATUS),
            "summary": _SUMMARY,
        },
        classifier=_closed(
            {"embedder": _TEXT, "status": _one_of("off", "loading", "ready", "failed")},
            reason=_TEXT,
            meanwhile=_TEXT,
        ),
    ),
    "Workers": _closed(
        {
            "workers": _list(
                _closed(
                    {
                        "name": _TEXT,
                        "type": _TEXT,
                        "priority": {"type": "integer"},
                        "status": _STATUS,
                        "models": _list(_TEXT),
                        "api_keys_count": _COUNT,
                        "available_keys": _COUNT,
                        "in_flight": _COUNT,
                        "latency_ms": _or_null(_NUMBER),
                        "last_error": _or_null(_TEXT),
                    }
                )
            ),
            "summary": _SUMMARY,
        }
    ),
    "Stats": _closed(
        {
            "requests": _closed(dict.fromkeys(("total", "completed", "failed", "no_workers", "active"), _COUNT)),
            "performance": _closed(
                {"average_duration_ms": _NUMBER, "total_tokens": _COUNT, "tokens_per_second": _NUMBER}
            ),
            "keys": _map(
                _list(
                    _closed(
                        {
                            "key": {**_TEXT, "description": "provider and position, as groq#1"},
                            "status": _one_of("available", "cooling", "parked", "disabled"),
                            "used": _COUNT,
                            "errors": _COUNT,
                            "blocked_until": _or_null(_TIME),
                        }
                    )
                )
            ),
            "cache": _ref("Cache"),
            "cost": _closed({"usd": _NUMBER, "unpriced_requests": _COUNT}),
            "uptime": _closed({"seconds": _NUMBER, "formatted": _TEXT}),
            "timestamp": _TIME,
        }
    ),
    "Decisions": _closed({"decisions": _list(_ref("Decision"))}),
    "Decision": _closed(
        {
            "request_id": _TEXT,
            "time": {**_NUMBER, "description": "Unix time in seconds"},
            "dialect": _TEXT,
            "client": {**_or_null(_TEXT), "description": "the client key's name, never the key"},
            "stream": _FLAG,
            "model_asked": _or_null(_TEXT),
            "model": {**_or_null(_TEXT), "description": "provider/model that answered"},
            "upstream_model": _or_null(_TEXT),
            "route": _list(_TEXT),
            "classify": _list(
                _closed(
                    {
                        "node": _TEXT,
                        "route": {**_or_null(_TEXT), "description": "null: the default"},
                        "stage": _one_of("features", "embedding", "examples", "affinity", "abstained"),
                        "best": _list(_closed({"route": _TEXT, "p": _NUMBER})),
                        "threshold": _or_null(_NUMBER),
                        "reason": _or_null(_TEXT),
                        "took_ms": _NUMBER,
                    }
                )
            ),
            "rules": _list(_closed({"node": _TEXT, "when": _TEXT, "to": _TEXT})),
            "candidates": _list(_closed({"target": _TEXT}, skip=_TEXT, until=_NUMBER)),
            "attempts": _list(_ATTEMPT),
            "dropped": _list(_TEXT),
            "cache": _closed(
                {
                    "result": _one_of("hit", "semantic", "coalesced", "miss", "bypass"),
                    "reason": _or_null(_TEXT),
                    "key": {**_or_null(_TEXT), "description": "the digest under which the answer is remembered"},
                },
                age_s=_or_null(_NUMBER),
                saved_usd=_or_null(_NUMBER),
                similarity=_NUMBER,
            ),
            "usage": _or_null(_USAGE),
            "cost_usd": _or_null(_NUMBER),
            "finish_reason": _or_null(_TEXT),
            "outcome": _one_of("completed", "failed", "cut", "cancelled"),
            "status": _COUNT,
            "error": _or_null(_TEXT),
            "duration_ms": _NUMBER,
            "overhead_ms": _or_null(_NUMBER),
        }
    ),
    "Cache": _closed(
        {
            "enabled": _FLAG,
            "entries": _COUNT,
            "max_entries": _COUNT,
            "bytes": _COUNT,
            "max_bytes": _COUNT,
            "under_way": {**_COUNT, "description": "answers that are coming, and may be waited for"},
            **dict.fromkeys(("hits", "semantic", "coalesced", "misses", "bypassed"), _COUNT),
            **dict.fromkeys(("stored", "evicted", "expired", "too_large"), _COUNT),
            "saved": _closed({"tokens": _COUNT, "usd": _NUMBER}),
        },
        questions=_closed(
            {
                "questions": _COUNT,
                "bytes": _COUNT,
                "embedder": _one_of("off", "loading", "ready", "failed"),
            },
            reason=_TEXT,
        ),
    ),
    "Removed": _closed({"removed": _COUNT}),
    "State": _closed({"status": _TEXT}),
    "Contract": _open({"openapi": _TEXT, "paths": _ANY_OBJECT}),
    "Index": _closed({"name": _TEXT, "version": _TEXT, "endpoints": _map(_TEXT)}),
    "Error": _closed(
        {
            "error": _closed(
                {
                    "message": _TEXT,
                    "type": _TEXT,
                    "code": _TEXT,
                    "param": _or_null(_TEXT),
                    "request_id": _TEXT,
                },
                attempts=_list(_ATTEMPT),
                retry_after_s=_NUMBER,
            )
        }
    ),
}
