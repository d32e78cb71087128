"""What the server tells of itself, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import upstream_faults as faults
from tests.support import upstream_openai as openai
from tests.support.gateway import Gateway, cascade
from tests.support.upstream import Upstream


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(openai.speaking(["Hel", "lo"])) as upstream:
        yield upstream


def two(url: str, **sections: Any) -> Gateway:
    """Providers `a` and `b`, and `spare`, which has no key."""
    config = cascade(url, url, **sections)
    config["providers"]["spare"] = {"type": "groq", "models": ["openai/gpt-oss-20b"]}
    return Gateway(config)


async def get(gateway: Gateway, path: str, **headers: str) -> tuple[int, Any]:
    async with gateway.client.get(path, headers=headers) as response:
        return response.status, await response.json()


async def test_health_counts_the_providers_that_are_on(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        status, told = await get(gateway, "/api/health")
        assert status == 200
        assert told["status"] == "healthy"
        assert told["timestamp"].endswith("Z")
        assert told["workers"] == {"a": "available", "b": "available"}
        assert told["summary"] == {"total": 2, "available": 2, "unavailable": 0}


async def test_health_is_degraded_by_a_refused_key_and_unhealthy_without_any() -> None:
    async with Upstream(faults.INVALID_KEY) as upstream, two(upstream.url) as gateway:
        await gateway.chat({"model": "a"})
        status, told = await get(gateway, "/api/health")
        assert (status, told["status"]) == (200, "degraded")
        assert told["workers"] == {"a": "disabled", "b": "available"}
        assert told["summary"] == {"total": 2, "available": 1, "unavailable": 1}
        assert (await get(gateway, "/readyz")) == (200, {"status": "ready"})
        await gateway.chat({"model": "b"})
        status, told = await get(gateway, "/api/health")
        assert (status, told["status"]) == (503, "unhealthy")
        assert (await get(gateway, "/readyz"))[0] == 503
        assert (await get(gateway, "/livez")) == (200, {"status": "alive"})


async def test_health_knows_no_workers() -> None:
    config = {"providers": {"spare": {"type": "groq", "models": ["openai/gpt-oss-20b"]}}}
    async with Gateway(config) as gateway:
        status, told = await get(gateway, "/api/health")
        assert (status, told["status"], told["workers"]) == (503, "no_workers", {})


async def test_workers_tell_keys_models_and_the_last_error() -> None:
    async with Upstream(faults.rate_limited("60")) as upstream, two(upstream.url) as gateway:
        await gateway.chat({"model": "a"})
        status, told = await get(gateway, "/api/workers")
        assert status == 200
        workers = {worker["name"]: worker for worker in told["workers"]}
        assert workers["a"]["status"] == "cooling"
        assert (workers["a"]["api_keys_count"], workers["a"]["available_keys"]) == (1, 0)
        assert workers["a"]["last_error"] == "rate_limited"
        assert workers["a"]["models"] == ["test-model"]
        assert workers["b"]["status"] == "available"
        assert workers["b"]["in_flight"] == 0
        assert workers["spare"]["status"] == "off"
        assert "key" in workers["spare"]["last_error"]
        assert told["summary"] == {"total": 2, "available": 1, "unavailable": 1}


async def test_stats_count_and_show_keys_by_position_only(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        await gateway.chat()
        await gateway.stream()
        status, told = await get(gateway, "/api/stats")
        assert status == 200
        assert told["requests"] == {"total": 2, "completed": 2, "failed": 0, "no_workers": 0, "active": 0}
        assert told["performance"]["total_tokens"] == 22
        (key,) = told["keys"]["a"]
        assert key == {"key": "a#1", "status": "available", "used": 2, "errors": 0, "blocked_until": None}
        assert told["uptime"]["formatted"].endswith("s")


async def test_a_blocked_key_tells_until_when() -> None:
    async with Upstream(faults.rate_limited("60")) as upstream, two(upstream.url) as gateway:
        await gateway.chat({"model": "a"})
        _, told = await get(gateway, "/api/stats")
        (key,) = told["keys"]["a"]
        assert key["status"] == "cooling"
        assert told["timestamp"] < key["blocked_until"]


async def test_decisions_come_newest_first_and_one_by_one(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        ids = [(await gateway.chat())[1]["x-cortex-request-id"] for _ in range(3)]
        _, told = await get(gateway, "/api/decisions")
        assert [decision["request_id"] for decision in told["decisions"]] == ids[::-1]
        _, told = await get(gateway, "/api/decisions?limit=1")
        assert [decision["request_id"] for decision in told["decisions"]] == ids[2:]
        status, decision = await get(gateway, f"/api/decisions/{ids[0]}")
        assert (status, decision["request_id"], decision["model"]) == (200, ids[0], "a/test-model")
        status, told = await get(gateway, "/api/decisions/req_unknown")
        assert (status, told["error"]["code"]) == (404, "decision_not_found")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "", "1.5", "%D9%A3", "9" * 5000])
async def test_a_limit_that_is_none_is_refused(upstream: Upstream, limit: str) -> None:
    async with two(upstream.url) as gateway:
        status, told = await get(gateway, f"/api/decisions?limit={limit}")
        assert (status, told["error"]["param"]) == (400, "limit")


async def test_models_are_all_that_can_be_asked_for(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        _, told = await get(gateway, "/v1/models")
        owners = {model["id"]: model["owned_by"] for model in told["data"]}
        assert owners["chat"] == "cortex"
        assert owners["a"] == owners["a/test-model"] == owners["test-model"] == "a"
        assert owners["b/test-model"] == "b"
        for name in owners:
            status, model = await get(gateway, f"/v1/models/{name}")
            assert (status, model["id"], model["owned_by"]) == (200, name, owners[name])
            assert (await get(gateway, f"/v1/models/{name.replace('/', '%2F')}"))[1] == model


async def test_models_in_anthropics_shape(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        _, told = await get(gateway, "/v1/models?limit=1000", **{"anthropic-version": "2023-06-01"})
        assert told["has_more"] is False
        assert (told["first_id"], told["last_id"]) == (told["data"][0]["id"], told["data"][-1]["id"])
        first = told["data"][0]
        assert (first["type"], first["id"], first["display_name"]) == ("model", "chat", "chat")
        assert first["created_at"].endswith("Z")
        _, one = await get(gateway, "/v1/models/chat", **{"anthropic-version": "2023-06-01"})
        assert one == first


async def test_an_unknown_model_comes_with_the_nearest_names(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        status, told = await get(gateway, "/v1/models/a/test-modle")
        assert (status, told["error"]["code"], told["error"]["param"]) == (404, "model_not_found", "model")
        assert "a/test-model" in told["error"]["message"]


async def test_scopes_hold_over_http(upstream: Upstream) -> None:
    keys = {"client_keys": ["client-secret"], "admin_keys": ["admin-secret"]}
    async with two(upstream.url, server=keys) as gateway:
        expected = {
            "/livez": (200, 200, 200),
            "/openapi.json": (200, 200, 200),
            "/v1/models": (401, 200, 401),
            "/api/health": (401, 200, 200),
            "/api/workers": (401, 200, 200),
            "/api/stats": (401, 403, 200),
            "/api/decisions": (401, 403, 200),
            "/api/decisions/req_unknown": (401, 403, 404),
        }
        for path, statuses in expected.items():
            for key, status in zip((None, "client-secret", "admin-secret"), statuses, strict=True):
                headers = {} if key is None else {"Authorization": f"Bearer {key}"}
                async with gateway.client.get(path, headers=headers) as response:
                    assert response.status == status, (path, key)
                    assert ("WWW-Authenticate" in response.headers) == (status == 401)
        status, headers, _ = await gateway.chat(headers={"x-api-key": "client-secret"})
        assert status == 200
        record = gateway.app.telemetry.decisions.get(headers["x-cortex-request-id"])
        assert record is not None
        assert record.client == "client#1"
        assert (await gateway.chat(headers={"x-api-key": "wrong"}))[0] == 401
        assert gateway.app.telemetry.stats.total == 1, "who is not let in leaves no record"


async def test_the_root_points_to_what_exists(upstream: Upstream) -> None:
    async with two(upstream.url) as gateway:
        _, told = await get(gateway, "/")
        _, contract = await get(gateway, told["endpoints"]["contract"])
        assert set(told["endpoints"].values()) <= set(contract["paths"])
