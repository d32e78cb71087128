"""Configurations with nodes that choose, prompts whose task nobody doubts, and what a gateway made of a request."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.gateway import Gateway, provider

CODE = "Write a Python function that reverses a linked list"
POEM = "Write a short poem about the sea at night"
SUM = "Calculate 15% of 240"
UNCLEAR = "go on, please"

MODELS = ["coder", "writer", "tutor", "rest", *(f"m{number}" for number in range(8))]
TASKS = {
    "coding": {"task": "coding", "to": "up/coder"},
    "creative": {"task": "creative", "to": "up/writer"},
    "math": {"task": "math", "to": "up/tutor"},
}


def choosing(url: str, models: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """One provider, `up`, with MODELS. Without an embedder, unless `sections` has one."""
    return {
        "providers": {"up": provider(url, models=MODELS)},
        "models": copy.deepcopy(dict(models)),  # shared objects would become YAML anchors
        "embedder": "none",
        **sections,
    }


def by_task(**more: Any) -> dict[str, Any]:
    """A node that classifies, with TASKS."""
    return {"classify": {"routes": copy.deepcopy(TASKS), "default": "up/rest", **more}}


@dataclass(frozen=True)
class Chosen:
    """One answered request."""

    model: str  # without its provider
    route: str | None  # the header
    decision: dict[str, Any]

    @property
    def judged(self) -> dict[str, Any]:
        """By the one node that classified it."""
        (found,) = self.decision["classify"]
        assert isinstance(found, dict)
        return found


def conversation(*turns: str, system: str | None = None) -> list[dict[str, str]]:
    """The human's turns, with an answer between each two."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    for turn in turns:
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "Here you are."}]
    return messages[:-1]


async def ask(gateway: Gateway, *turns: str, system: str | None = None, headers: Any = None, **body: Any) -> Chosen:
    """A chat of these turns, or of the `messages` in `body`. Raises AssertionError if it is not answered."""
    messages = body.pop("messages", None) or conversation(*turns, system=system)
    status, answered, told = await gateway.chat({"model": "auto", "messages": messages, **body}, headers=headers)
    assert status == 200, told
    return await chosen(gateway, answered)


async def chosen(gateway: Gateway, headers: Mapping[str, str]) -> Chosen:
    return Chosen(
        headers["x-cortex-model"].partition("/")[2], headers.get("x-cortex-route"), await gateway.decision(headers)
    )
