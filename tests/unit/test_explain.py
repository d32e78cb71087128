"""Explaining a prompt's way: what routing would do, told; nothing called."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from cortex.build import build
from cortex.chat import ChatRequest
from cortex.config.load import load
from cortex.embedding import builtin
from cortex.embedding.builtin import BuiltinEmbedder
from cortex.errors import Fault, FaultKind
from cortex.explain import ORDER_OF, Explanation, explain
from cortex.runtime import Runtime
from cortex.telemetry.log import Log
from cortex.upstream.transport import HttpTransport
from routing.graph import Balance, Candidate, Cascade, Graph, ProviderEntry, Target
from routing.health import Health
from routing.keys import KeyPool, KeySlot
from routing.state import RoutingState
from routing.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cortex.embedding.embedder import Vectors

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


# Nodes that choose

CHOOSING = """\
providers:
  local: {type: simulated, models: [coder, writer, lawyer, small, long]}
models:
  front:
    rules:
      - {when: {prompt_tokens: {over: 1000}}, to: local/long}
      - {when: {header: {x-team: blue}}, to: local/long}
      - {when: {language: es}, to: local/writer}
      - {to: auto}
  auto:
    classify:
      default: local/small
      routes:
        coding: {task: coding, to: local/coder}
        creative: {task: creative, to: writers}
  writers: {cascade: [local/writer, local/small]}
  own:
    classify:
      default: local/small
      routes:
        legal: {to: local/lawyer, threshold: 0.2, examples: ["Is this clause enforceable?", "Review my lease"]}
default_model: front
embedder: EMBEDDER
"""
CODE = "Write a Python function that reverses a linked list"
POEM = "Write a short poem about the sea at night"


def explained(folder: Path, prompt: str, model: str | None = None, embedder: str = "none") -> Explanation:
    """As the command does it, with a runtime of its own."""

    async def run() -> Explanation:
        path = folder / "cortex.yaml"
        path.write_text(CHOOSING.replace("EMBEDDER", embedder))
        loaded = load(path, {})
        assert loaded.config is not None, loaded.problems
        runtime = build(loaded, None, HttpTransport(), Log(level="error"))
        try:
            return await explain(runtime, prompt, model, time.monotonic(), Random(1))
        finally:
            runtime.classification.close()

    return asyncio.run(run())


def words(text: str) -> list[str]:
    """Its lines, with one space between words."""
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("prompt", "when", "route", "model"),
    [
        (POEM, "else", ("front", "auto", "writers"), "local/writer"),
        (CODE, "else", ("front", "auto"), "local/coder"),
        ("What is the capital of Australia?", "else", ("front", "auto"), "local/small"),
        ("Escribe un poema sobre el mar", "es", ("front",), "local/writer"),
        ("word " * 1000, "over 1,000 tokens", ("front",), "local/long"),
    ],
)
def test_what_a_node_that_chooses_would_choose(
    tmp_path: Path, prompt: str, when: str, route: tuple[str, ...], model: str
) -> None:
    explanation = explained(tmp_path, prompt)
    assert [(rule.node, rule.when) for rule in explanation.rules] == [("front", when)]
    assert [each.node for each in explanation.classified] == (["auto"] if "auto" in route else [])
    assert explanation.first is not None
    assert (explanation.first.route, explanation.first.candidate.name) == (route, model)


def test_choices_are_told_in_json_as_decisions_tell_them(tmp_path: Path) -> None:
    told: Any = explained(tmp_path, POEM).as_json()
    assert told["rules"] == [{"node": "front", "when": "else", "to": "auto"}]
    (judged,) = told["classify"]
    assert (judged["node"], judged["route"], judged["stage"]) == ("auto", "creative", "features")
    assert [each["route"] for each in judged["best"]] == ["creative", "coding"]
    assert judged["best"][0]["p"] >= judged["threshold"]
    assert json.loads(json.dumps(told)) == told
    plain: Any = explained(tmp_path, POEM, "local/small").as_json()
    assert (plain["rules"], plain["classify"]) == ([], [])


def test_choices_are_told_in_the_text(tmp_path: Path) -> None:
    text = words(explained(tmp_path, POEM).as_text())
    place = text.index("choices")
    assert text[place + 1] == "front auto by rule: else"
    assert text[place + 2].startswith("auto creative creative ")
    assert "by features" in text[place + 2]
    assert "(needs 0." in text[place + 2]
    unsure = words(explained(tmp_path, "What is the capital of Australia?", "auto").as_text())
    assert unsure[unsure.index("choices") + 1].startswith("auto default ")
    assert "abstained: " in unsure[unsure.index("choices") + 1]
    assert "choices" not in words(explained(tmp_path, POEM, "writers").as_text())


def test_examples_are_compared_by_their_vectors(tmp_path: Path) -> None:
    explanation = explained(tmp_path, "Is this clause in my lease enforceable?", "own", "builtin")
    (judged,) = explanation.classified
    assert (judged.judgement.route, judged.judgement.stage) == ("legal", "examples")
    assert not [note for note in explanation.notes if note.startswith("embedder")]


def test_a_slow_start_of_the_embedder_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(BuiltinEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            time.sleep(0.1)  # four times as long as a request waits
            return super().embed(texts)

    monkeypatch.setattr(builtin, "BuiltinEmbedder", Slow)
    (judged,) = explained(tmp_path, "colourless green ideas sleep furiously", "own", "builtin").classified
    assert "slow" not in (judged.judgement.reason or "")


def test_an_embedder_that_cannot_be_loaded_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "BuiltinEmbedder", partial(BuiltinEmbedder, tmp_path))
    explanation = explained(tmp_path, CODE, "auto", "builtin")
    assert explanation.first is not None
    assert explanation.first.candidate.name == "local/coder"
    (note,) = [note for note in explanation.notes if note.startswith("embedder")]
    assert note.startswith("embedder: failed, ")
    assert "cannot be read" in note
    assert not [note for note in explained(tmp_path, CODE, "local/small", "builtin").notes if "embedder" in note]
