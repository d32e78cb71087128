"""The OpenAPI document tells of every route and of nothing else, and answers are what it says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cortex.chat import Json
from cortex.server.auth import Scope
from cortex.server.openapi import document
from cortex.server.route import Route
from cortex.server.routes import ROUTES
from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support.choosing import CODE, UNCLEAR, by_task, choosing, conversation
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Upstream

DOCUMENT = document(ROUTES)
OPENING = {"messages": [{"role": "user", "content": "hi"}]}


def test_every_route_is_told_and_nothing_else() -> None:
    told = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert told == {(route.method, route.path) for route in ROUTES}


def test_a_route_without_a_shape_is_an_error() -> None:
    with pytest.raises(KeyError):
        document([*ROUTES, Route("GET", "/new", Scope.OPEN, ROUTES[0].handler, "")])


def test_references_lead_somewhere_and_every_schema_is_used() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    used = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    assert used == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_operations_are_named_once_and_guarded_by_scope() -> None:
    operations = [DOCUMENT["paths"][route.path][route.method.lower()] for route in ROUTES]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for route, operation in zip(ROUTES, operations, strict=True):
        assert (operation["security"] == []) == (route.scope is Scope.OPEN)
        in_path = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
        assert in_path == ([route.path.partition("{")[2].rstrip("}")] if "{" in route.path else [])


def test_requests_with_a_body_may_carry_headers_of_our_own() -> None:
    ours = {"x-cortex-timeout", "x-cortex-session", "traceparent"}
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        told = {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}
        assert ours <= told if "requestBody" in operation else not told


def references(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Two providers: what asks for `a` is answered, what asks for `b` runs into its rate limit."""
    async with (
        Upstream(openai.speaking(["Hel", "lo"])) as good,
        Upstream(faults.rate_limited("60")) as limited,
        Gateway(cascade(good.url, limited.url)) as gateway,
    ):
        yield gateway


async def checked(gateway: Gateway, method: str, url: str, path: str | None = None, **options: Any) -> Json:
    """One real answer, valid under the schema that the document gives for its path, status and media type."""
    async with gateway.client.request(method, url, **options) as response:
        body = await response.read()
        operation = DOCUMENT["paths"][path or url.partition("?")[0]][method.lower()]
        responses = operation["responses"]
        content = responses.get(str(response.status), responses["default"])["content"]
        schema = content[response.content_type]["schema"]
    value = json.loads(body) if response.content_type == "application/json" else body.decode()
    resolvable = {**schema, "components": DOCUMENT["components"]}
    Draft202012Validator(resolvable, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
    return value


async def test_answers_are_as_the_document_says(gateway: Gateway) -> None:
    for name in ("a", "b"):
        await checked(gateway, "POST", "/v1/chat/completions", json=OPENING | {"model": name})
        await checked(gateway, "POST", "/v1/chat/completions", json=OPENING | {"model": name, "stream": True})
        await checked(gateway, "POST", "/api/chat", json=OPENING | {"model": name, "stream": False})
        await checked(gateway, "POST", "/api/chat", json=OPENING | {"model": name})
    await gateway.settled()
    for route in ROUTES:
        if route.method == "GET" and "{" not in route.path:
            await checked(gateway, "GET", route.path)
    anthropic = {"anthropic-version": "2023-06-01"}
    await checked(gateway, "GET", "/v1/models", headers=anthropic)
    await checked(gateway, "GET", "/v1/models/a/test-model", "/v1/models/{id}")
    await checked(gateway, "GET", "/v1/models/a", "/v1/models/{id}", headers=anthropic)
    told = await checked(gateway, "GET", "/api/decisions?limit=100")
    assert {decision["outcome"] for decision in told["decisions"]} == {"completed", "failed"}
    one = told["decisions"][0]["request_id"]
    assert await checked(gateway, "GET", f"/api/decisions/{one}", "/api/decisions/{request_id}") == told["decisions"][0]


async def test_embeddings_are_as_the_document_says() -> None:
    async with Upstream(openai.embeddings([[1.0]])) as upstream, Gateway(cascade(upstream.url)) as gateway:
        await checked(gateway, "POST", "/v1/embeddings", json={"input": "hi"})


async def test_what_nodes_that_choose_tell_is_as_the_document_says() -> None:
    models = {
        "tiers": {"rules": [{"when": {"tools": True}, "to": "up/m0"}, {"to": "auto"}]},
        "auto": by_task(),
    }
    async with Upstream(openai.speaking(["Hi"])) as upstream, Gateway(choosing(upstream.url, models)) as gateway:
        for prompt, stage in ((CODE, "features"), (UNCLEAR, "affinity"), ("", "abstained")):
            body = {"model": "tiers", "messages": conversation(CODE, prompt) if prompt else conversation("")}
            await checked(gateway, "POST", "/v1/chat/completions", json=body)
            await gateway.settled()
            (decision,) = (await checked(gateway, "GET", "/api/decisions?limit=1"))["decisions"]
            assert [each["stage"] for each in decision["classify"]] == [stage]
            assert [each["to"] for each in decision["rules"]] == ["auto"]
        health = await checked(gateway, "GET", "/api/health")
        assert health["classifier"] == {"embedder": "none", "status": "off"}


async def test_errors_are_as_the_document_says(gateway: Gateway) -> None:
    await checked(gateway, "POST", "/v1/chat/completions", json={})
    await checked(gateway, "POST", "/api/chat", json=[])
    await checked(gateway, "POST", "/v1/embeddings", data="x", headers={"content-type": "text/plain"})
    await checked(gateway, "GET", "/v1/models/nobody", "/v1/models/{id}")
    await checked(gateway, "GET", "/api/decisions?limit=x")
    await checked(gateway, "GET", "/api/stats", headers={"X-Forwarded-For": "192.0.2.1"})
    gateway.app.draining = True
    await checked(gateway, "GET", "/readyz")


async def test_the_document_is_served(gateway: Gateway) -> None:
    assert await checked(gateway, "GET", "/openapi.json") == json.loads(json.dumps(DOCUMENT))
