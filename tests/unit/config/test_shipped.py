"""What is shipped is right: cortex.yaml, the demonstration, .env.example and the JSON Schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import cortex
from cortex.config import json_schema, load
from cortex.config.graph import routing_graph
from cortex.config.schema import Config

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "cortex.yaml"
DEMO = Path(cortex.__file__).with_name("demo.yaml")
SCHEMA = ROOT / "docs" / "cortex.schema.json"
FIRST_LINE = "# yaml-language-server: $schema=docs/cortex.schema.json"
OF_OLD = {
    "OLLAMA_BASE_URL": "http://gpu:11434",
    "OLLAMA_MODEL": "qwen3",
    "GROQ_API_KEYS": "groq-a,groq-b",
    "GROQ_MODEL": "llama-3.3-70b-versatile",
    "OPENAI_API_KEYS": "openai-a",
    "OPENAI_MODEL": "gpt-6",
    "MISTRAL_API_KEYS": "mistral-a",
    "MISTRAL_MODEL": "codestral-latest",
    "API_KEY_ROTATION_STRATEGY": "least_used",
    "RATE_LIMIT_BLOCK_MINUTES": "30",
    "HEALTH_CHECK_INTERVAL": "20",
    "CORTEX_CLIENT_KEYS": "client-a",
    "CORTEX_ADMIN_KEYS": "admin-a,admin-b",
}


_VARIABLE = re.compile(r"\$\{([A-Z_]+)")


def config_of(path: Path, environ: dict[str, str]) -> Config:
    loaded = load(path, environ)
    assert loaded.problems == ()
    assert loaded.config is not None
    return loaded.config


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped file where no .env lies beside it, whatever the checkout has."""
    path = tmp_path / "cortex.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_it_is_valid_with_no_key_set(copy: Path) -> None:
    config = config_of(copy, {})
    assert config.providers["ollama"].off is None
    assert {provider.off for provider in config.providers.values() if provider.type != "ollama"} == {"no key"}
    models = {name: provider.models[0].name for name, provider in config.providers.items()}
    assert models.items() >= {
        ("ollama", "llama3"),
        ("groq", "openai/gpt-oss-20b"),
        ("openai", "gpt-5.4-mini"),
        ("mistral", "mistral-small-latest"),
    }
    assert config.default_model == "auto"
    assert list(config.models) == ["auto", "chat", "fast", "coder", "writer"]


def test_its_variables_arrive(copy: Path) -> None:
    config = config_of(copy, OF_OLD)
    groq, openai, mistral = (config.providers[name] for name in ("groq", "openai", "mistral"))
    assert config.providers["ollama"].base_url == "http://gpu:11434"
    names = ("ollama", "groq", "openai", "mistral")
    assert [config.providers[name].models[0].name for name in names] == [
        "qwen3",
        "llama-3.3-70b-versatile",
        "gpt-6",
        "codestral-latest",
    ]
    assert [key.value for key in groq.keys] == ["groq-a", "groq-b"]
    assert [key.value for key in (*openai.keys, *mistral.keys)] == ["openai-a", "mistral-a"]
    assert {(provider.key_rotation, provider.key_cooldown) for provider in (groq, openai, mistral)} == {
        ("least_used", 1800.0)
    }
    assert config.health.interval == 20.0
    assert config.server.client_keys == ("client-a",)
    assert config.server.admin_keys == ("admin-a", "admin-b")


def test_its_nodes_target_providers_and_nodes_so_that_model_variables_work(copy: Path) -> None:
    graph = routing_graph(config_of(copy, {}))
    targets = {target.name for node in graph.nodes.values() for target in node.targets}
    assert targets <= {*graph.nodes, *graph.providers}


def test_the_limits_in_it_are_the_defaults(copy: Path) -> None:
    config, default = config_of(copy, {}), Config.model_validate({})
    for section in ("server", "embedder", "timeouts", "retries", "health", "telemetry"):
        assert getattr(config, section) == getattr(default, section)


def test_the_examples_in_its_comments_are_valid(copy: Path) -> None:
    text = re.sub(r"(?m)^  # (vllm:|openrouter:|entry:.*|  .*)$", r"  \1", copy.read_text(encoding="utf-8"))
    copy.write_text(text, encoding="utf-8")
    config = config_of(copy, {"OPENROUTER_KEY_A": "a", "OPENROUTER_KEY_B": "b"})
    assert config.providers["vllm"].models[0].context == 131072
    assert [key.account for key in config.providers["openrouter"].keys] == ["team", "team"]
    assert [case.to for case in config.models["entry"].rules or ()] == ["gemini", "fast", "cohere", "auto"]
    Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


def test_the_example_of_an_env_file_has_its_variables_and_changes_nothing(copy: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)^(?:# )?([A-Z_]+)=", example))
    text = SHIPPED.read_text(encoding="utf-8")
    active = re.sub(r"(?m)^ *#.*$", "", text)
    assert set(OF_OLD) <= set(_VARIABLE.findall(active)) <= named <= set(_VARIABLE.findall(text))
    without = config_of(copy, {})
    copy.with_name(".env").write_text(example, encoding="utf-8")
    assert config_of(copy, {}) == without
    copy.with_name(".env").write_text(re.sub(r"(?m)^# ([A-Z_]+=)", r"\1", example), encoding="utf-8")
    assert config_of(copy, {}) == without


def test_the_demonstration_needs_no_key_and_no_network() -> None:
    config = config_of(DEMO, {})
    assert {provider.type for provider in config.providers.values()} == {"simulated"}
    assert [provider.off for provider in config.providers.values()] == [None, None, None]
    assert list(config.models) == ["auto", "chat", "fast", "coder"]
    assert len(config.providers["busy"].keys) == 2
    steady = config.providers["steady"].simulate
    assert steady is not None
    assert steady.fail_rate == 0


def test_the_schema_in_docs_is_the_schema() -> None:
    """If this fails: `cortex schema > docs/cortex.schema.json`."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema()
    assert SHIPPED.read_text(encoding="utf-8").splitlines()[0] == FIRST_LINE


def schema_errors(tree: Any) -> list[str]:
    return [error.json_path for error in Draft202012Validator(json_schema()).iter_errors(tree)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", [SHIPPED, DEMO], ids=lambda path: path.name)
def test_the_schema_takes_what_is_shipped(path: Path) -> None:
    assert schema_errors(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


EVERY_MEMBER: dict[str, Any] = {
    "server": {"host": "::1", "port": "${PORT}", "workers": 1, "client_keys": "a,b", "admin_keys": ["c"],
               "max_body": "1MiB", "drain": "1m"},
    "providers": {
        "a": {"type": "openai_compatible", "base_url": "http://x/v1", "priority": 1, "key_rotation": "random",
              "keys": ["k", {"value": "v", "account": "t"}], "key_cooldown": "${X:-15}m", "timeouts": {"connect": "1s"},
              "models": ["m", {"name": "n", "context": 1, "max_output": "2", "input_usd_per_mtok": 0.5,
                               "output_usd_per_mtok": 0, "cached_input_usd_per_mtok": 0.05,
                               "cache_write_usd_per_mtok": "1", "tools": True, "vision": "false",
                               "json_schema": False}]},
        "b": {"type": "simulated", "simulate": {"text": "t", "delay": "0s", "tokens_per_second": 1, "fail_rate": "5%",
                                                "faults": ["cut"], "seed": 3}},
    },
    "models": {
        "c": {"cascade": ["a", "b"]},
        "d": {"balance": {"strategy": "weighted", "targets": ["a", {"to": "b", "weight": 2}]}},
    },
    "default_model": "c",
    "timeouts": {"connect": "1s", "first_token": "1s", "response": "1s", "idle": "1s", "total": "1s"},
    "retries": {"attempts": 1, "backoff": "1ms", "budget": 0.5},
    "health": {"interval": "1s", "eject_after": 1, "eject_for": "1s"},
    "telemetry": {"log": {"format": "json", "level": "debug"}, "content": False},
}  # fmt: skip


def test_the_schema_and_the_loader_take_every_member(tmp_path: Path) -> None:
    assert schema_errors(EVERY_MEMBER) == []
    path = tmp_path / "cortex.yaml"
    path.write_text(yaml.safe_dump(EVERY_MEMBER), encoding="utf-8")
    config_of(path, {"PORT": "1"})


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"prot": 1}, "$"),
        ({"server": {"prot": 1}}, "$.server"),
        ({"server": {"port": "abc"}}, "$.server.port"),
        ({"server": {"port": 70000}}, "$.server.port"),
        ({"server": {"drain": 5}}, "$.server.drain"),
        ({"retries": {"budget": 2}}, "$.retries.budget"),
        ({"providers": {"a/b": {"type": "ollama"}}}, "$.providers"),
        ({"providers": {"a": {"type": "groqq"}}}, "$.providers.a.type"),
        ({"providers": {"a": {"type": "openai_compatible", "models": ["m"]}}}, "$.providers.a"),
        ({"providers": {"a": {"type": "groq", "keys": 5}}}, "$.providers.a.keys"),
        ({"models": {"a": {}}}, "$.models.a"),
        ({"models": {"a": {"cascade": ["x"], "balance": {"strategy": "weighted", "targets": ["x"]}}}}, "$.models.a"),
    ],
)  # fmt: skip
def test_the_schema_refuses(wrong: dict[str, Any], where: str) -> None:
    assert schema_errors(wrong) == [where]
