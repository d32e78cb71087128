from __future__ import annotations

from typing import Any

from cortex.config.graph import routing_graph
from cortex.config.known_models import known_model
from cortex.config.schema import Config
from routing.graph import Balance, Cascade, Graph, Target


def graph(**members: Any) -> Graph:
    return routing_graph(Config.model_validate(members))


def test_nodes() -> None:
    found = graph(
        providers={"groq": {"type": "groq", "keys": "a"}},
        models={
            "chat": {"cascade": ["fast", "groq"]},
            "fast": {"balance": {"strategy": "weighted", "targets": ["groq", {"to": "groq/m", "weight": 3}]}},
        },
        default_model="chat",
    )
    assert found.nodes == {
        "chat": Cascade((Target("fast"), Target("groq"))),
        "fast": Balance("weighted", (Target("groq", 1.0), Target("groq/m", 3.0))),
    }
    assert found.default_model == "chat"


def test_providers_keep_their_place_and_tell_why_they_are_off() -> None:
    found = graph(providers={"a": {"type": "groq", "priority": 3}, "b": {"type": "ollama", "models": ["x", "y", "x"]}})
    assert [(entry.name, entry.priority, entry.off) for entry in found.providers.values()] == [
        ("a", 3, "no key"),
        ("b", 10, None),
    ]
    assert [candidate.name for candidate in found.providers["b"].candidates] == ["b/x", "b/y"]


def test_what_the_file_leaves_out_is_filled_in_from_the_table() -> None:
    name = "openai/gpt-oss-20b"
    known = known_model("groq", name)
    assert (known.context_tokens, known.input_usd_per_mtok) == (131072, 0.075)
    found = graph(
        providers={"a": {"type": "groq", "models": [{"name": name, "context": 1000, "output_usd_per_mtok": 0}]}}
    )
    (candidate,) = found.providers["a"].candidates
    assert candidate.context_tokens == 1000
    assert candidate.max_output_tokens == known.max_output_tokens
    assert candidate.input_usd_per_mtok == known.input_usd_per_mtok
    assert candidate.output_usd_per_mtok == 0


def test_what_nobody_knows_is_unknown() -> None:
    found = graph(providers={"a": {"type": "openai_compatible", "base_url": "http://x/v1", "models": ["gpt-5.4-mini"]}})
    (candidate,) = found.providers["a"].candidates
    assert (candidate.context_tokens, candidate.max_output_tokens) == (None, None)
    assert (candidate.input_usd_per_mtok, candidate.output_usd_per_mtok) == (None, None)


def test_a_local_model_costs_nothing_and_its_window_is_the_server_s_affair() -> None:
    (candidate,) = graph(providers={"a": {"type": "ollama", "models": ["llama3"]}}).providers["a"].candidates
    assert (candidate.input_usd_per_mtok, candidate.output_usd_per_mtok) == (0, 0)
    assert candidate.context_tokens is None


def test_what_a_model_lacks_is_known_from_the_table_and_the_file_knows_better() -> None:
    names = ["openai/gpt-oss-20b", {"name": "openai/gpt-oss-120b", "vision": True, "tools": False}]
    of_groq = graph(providers={"a": {"type": "groq", "models": names}}).providers["a"].candidates
    assert [candidate.lacks for candidate in of_groq] == [{"vision"}, {"tools"}]


def test_a_model_that_nobody_knows_lacks_nothing_unless_the_file_says_so() -> None:
    models = ["m", {"name": "n", "vision": False, "json_schema": "false", "tools": "true"}]
    found = graph(providers={"a": {"type": "openai_compatible", "base_url": "http://x/v1", "models": models}})
    assert [candidate.lacks for candidate in found.providers["a"].candidates] == [set(), {"vision", "json_schema"}]


def test_prices_of_the_cache_hold_for_the_price_that_they_are_a_discount_on() -> None:
    name = "claude-haiku-5-5"
    known = known_model("anthropic", name)
    assert known.cached_input_usd_per_mtok is not None
    assert known.cache_write_usd_per_mtok is not None
    models = [name, {"name": "claude-sonnet-5", "input_usd_per_mtok": 1, "cache_write_usd_per_mtok": 2}]
    plain, own = graph(providers={"a": {"type": "anthropic", "models": models}}).providers["a"].candidates
    assert plain.cached_input_usd_per_mtok == known.cached_input_usd_per_mtok
    assert plain.cache_write_usd_per_mtok == known.cache_write_usd_per_mtok
    assert (own.cached_input_usd_per_mtok, own.cache_write_usd_per_mtok) == (None, 2)
