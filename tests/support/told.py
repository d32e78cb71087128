"""What an answer tells in the end, whoever has read it: the vendor's own client or Cortex's decoder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cortex.chat import Broken, Delta, Event, Finish, Usage


@dataclass
class Told:
    """`calls` are id, name and decoded arguments of each tool's call; `tokens` those of prompt and completion; `cited`
    are a piece of the text, the URL and the title that it leads to."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish: str | None = None
    tokens: tuple[int, int] | None = None
    cited: list[tuple[str, str, str]] = field(default_factory=list)


def told(events: Iterable[Event]) -> Told:
    """The events of one choice, put together."""
    whole = Told()
    arguments: list[str] = []
    annotations: list[Any] = []
    for event in events:
        assert not isinstance(event, Broken), event.fault
        if isinstance(event, Delta):
            whole.text += event.content
            whole.reasoning += event.reasoning
            annotations += [annotation["url_citation"] for annotation in event.annotations]
            for call in event.tool_calls:
                if call.index == len(arguments):
                    whole.calls.append((call.id or "", call.name or "", None))
                    arguments.append("")
                arguments[call.index] += call.arguments
        elif isinstance(event, Finish):
            whole.finish = event.reason
        elif isinstance(event, Usage):
            whole.tokens = (event.prompt_tokens, event.completion_tokens)
    whole.calls = [(id, name, json.loads(text)) for (id, name, _), text in zip(whole.calls, arguments, strict=True)]
    for each in annotations:
        whole.cited.append((whole.text[each["start_index"] : each["end_index"]], each["url"], each["title"]))
    return whole
