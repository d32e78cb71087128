"""The contract as an OpenAPI 3.1 document: made from the route table and the shapes of `openapi_shapes`.

A route without a row in `_SHAPES` raises KeyError: nothing is served that the document does not tell of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cortex import __version__
from cortex.chat import Json
from cortex.server.auth import Scope
from cortex.server.openapi_shapes import SCHEMAS
from cortex.server.route import Route


@dataclass(frozen=True, slots=True)
class _Shape:
    """What goes in and out of a route: names in `SCHEMAS`."""

    answers: str
    asks: str | None = None
    streams: bool = False
    unavailable: bool = False  # 503 has the shape of 200


_SHAPES = {
    "/api/chat": _Shape("ApiChatAnswer", asks="ApiChatRequest", streams=True),
    "/v1/chat/completions": _Shape("ChatCompletion", asks="ChatRequest", streams=True),
    "/v1/embeddings": _Shape("EmbeddingList", asks="EmbeddingsRequest"),
    "/v1/models": _Shape("ModelList"),
    "/v1/models/{id}": _Shape("Model"),
    "/api/health": _Shape("Health", unavailable=True),
    "/api/workers": _Shape("Workers"),
    "/api/stats": _Shape("Stats"),
    "/api/decisions": _Shape("Decisions"),
    "/api/decisions/{request_id}": _Shape("Decision"),
    "/api/cache": _Shape("Cache"),
    "DELETE /api/cache": _Shape("Removed"),
    "/livez": _Shape("State"),
    "/readyz": _Shape("State", unavailable=True),
    "/openapi.json": _Shape("Contract"),
    "/": _Shape("Index"),
}

_QUERY: dict[str, list[Json]] = {
    "DELETE /api/cache": [
        {"name": name, "in": "query", "description": description, "schema": {"type": "string"}}
        for name, description in (
            ("model", "answers to requests for this model, or by this provider/model"),
            ("key", "the answer of this digest, as `x-cortex-cache-key` told it"),
        )
    ],
    "/api/decisions": [
        {
            "name": "limit",
            "in": "query",
            "description": "how many, the newest first",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
        }
    ],
}

_REQUEST_HEADERS = [
    {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
    for name, description in (
        ("x-cortex-timeout", "the request's deadline if it is nearer than the configured one, as 250ms, 30s or 15m"),
        ("x-cortex-session", "a conversation's name: `classify` nodes keep what comes under it with its route"),
        ("x-cortex-cache", "no-cache, no-store, only-if-cached, separated by commas"),
        ("x-cortex-cache-ttl", "how long the answer may be remembered, as 250ms, 30s or 15m; 0s: not at all"),
        ("traceparent", "W3C trace context, handed on to the provider"),
    )
]

# Any of them; none at all where no keys are configured.
_SECURITY: list[dict[str, Json]] = [{"bearer": []}, {"x-api-key": []}, {"api-key": []}, {}]
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
}


def document(routes: Iterable[Route]) -> dict[str, Json]:
    """The whole document, as JSON values."""
    paths: dict[str, dict[str, Json]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cortex",
            "version": __version__,
            "description": "A routing proxy for language models: one address, many providers, failover between them.",
        },
        "paths": paths,
        "components": {"securitySchemes": _SECURITY_SCHEMES, "schemas": SCHEMAS},
    }


def _operation(route: Route) -> dict[str, Json]:
    shape = _SHAPES.get(f"{route.method} {route.path}") or _SHAPES[route.path]
    operation: dict[str, Json] = {
        "summary": route.summary,
        "operationId": route.handler.__name__,
        "security": [] if route.scope is Scope.OPEN else _SECURITY,
        "responses": _responses(shape),
    }
    if parameters := _parameters(route, shape):
        operation["parameters"] = parameters
    if route.scope in (Scope.ADMIN, Scope.STATUS):
        operation["description"] = _WHO[route.scope]
    if shape.asks is not None:
        operation["requestBody"] = {"required": True, "content": _json(shape.asks)}
    return operation


_WHO = {
    Scope.ADMIN: "Needs an admin key; where none is configured, a caller on the same machine.",
    Scope.STATUS: "Needs a client or an admin key, where client keys are configured.",
}


def _parameters(route: Route, shape: _Shape) -> list[Json]:
    _, variable, name = route.path.partition("{")
    in_path = [
        {"name": name.removesuffix("}"), "in": "path", "required": True, "schema": {"type": "string"}}
        for _ in range(bool(variable))
    ]
    return in_path + _query(route) + (_REQUEST_HEADERS if shape.asks else [])


def _query(route: Route) -> list[Json]:
    return _QUERY.get(f"{route.method} {route.path}", _QUERY.get(route.path, []) if route.method == "GET" else [])


def _responses(shape: _Shape) -> dict[str, Json]:
    content = _json(shape.answers)
    if shape.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    responses: dict[str, Json] = {
        "200": {"description": "the answer", "content": content},
        "default": {"description": "an error", "content": _json("Error")},
    }
    if shape.unavailable:
        responses["503"] = {"description": "not able to serve", "content": _json(shape.answers)}
    return responses


def _json(schema: str) -> dict[str, Json]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
