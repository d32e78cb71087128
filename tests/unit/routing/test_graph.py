from __future__ import annotations

import pytest

from routing.graph import Candidate
from tests.support.routing import cascade, graph, provider, targets

GROQ = provider("groq", "openai/gpt-oss-20b", "llama", priority=20)
OPENAI = provider("openai", "gpt-4o", priority=30)
OLLAMA = provider("ollama", "llama", "gpt-4o", priority=10)
GRAPH = graph({"chat": cascade("ollama", "groq"), "llama": cascade("groq")}, [GROQ, OPENAI, OLLAMA], "chat")


@pytest.mark.parametrize(
    ("asked", "kind", "names"),
    [
        ("chat", "node", ["chat"]),
        ("llama", "node", ["llama"]),  # a node before a bare model
        ("groq", "provider", ["groq"]),
        ("groq/llama", "target", ["groq/llama"]),
        ("groq/openai/gpt-oss-20b", "target", ["groq/openai/gpt-oss-20b"]),
        ("openai/gpt-oss-20b", "model", ["groq/openai/gpt-oss-20b"]),  # openai lists no such model: a bare name
        ("gpt-4o", "model", ["ollama/gpt-4o", "openai/gpt-4o"]),  # by priority
        (None, "node", ["chat"]),
    ],
)
def test_a_name_enters_the_graph_by_precedence(asked: str | None, kind: str, names: list[str]) -> None:
    entry = GRAPH.resolve(asked)
    assert entry is not None
    assert (entry.kind, [target.name for target in entry.targets]) == (kind, names)


@pytest.mark.parametrize("asked", ["", "gpt-5", "groq/", "/llama", "openai/llama", "groq/gpt-4o", "CHAT"])
def test_other_names_are_not_configured(asked: str) -> None:
    assert GRAPH.resolve(asked) is None


def test_listed_beats_bare_where_both_fit() -> None:
    both = graph(providers=[provider("openai", "gpt"), provider("groq", "openai/gpt")])
    entry = both.resolve("openai/gpt")
    assert entry is not None
    assert entry.kind == "target"
    assert both.leaf("openai/gpt") == Candidate("openai", "gpt")


def test_without_a_default_model_every_provider_is_asked_by_priority() -> None:
    entry = graph(providers=[GROQ, OPENAI, OLLAMA, provider("empty")]).resolve(None)
    assert entry is not None
    assert entry.kind == "default"
    assert entry.targets == targets("ollama", "groq", "openai")


def test_a_default_model_may_be_any_name_and_an_unknown_one_is_none() -> None:
    entry = graph(providers=[GROQ], default_model="llama").resolve(None)
    assert entry is not None
    assert entry.kind == "model"
    assert graph(providers=[GROQ], default_model="lama").resolve(None) is None


def test_names_are_all_that_resolve_and_each_once() -> None:
    names = GRAPH.names()
    assert names[:5] == ["chat", "llama", "groq", "openai", "ollama"]
    assert "openai/gpt-oss-20b" in names
    assert len(names) == len(set(names))
    assert all(GRAPH.resolve(name) is not None for name in names)


def test_leaves_and_candidates() -> None:
    assert GRAPH.leaf("groq") is GRAPH.candidate("groq", "openai/gpt-oss-20b")
    assert GRAPH.leaf("chat") is None
    assert GRAPH.candidate("groq", "gpt-4o") is None


def test_nearest_names() -> None:
    assert GRAPH.nearest("Grok")[0] == "groq"
    assert GRAPH.nearest("openai/gpt-oss-120b")[0] == "openai/gpt-oss-20b"
    assert GRAPH.nearest("zzzzzz") == ()
    assert GRAPH.nearest("groq" * 100_000) == ()
    assert len(GRAPH.nearest("gpt", limit=1)) <= 1
