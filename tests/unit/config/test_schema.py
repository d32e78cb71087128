from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from cortex.config.diagnostics import Findings
from cortex.config.later import note_later
from cortex.config.provider_types import PROVIDER_TYPES
from cortex.config.providers import ProviderConfig, SimulatedFault
from cortex.config.schema import Config, is_loopback
from cortex.config.validate import members
from cortex.providers.simulated import FAULTS


def provider(**members: Any) -> ProviderConfig:
    return ProviderConfig.model_validate(members)


def test_defaults() -> None:
    config = Config.model_validate({})
    server, timeouts = config.server, config.timeouts
    assert (server.host, server.port, server.workers) == ("127.0.0.1", 4000, 1)
    assert (server.client_keys, server.admin_keys) == ((), ())
    assert (server.max_body, server.drain) == (32 * 2**20, 600.0)
    assert (config.providers, config.models, config.default_model) == ({}, {}, None)
    assert (timeouts.connect, timeouts.first_token, timeouts.response) == (5.0, 30.0, 300.0)
    assert (timeouts.idle, timeouts.total) == (60.0, 600.0)
    assert (config.retries.attempts, config.retries.backoff, config.retries.budget) == (10, 0.025, 0.2)
    assert (config.health.interval, config.health.eject_after, config.health.eject_for) == (60.0, 5, 30.0)
    assert (config.telemetry.log.format, config.telemetry.log.level) == ("console", "info")
    assert config.telemetry.content is False


@pytest.mark.parametrize("name", PROVIDER_TYPES)
def test_a_type_s_defaults_are_valid_and_complete(name: str) -> None:
    row = PROVIDER_TYPES[name]
    found = provider(type=name)
    for member in ("base_url", "models"):
        assert bool(getattr(found, member)) == (member in row.defaults)
    assert found.priority == row.defaults["priority"]
    assert (found.simulate is not None) == (name == "simulated")
    assert found.api_version == (row.api_versions[0] if row.api_versions else None)
    assert found.off == ("no key" if row.needs_key else None)
    assert (found.key_rotation, found.key_cooldown) == ("round_robin", 900.0)


@pytest.mark.parametrize("name", ["gemini", "cohere", "anthropic"])
def test_a_type_is_there_now_or_later_and_never_both(name: str) -> None:
    findings = Findings()
    note_later({"providers": {"a": {"type": name}}}, findings)
    assert (name in PROVIDER_TYPES) == (findings.holes.paths == set())
    assert (name in PROVIDER_TYPES) == (findings.holes.paths != {("providers", "a")})


def test_what_the_file_says_stands_before_the_type_s_defaults_and_an_empty_member_does_not() -> None:
    found = provider(type="groq", base_url="http://localhost:1/v1", priority="7", models=["m"], keys="")
    assert (found.base_url, found.priority, [model.name for model in found.models]) == (
        "http://localhost:1/v1",
        7,
        ["m"],
    )
    assert provider(type="groq", base_url="", priority=None, models=None) == provider(type="groq")


def test_timeouts_are_the_provider_s_own_else_its_type_s_else_the_general_ones() -> None:
    config = Config.model_validate(
        {
            "timeouts": {"first_token": "10s", "connect": "1s"},
            "providers": {
                "groq": {"type": "groq", "timeouts": {"connect": "2s"}},
                "ollama": {"type": "ollama"},
                "impatient": {"type": "ollama", "timeouts": {"first_token": "3s"}},
            },
        }
    )
    limits = {name: config.timeouts_of(entry) for name, entry in config.providers.items()}
    assert [(limit.connect, limit.first_token) for limit in limits.values()] == [(2.0, 10.0), (1.0, 300.0), (1.0, 3.0)]
    assert {(limit.response, limit.idle, limit.total) for limit in limits.values()} == {(300.0, 60.0, 600.0)}


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("a,b", [("a", None), ("b", None)]),
        (" a , ,b, ", [("a", None), ("b", None)]),
        ("", []),
        (None, []),
        ([], []),
        (["a", "", "b,c"], [("a", None), ("b", None), ("c", None)]),
        ([{"value": "a", "account": "x"}, "b"], [("a", "x"), ("b", None)]),
        ([{"value": "a,b", "account": "x"}, {"value": "", "account": "y"}], [("a", "x"), ("b", "x")]),
        ([{"value": "a", "account": ""}], [("a", None)]),
        (["a", {"value": "a", "account": "x"}, "a"], [("a", None)]),
    ],
)
def test_keys(written: object, keys: list[tuple[str, str | None]]) -> None:
    found = provider(type="groq", keys=written)
    assert [(key.value, key.account) for key in found.keys] == keys
    assert found.off == (None if keys else "no key")


@pytest.mark.parametrize(
    "written", ["two words", "a\nb", "ä", ["a\x00"], [{"value": "a\tb"}], 5, {"value": "a"}, [None]]
)
def test_no_keys(written: object) -> None:
    with pytest.raises(ValidationError):
        provider(type="groq", keys=written)


def test_only_key_lists_split_at_commas() -> None:
    config = Config.model_validate(
        {"server": {"client_keys": "a,b", "admin_keys": ["c,a", "c"]}, "default_model": "a,b"}
    )
    assert config.server.client_keys == ("a", "b")
    assert config.server.admin_keys == ("c", "a")
    assert config.default_model == "a,b"


def test_no_key_shows() -> None:
    config = Config.model_validate(
        {
            "server": {"client_keys": "canary-1", "admin_keys": ["canary-2"]},
            "providers": {"a": {"type": "groq", "keys": ["canary-3", {"value": "canary-4", "account": "team"}]}},
        }
    )
    assert "canary" not in repr(config) + str(config)
    assert "team" in repr(config)


def test_the_result_is_frozen() -> None:
    config = Config.model_validate({})
    with pytest.raises(ValidationError):
        config.server.port = 1


def test_names() -> None:
    assert provider(type="ollama", models=["a/b:c@1"]).models[0].name == "a/b:c@1"
    for name in ("", "a/b", "a b", "ä", "x" * 65):
        with pytest.raises(ValidationError):
            Config.model_validate({"models": {name: {"cascade": ["x"]}}})


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("LocalHost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("example.com", False), ("localhost.example.com", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_the_simulated_faults_are_those_that_can_be_simulated() -> None:
    assert set(get_args(SimulatedFault)) == FAULTS


@pytest.mark.parametrize(
    ("path", "some"),
    [
        ((), {"server", "providers", "models"}),
        (("server",), {"host", "client_keys"}),
        (("providers", "groq"), {"type", "keys"}),
        (("providers", "groq", "keys", 3), {"value", "account"}),
        (("providers", "groq", "simulate"), {"fail_rate"}),
        (("models", "chat", "balance", "targets", 0), {"to", "weight"}),
        (("telemetry", "log"), {"format", "level"}),
    ],
)
def test_the_keys_that_are_known_at_a_place(path: tuple[str | int, ...], some: set[str]) -> None:
    assert some <= set(members(path))


@pytest.mark.parametrize(
    "path", [("providers",), ("nothing", "here"), ("server", "port"), ("providers", "a", "models")]
)
def test_no_keys_are_known_where_no_section_is(path: tuple[str | int, ...]) -> None:
    assert members(path) == ()
