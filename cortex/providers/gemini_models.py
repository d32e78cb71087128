"""What Gemini's models differ in, as far as a request depends on it: one row a family, found by the model's name.

The rows are harmless where they are wrong: a wish that a model might not take is left out and named, not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LOW_UP: Mapping[str, str] = {
    "none": "LOW",
    "minimal": "LOW",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_MINIMAL_UP: Mapping[str, str] = {**_LOW_UP, "none": "MINIMAL", "minimal": "MINIMAL"}
_BUDGET_TOKENS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}

EFFORTS = tuple(_LOW_UP)


@dataclass(frozen=True, slots=True)
class Family:
    """Models that think take a level, or a budget between two numbers of tokens; never both."""

    levels: Mapping[str, str] | None = None  # by OpenAI's reasoning_effort
    budget_tokens: tuple[int, int] | None = None
    fixed_sampling: bool = False  # ignores or refuses sampling members, and a last turn of its own
    signed_calls: bool = False  # refuses a step of tool calls in the history whose first has no thought signature

    def thinking(self, effort: str) -> dict[str, str | int] | None:
        """The effort in this family's terms; None if it cannot be told how much to think."""
        if self.levels is not None:
            return {"thinkingLevel": self.levels[effort]}
        if self.budget_tokens is not None:
            least, most = self.budget_tokens
            return {"thinkingBudget": min(max(_BUDGET_TOKENS[effort], least), most)}
        return None

    @property
    def stops_thinking(self) -> bool:
        return self.budget_tokens is not None and self.budget_tokens[0] == 0


# The first row that matches the beginning of the name.
_FAMILIES: tuple[tuple[re.Pattern[str], Family], ...] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"gemini-2\.5-pro", Family(budget_tokens=(128, 32768))),
        (r"gemini-2\.5-flash", Family(budget_tokens=(0, 24576))),
        (r"gemini-(3-flash|3\.5-flash(?!-lite))", Family(levels=_MINIMAL_UP, signed_calls=True)),
        (r"gemini-3\.6-flash", Family(levels=_MINIMAL_UP, fixed_sampling=True, signed_calls=True)),
        (r"gemini-(3-|3\.[0-4]-|pro-latest)", Family(levels=_LOW_UP, signed_calls=True)),
        # The aliases for the newest, and whatever comes after the models that are known.
        (
            r"gemini-([3-9]|[1-9]\d|flash-latest|flash-lite-latest)",
            Family(levels=_LOW_UP, fixed_sampling=True, signed_calls=True),
        ),
    )
)
_UNKNOWN = Family()


def family_of(model: str) -> Family:
    name = model.removeprefix("models/")
    return next((family for pattern, family in _FAMILIES if pattern.match(name)), _UNKNOWN)
