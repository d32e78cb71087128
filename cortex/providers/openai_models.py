"""Which of OpenAI's models answer where: data, for the encoder to ask.

Some are to be had through the Responses API alone. Others refuse tools in chat completions as long as they think, which
they do unless they are told not to. A model that no row names is asked through chat completions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto

import msgspec

from cortex.providers.canonical import asks_nothing, is_null, typed


class Responses(Enum):
    """When a model's answer comes from the Responses API."""

    ALWAYS = auto()
    WITH_TOOLS = auto()
    WITH_TOOLS_UNLESS_TOLD_NOT_TO_THINK = auto()
    WITH_TOOLS_IF_TOLD_TO_THINK = auto()


# The first row that is found in a model's name, without its release date.
_ROWS: Sequence[tuple[re.Pattern[str], Responses]] = (
    (re.compile(r"-pro$|(^|-)(codex|deep-research|computer-use)(-|$)"), Responses.ALWAYS),
    (re.compile(r"^gpt-(6-astra|6\.1-sol)(-|$)"), Responses.WITH_TOOLS),  # they cannot be told not to think
    (re.compile(r"^gpt-(5\.6|6|6\.\d+)(-|$)"), Responses.WITH_TOOLS_UNLESS_TOLD_NOT_TO_THINK),
    (re.compile(r"^gpt-5\.[45](-|$)"), Responses.WITH_TOOLS_IF_TOLD_TO_THINK),
)
_RELEASE = re.compile(r"-20\d{2}-\d{2}-\d{2}$")


def goes_to_responses(model: str, members: Mapping[str, msgspec.Raw]) -> bool:
    """Whether this chat request goes to the Responses API. Raises Fault(BAD_REQUEST) if it has no such effort."""
    name = _RELEASE.sub("", model)
    when = next((when for pattern, when in _ROWS if pattern.search(name)), None)
    if when is None or when is Responses.ALWAYS:
        return when is not None
    if "tools" not in members or asks_nothing("tools", members["tools"]):
        return False
    if when is Responses.WITH_TOOLS:
        return True
    effort = members.get("reasoning_effort")
    if effort is None or is_null(effort):
        return when is Responses.WITH_TOOLS_UNLESS_TOLD_NOT_TO_THINK
    return bool(typed(effort, str, "reasoning_effort") != "none")
