"""Everything that is served, in one table. /openapi.json is generated from it."""

from __future__ import annotations

from functools import cache

from cortex.chat import Json
from cortex.server import cache as response_cache
from cortex.server import chat, info, models
from cortex.server.auth import Scope
from cortex.server.incoming import Incoming
from cortex.server.openapi import document
from cortex.server.route import Route


async def contract(incoming: Incoming) -> None:
    await incoming.send_json(_contract())


@cache
def _contract() -> dict[str, Json]:
    return document(ROUTES)


ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "/api/chat", Scope.CLIENT, chat.api_chat, "Chat in the simplest form: a stream unless told otherwise"
    ),
    Route("POST", "/v1/chat/completions", Scope.CLIENT, chat.chat_completions, "OpenAI's chat completions"),
    Route("POST", "/v1/embeddings", Scope.CLIENT, chat.embeddings, "OpenAI's embeddings"),
    Route("GET", "/v1/models", Scope.CLIENT, models.models, "All that may be asked for as a model"),
    Route("GET", "/v1/models/{id}", Scope.CLIENT, models.model, "One of them"),
    Route("GET", "/api/health", Scope.STATUS, info.health, "Which providers are able to serve; 503 if none is"),
    Route("GET", "/api/workers", Scope.STATUS, info.workers, "The providers, one by one"),
    Route("GET", "/api/stats", Scope.ADMIN, info.stats, "Counters since the start, and the state of every key"),
    Route("GET", "/api/decisions", Scope.ADMIN, info.decisions, "How the newest requests were routed"),
    Route("GET", "/api/decisions/{request_id}", Scope.ADMIN, info.decision, "How one request was routed"),
    Route("GET", "/api/cache", Scope.ADMIN, response_cache.cache, "How full the response cache is, and what it saved"),
    Route("DELETE", "/api/cache", Scope.ADMIN, response_cache.clear_cache, "Forget answers: all, a model's, or one"),
    Route("GET", "/livez", Scope.OPEN, info.livez, "Whether the process is up"),
    Route("GET", "/readyz", Scope.OPEN, info.readyz, "Whether it is able to serve; 503 if not"),
    Route("GET", "/openapi.json", Scope.OPEN, contract, "This document"),
    Route("GET", "/", Scope.OPEN, info.index, "Where to go from here"),
)
