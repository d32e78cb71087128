"""What the families of Anthropic's models take and refuse: data, for the encoder to ask.

A model that no row names gets the most careful one: what it might refuse is left out and named, so that a model newer
than this table answers all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """The defaults are what most of the newer families share."""

    sampling: bool = False  # takes temperature, top_p and top_k
    forced_tools: bool = True  # takes a tool_choice that makes it call a tool
    prefill: bool = False  # goes on from a last message of the assistant
    thinking: Literal["none", "budget", "adaptive"] = "adaptive"
    always_thinks: bool = False  # refuses to have its thinking switched off
    later_system: bool = True  # takes system messages behind a user's turn
    xhigh: bool = True  # knows this effort


_CAREFUL = Family(forced_tools=False, always_thinks=True, later_system=False)
_WITHOUT_THOUGHTS = Family(sampling=True, prefill=True, thinking="none", later_system=False)
_BUDGET = Family(sampling=True, prefill=True, thinking="budget", later_system=False)
_FIRST_ADAPTIVE = Family(sampling=True, later_system=False, xhigh=False)
_UNFORCED = Family(forced_tools=False, always_thinks=True)

_FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(
        ("claude-3-haiku", "claude-3-opus", "claude-3-sonnet", "claude-3-5-haiku", "claude-3-5-sonnet"),
        _WITHOUT_THOUGHTS,
    ),
    **dict.fromkeys(("claude-3-7-sonnet", "claude-opus-4", "claude-opus-4-0", "claude-opus-4-1"), _BUDGET),
    **dict.fromkeys(("claude-sonnet-4", "claude-sonnet-4-0"), _BUDGET),
    **dict.fromkeys(("claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-5"), _BUDGET),
    **dict.fromkeys(("claude-opus-4-6", "claude-sonnet-4-6"), _FIRST_ADAPTIVE),
    **dict.fromkeys(("claude-opus-4-7", "claude-sonnet-5"), Family(later_system=False)),
    **dict.fromkeys(("claude-opus-4-8", "claude-opus-5", "claude-haiku-5-5"), Family()),
    **dict.fromkeys(("claude-fable-5", "claude-mythos-5"), Family(always_thinks=True)),
    **dict.fromkeys(("claude-fable-5-1", "claude-mythos-5-1", "claude-opus-5-5", "claude-sonnet-5-5"), _UNFORCED),
}
_RELEASE = re.compile(r"(-latest|-20\d{6})$")


def family_of(model: str) -> Family:
    """The rules of a model by its name, whose release date does not matter."""
    return _FAMILIES.get(_RELEASE.sub("", model), _CAREFUL)
