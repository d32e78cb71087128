"""What would become of a prompt: the way through the graph and the candidates in order. Calls no provider.

Asks routing what the proxy would ask it, so that the answer is the proxy's own. Never shows the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from cortex.chat import ChatRequest, Json
from cortex.choosing import choose
from cortex.dialects.openai import OpenAIDialect
from cortex.draw.columns import columns
from cortex.operation import Chat
from cortex.refusal import unknown_name
from cortex.runtime import Runtime
from cortex.telemetry.record import ClassifyRecord, RequestRecord, RuleRecord
from routing.choices import NO_CHOICES
from routing.graph import Balance, Candidate, Entry, Graph
from routing.plan import Demand, Planned, Skip, preview, walk

# What the order of a balanced node's targets depends on.
ORDER_OF = {
    "weighted": "drawn at random by weight, anew for each request",
    "round_robin": "turned on by one target with each request",
    "least_busy": "ordered by the calls in flight, and here there are none",
    "lowest_latency": "ordered by measured latency, and here nothing is measured",
    "lowest_cost": "ordered by price, for this prompt and a typical answer",
}
_FRESH = "this is a process of its own: no load, no latency and no cooling key of a running Cortex is known here"
_PATIENCE_S = 60.0
_ENTERS = {
    "node": "a node",
    "provider": "a provider: its default model",
    "target": "one model of a provider",
    "model": "a model's name: every provider that lists it, in order of priority",
    "default": "no model named: every provider in order of priority",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate, in the order in which it would be tried."""

    candidate: Candidate
    route: tuple[str, ...]  # the nodes walked to it
    skip: str | None  # why it would be passed over, or None
    wait_s: float | None  # how long that lasts, where it is known

    def as_json(self) -> Json:
        return {
            "target": self.candidate.name,
            "route": list(self.route),
            "skip": self.skip,
            "wait_s": self.wait_s,
            "context_tokens": self.candidate.context_tokens,
            "input_usd_per_mtok": self.candidate.input_usd_per_mtok,
            "output_usd_per_mtok": self.candidate.output_usd_per_mtok,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    model_asked: str | None
    entry: Entry
    prompt_tokens: int  # estimated
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    classified: tuple[ClassifyRecord, ...] = ()
    rules: tuple[RuleRecord, ...] = ()

    @property
    def first(self) -> Step | None:
        """The candidate that would be called, or None."""
        return next((step for step in self.steps if step.skip is None), None)

    def as_json(self) -> Json:
        return {
            "model_asked": self.model_asked,
            "entry": {"kind": self.entry.kind, "name": self.entry.name},
            "prompt_tokens": self.prompt_tokens,
            "model": self.first and self.first.candidate.name,
            "route": list(self.first.route) if self.first else [],
            "classify": [each.decision() for each in self.classified],
            "rules": [{"node": rule.node, "when": rule.when, "to": rule.to} for rule in self.rules],
            "candidates": [step.as_json() for step in self.steps],
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        """For the terminal, ending with a newline."""
        facts = [
            ("asked", self.model_asked or "no model"),
            ("enters", self._entered()),
            ("route", " > ".join(self.first.route) if self.first else ""),
            ("model", self.first.candidate.name if self.first else "none: no candidate can be called"),
            ("prompt", f"about {self.prompt_tokens:,} tokens"),
        ]
        lines = columns([fact for fact in facts if fact[1]], indent="")
        if choices := [*map(_rule_row, self.rules), *map(_classified_row, self.classified)]:
            lines += ["", "choices", *columns(choices)]
        lines += ["", "candidates", *columns([_row(position, step) for position, step in enumerate(self.steps, 1)])]
        lines += ["", "notes", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def _entered(self) -> str:
        meaning = _ENTERS[self.entry.kind]
        return meaning if self.entry.kind == "default" else f"{self.entry.name}, {meaning}"


async def explain(runtime: Runtime, prompt: str, model: str | None, now: float, rng: random.Random) -> Explanation:
    """The way of a streamed chat of one message. `now` is monotonic seconds.

    Raises Fault(BAD_REQUEST) if no model is called `model`.
    """
    graph, state = runtime.graph, runtime.state
    entry = graph.resolve(model)
    if entry is None:
        raise unknown_name(graph, model or "")
    chat = _chat(prompt, model)
    record = RequestRecord("explain", 0.0, now, chat.dialect)
    choices = NO_CHOICES
    if entry.chooses:
        await runtime.classification.prepare()
        runtime.classification.within_s = _PATIENCE_S  # the first vector of a process takes longer than the others
        choices = await choose(runtime, chat, entry, record, deadline=now + _PATIENCE_S, headers={})
    plan = walk(graph, entry, state, chat.demand, now, rng, choices)
    steps = tuple(_step(planned, skip, now) for planned, skip in preview(plan, state, chat.demand, now))
    notes = (*_notes(graph, steps), *(f"embedder: {told}" for told in [_embedder(runtime, record)] if told))
    return Explanation(model, entry, chat.demand.prompt_tokens, steps, notes, record.classify, record.rules)


def _embedder(runtime: Runtime, record: RequestRecord) -> str | None:
    if not record.classify:
        return None
    health = runtime.classification.health()
    if not isinstance(health, dict) or health["status"] in ("ready", "off"):
        return None
    return f"{health['status']}, {health.get('reason', '')}"


def _step(planned: Planned, skip: Skip | None, now: float) -> Step:
    if skip is None:
        return Step(planned.candidate, planned.route, None, None)
    wait_s = None if skip.until is None else max(0.0, skip.until - now)
    return Step(planned.candidate, planned.route, skip.reason, wait_s)


def _chat(prompt: str, model: str | None) -> Chat:
    """What the server would make of it."""
    text = prompt.encode(errors="replace").decode()  # an argument that is not UTF-8 holds surrogates
    messages = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": text}]))
    request = ChatRequest({"messages": messages}, model=model, stream=True, include_usage=False)
    return Chat(request, OpenAIDialect(), Demand(request.prompt_tokens(), stream=True))


def _rule_row(rule: RuleRecord) -> tuple[str, ...]:
    return rule.node, rule.to, "", f"by rule: {rule.when}"


def _classified_row(each: ClassifyRecord) -> tuple[str, ...]:
    judged = each.judgement
    best = ", ".join(f"{route} {p:.2f}" for route, p in judged.best)
    needed = "" if judged.threshold is None else f" (needs {judged.threshold:.2f})"
    why = f"abstained: {judged.remarks}" if judged.stage == "abstained" else f"by {judged.stage}"
    return each.node, judged.route or "default", f"{best}{needed}", f"{why}, {each.took_ms:.1f} ms"


def _notes(graph: Graph, steps: Iterable[Step]) -> Iterable[str]:
    walked = dict.fromkeys(name for step in steps for name in step.route)
    for name in walked:
        if isinstance(node := graph.nodes.get(name), Balance):
            yield f"{name} ({node.strategy}): {ORDER_OF[node.strategy]}"
    yield _FRESH


def _row(position: int, step: Step) -> tuple[str, ...]:
    via = f"via {' > '.join(step.route)}" if step.route else ""
    return f"{position}.", step.candidate.name, _skipped(step), via, _context(step.candidate), _price(step.candidate)


def _context(candidate: Candidate) -> str:
    return "context unknown" if candidate.context_tokens is None else f"context {candidate.context_tokens:,}"


def _price(candidate: Candidate) -> str:
    if candidate.input_usd_per_mtok is None or candidate.output_usd_per_mtok is None:
        return "price unknown"
    if candidate.input_usd_per_mtok == candidate.output_usd_per_mtok == 0:
        return "free"
    return f"${candidate.input_usd_per_mtok:g} in, ${candidate.output_usd_per_mtok:g} out per million tokens"


def _skipped(step: Step) -> str:
    if step.skip is None:
        return ""
    return f"skipped ({step.skip}{'' if step.wait_s is None else f', {step.wait_s:.0f} s more'})"
