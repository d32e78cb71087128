"""What would become of a prompt: the way through the graph and the candidates in order. Calls no provider.

Asks routing what the proxy would ask it, so that the answer is the proxy's own. Never shows the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from cortex.chat import ChatRequest, Json
from cortex.draw.columns import columns
from cortex.refusal import unknown_name
from routing.graph import Balance, Candidate, Entry, Graph
from routing.plan import Demand, Planned, Skip, preview, walk
from routing.state import RoutingState

# What the order of a balanced node's targets depends on.
ORDER_OF = {
    "weighted": "drawn at random by weight, anew for each request",
    "round_robin": "turned on by one target with each request",
    "least_busy": "ordered by the calls in flight, and here there are none",
    "lowest_latency": "ordered by measured latency, and here nothing is measured",
    "lowest_cost": "ordered by price, for this prompt and a typical answer",
}
_FRESH = "this is a process of its own: no load, no latency and no cooling key of a running Cortex is known here"
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
        lines += ["", "candidates", *columns([_row(position, step) for position, step in enumerate(self.steps, 1)])]
        lines += ["", "notes", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def _entered(self) -> str:
        meaning = _ENTERS[self.entry.kind]
        return meaning if self.entry.kind == "default" else f"{self.entry.name}, {meaning}"


def explain(
    graph: Graph, state: RoutingState, prompt: str, model: str | None, now: float, rng: random.Random
) -> Explanation:
    """The way of a streamed chat of one message. `now` is monotonic seconds.

    Raises Fault(BAD_REQUEST) if no model is called `model`.
    """
    entry = graph.resolve(model)
    if entry is None:
        raise unknown_name(graph, model or "")
    demand = Demand(prompt_tokens=_prompt_tokens(prompt), stream=True)
    plan = walk(graph, entry, state, demand, now, rng)
    steps = tuple(_step(planned, skip, now) for planned, skip in preview(plan, state, demand, now))
    return Explanation(model, entry, demand.prompt_tokens, steps, tuple(_notes(graph, steps)))


def _step(planned: Planned, skip: Skip | None, now: float) -> Step:
    if skip is None:
        return Step(planned.candidate, planned.route, None, None)
    wait_s = None if skip.until is None else max(0.0, skip.until - now)
    return Step(planned.candidate, planned.route, skip.reason, wait_s)


def _prompt_tokens(prompt: str) -> int:
    """The estimate that the server would make for this prompt."""
    text = prompt.encode(errors="replace").decode()  # an argument that is not UTF-8 holds surrogates
    messages = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": text}]))
    return ChatRequest({"messages": messages}, model=None, stream=True, include_usage=False).prompt_tokens()


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
