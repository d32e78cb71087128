"""Explaining a prompt's way: what routing would do, told; nothing called."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import cast

import pytest

from cortex.chat import ChatRequest
from cortex.errors import Fault, FaultKind
from cortex.explain import ORDER_OF, Explanation, explain
from cortex.runtime import Runtime
from routing.graph import Balance, Candidate, Cascade, Graph, ProviderEntry, Target
from routing.health import Health
from routing.keys import KeyPool, KeySlot
from routing.state import RoutingState
from routing.strategies import STRATEGIES

NOW = 1000.0
GRAPH = Graph(
    nodes={
        "chat": Cascade((Target("small"), Target("fast"), Target("keyless"))),
        "fast": Balance("lowest_latency", (Target("large"), Target("priced/p1"))),
    },
    providers={
        "small": ProviderEntry("small", 10, (Candidate("small", "s1", context_tokens=100),)),
        "large": ProviderEntry("large", 20, (Candidate("large", "l1", context_tokens=1_000_000),)),
        "priced": ProviderEntry(
            "priced", 30, (Candidate("priced", "p0"), Candidate("priced", "p1", 131_072, 0.075, 0.3))
        ),
        "keyless": ProviderEntry("keyless", 40, (Candidate("keyless", "k1"),), off="no key"),
    },
    default_model="chat",
)


class _Runtime:
    """As much of a runtime as explaining asks for where no node chooses."""

    def __init__(self, graph: Graph) -> None:
        pools = {name: KeyPool(name, [KeySlot("id", None)]) for name in graph.providers}
        self.graph, self.state = graph, RoutingState(graph, pools, Health())


def asked(prompt: str = "Hello", model: str | None = None, graph: Graph = GRAPH) -> Explanation:
    return asyncio.run(explain(cast(Runtime, _Runtime(graph)), prompt, model, NOW, Random(1)))


def test_candidates_come_in_the_order_of_the_graph_each_with_its_route() -> None:
    explanation = asked()
    assert [(step.candidate.name, step.route) for step in explanation.steps[:3]] == [
        ("small/s1", ("chat",)),
        ("large/l1", ("chat", "fast")),
        ("priced/p1", ("chat", "fast")),
    ]
    assert explanation.first is explanation.steps[0]


def test_what_would_be_skipped_says_why_and_the_next_is_first() -> None:
    explanation = asked("word " * 1000)
    assert "context" in (explanation.steps[0].skip or "")
    assert explanation.first is explanation.steps[1]
    assert explanation.as_json()["model"] == "large/l1"
    assert explanation.as_json()["route"] == ["chat", "fast"]


def test_a_provider_that_is_off_is_told_with_the_reason() -> None:
    explanation = asked(model="keyless")
    assert explanation.first is None
    assert "off: no key" in explanation.as_text()
    assert "no candidate can be called" in explanation.as_text()
    assert explanation.as_json()["model"] is None


@pytest.mark.parametrize(
    ("model", "kind", "first"),
    [
        (None, "node", "small/s1"),
        ("fast", "node", "large/l1"),
        ("priced", "provider", "priced/p0"),
        ("priced/p1", "target", "priced/p1"),
        ("p1", "model", "priced/p1"),
    ],
)
def test_how_the_asked_model_was_resolved(model: str | None, kind: str, first: str) -> None:
    explanation = asked(model=model)
    assert explanation.entry.kind == kind
    assert explanation.as_json()["model"] == first
    assert explanation.as_text()


def test_without_a_default_model_every_provider_is_tried_by_priority() -> None:
    explanation = asked(graph=Graph({}, GRAPH.providers, None))
    assert explanation.entry.kind == "default"
    assert [step.candidate.name for step in explanation.steps][:3] == ["small/s1", "large/l1", "priced/p0"]


def test_an_unknown_model_is_a_fault_that_names_the_nearest() -> None:
    with pytest.raises(Fault) as caught:
        asked(model="priced/p2")
    assert caught.value.kind is FaultKind.BAD_REQUEST
    assert caught.value.code == "model_not_found"
    assert "priced/p1" in caught.value.message


def test_tokens_are_estimated_as_the_server_does() -> None:
    prompt = "Grüße, „Welt“ " * 40
    messages = json.dumps([{"role": "user", "content": prompt}], ensure_ascii=False, separators=(",", ":")).encode()
    request = ChatRequest({"messages": messages}, model=None, stream=True, include_usage=False)  # type: ignore[dict-item]
    assert asked(prompt).prompt_tokens == request.prompt_tokens() > len(prompt) / 5


def test_a_prompt_that_is_not_text_is_taken() -> None:
    assert asked("\udcff broken").prompt_tokens > 0


def test_the_notes_name_what_depends_on_the_load_and_that_none_is_known() -> None:
    notes = asked().notes
    assert notes[0].startswith("fast (lowest_latency): ordered by measured latency")
    assert "no load" in notes[-1]
    assert len(asked(model="small").notes) == 1


def test_every_strategy_has_its_words() -> None:
    assert ORDER_OF.keys() == STRATEGIES.keys()


def test_the_text_tells_context_price_and_never_the_prompt() -> None:
    text = asked("canary-prompt").as_text()
    assert "context 131,072" in text
    assert "$0.075 in, $0.3 out per million tokens" in text
    assert "price unknown" in text
    assert "canary" not in text
    assert "canary" not in json.dumps(asked("canary-prompt").as_json())
