"""How a provider's status follows from its keys and its candidates' health. Virtual clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex.build import build
from cortex.config.load import load
from cortex.runtime import Runtime
from cortex.server.status import ProviderView, Summary, summarise, view
from cortex.telemetry.log import Log
from cortex.upstream.transport import HttpTransport
from routing.policy import KeyEffect

NOW = 1000.0
CONFIG = """
providers:
  late: {type: groq, priority: 30, keys: "k-three,k-four", models: [x, y]}
  first: {type: groq, priority: 10, keys: "k-one", models: [x, y]}
  local: {type: ollama, priority: 20, models: [z]}
  spare: {type: openai, priority: 40, models: [w]}
health: {eject_after: 1, eject_for: 30s}
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    path = tmp_path / "cortex.yaml"
    path.write_text(CONFIG)
    return build(load(path, {}), None, HttpTransport(), Log())


def seen(runtime: Runtime, name: str, now: float = NOW) -> ProviderView:
    return next(each for each in view(runtime, now) if each.provider.name == name)


def block(runtime: Runtime, name: str, slot: int, effect: KeyEffect, **options: object) -> None:
    options = {"model": "x", "cause": "rate_limited", **options}
    runtime.state.pools[name].apply(slot, effect, NOW, **options)  # type: ignore[arg-type]


def test_providers_come_by_priority_each_with_its_keys(runtime: Runtime) -> None:
    views = view(runtime, NOW)
    assert [each.provider.name for each in views] == ["first", "local", "late", "spare"]
    assert [len(each.keys) for each in views] == [1, 0, 2, 0]
    assert [each.status for each in views] == ["available", "available", "available", "off"]
    assert all(each.latency_s is None and each.in_flight == 0 for each in views)


def test_one_free_key_is_enough(runtime: Runtime) -> None:
    block(runtime, "late", 0, KeyEffect.COOL)
    assert seen(runtime, "late").status == "available"
    block(runtime, "late", 1, KeyEffect.PARK)
    late = seen(runtime, "late")
    assert (late.status, late.reason) == ("cooling", "rate_limited")
    assert seen(runtime, "late", NOW + 901).status == "available"


def test_one_model_that_a_key_is_free_for_is_enough(runtime: Runtime) -> None:
    block(runtime, "first", 0, KeyEffect.COOL, model_scoped=True)
    assert seen(runtime, "first").status == "available"
    block(runtime, "first", 0, KeyEffect.COOL, model_scoped=True, model="y")
    assert seen(runtime, "first").status == "cooling"


def test_disabled_means_every_key(runtime: Runtime) -> None:
    block(runtime, "late", 0, KeyEffect.DISABLE)
    assert seen(runtime, "late").status == "available"
    block(runtime, "late", 1, KeyEffect.COOL)
    assert seen(runtime, "late").status == "cooling"
    block(runtime, "late", 1, KeyEffect.DISABLE)
    assert seen(runtime, "late", NOW + 1e6).status == "disabled"


def test_ejected_means_every_candidate_that_a_key_is_free_for(runtime: Runtime) -> None:
    health = runtime.state.health
    health.failed("first/x", NOW, probe=False, cause="timeout")
    assert seen(runtime, "first").status == "available"
    assert seen(runtime, "first").reason == "timeout"
    block(runtime, "first", 0, KeyEffect.COOL, model="y", model_scoped=True)
    assert seen(runtime, "first").status == "ejected"
    assert seen(runtime, "first", NOW + 31).status == "available", "its next call is the probe"


def test_latency_and_load_are_shown(runtime: Runtime) -> None:
    load = runtime.state.load
    load.begin("first/y")
    assert seen(runtime, "first").in_flight == 1
    load.measured("first/y", 0.8, NOW, stream=False)
    assert seen(runtime, "first").latency_s == 0.8
    load.measured("first/y", 0.2, NOW, stream=True)
    assert seen(runtime, "first").latency_s == 0.2


@pytest.mark.parametrize(
    ("total", "available", "health"),
    [(0, 0, "no_workers"), (2, 0, "unhealthy"), (2, 1, "degraded"), (2, 2, "healthy")],
)
def test_the_summary_in_a_word(total: int, available: int, health: str) -> None:
    summary = Summary(total, available)
    assert summary.health == health
    assert summary.unavailable == total - available


def test_what_is_off_does_not_count(runtime: Runtime) -> None:
    assert summarise(view(runtime, NOW)) == Summary(3, 3)
    block(runtime, "first", 0, KeyEffect.DISABLE)
    assert summarise(view(runtime, NOW)) == Summary(3, 2)
