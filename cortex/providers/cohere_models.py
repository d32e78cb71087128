"""What the families of Cohere's models take: data, for the encoder to ask.

A model that no row names is newer than this table and takes all that newer models take.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    thinking: bool = True  # takes `thinking`
    tool_choice: bool = True  # takes `tool_choice`


_FAMILIES: Sequence[tuple[re.Pattern[str], Family]] = (
    (re.compile(r"c4ai-|command-(r|r-plus)(-0[48]-2024)?$"), Family(thinking=False, tool_choice=False)),
    (re.compile(r"command-r7b|command-a-(03-2025|vision|translate)"), Family(thinking=False)),
)
_NEWEST = Family()


def family_of(model: str) -> Family:
    """The rules of a model by its name."""
    return next((family for name, family in _FAMILIES if name.match(model)), _NEWEST)
