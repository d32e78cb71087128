"""OpenAI's messages as Cohere takes them: one by one, of four roles, with functions under names that Cohere takes.

What the assistant said beside its calls is its plan there. Thoughts stay here: which models take them back is not told.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from cortex.chat import Json
from cortex.errors import bad_request
from cortex.providers.canonical import Message, Part, ToolCall, plain_text, unsupported

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OTHER = re.compile(r"[^A-Za-z0-9_]", re.ASCII)
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


class Renamed:
    """The names of one request's functions: letters, digits and underscores there, no digit first, no two alike."""

    def __init__(self, names: Collection[str]) -> None:
        """`names` are all of them. One that is fine as it is keeps itself, whatever comes before it."""
        self._sent = {name: name for name in names if _NAME.fullmatch(name)}
        for name in names:
            if name not in self._sent:
                self._sent[name] = self._free(_OTHER.sub("_", name))

    def __call__(self, name: str) -> str:
        return self._sent[name]

    @property
    def originals(self) -> dict[str, str]:
        """Name there → the client's, of those that differ."""
        return {sent: name for name, sent in self._sent.items() if sent != name}

    def _free(self, wanted: str) -> str:
        if not _NAME.fullmatch(wanted):
            wanted = f"_{wanted}"
        taken = set(self._sent.values())
        made, number = wanted, 2
        while made in taken:
            made, number = f"{wanted}_{number}", number + 1
        return made


def called(messages: list[Message]) -> list[str]:
    """The names of the functions that were called so far."""
    return [call.function.name for message in messages for call in message.tool_calls or () if call.function]


def messages_for(messages: list[Message], renamed: Renamed) -> tuple[list[dict[str, Json]], list[str]]:
    """The messages, and the names of what had to go. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    told = [_message(message, renamed) for message in messages]
    dropped = []
    if any(message.name and message.role != "tool" for message in messages):
        dropped.append("messages.name")
    if any(message.reasoning_content for message in messages):
        dropped.append("messages.reasoning_content")
    return [message for message in told if message is not None], dropped


def _message(message: Message, renamed: Renamed) -> dict[str, Json] | None:
    """None for an assistant that says nothing, which Cohere refuses."""
    role = _ROLES.get(message.role)
    if role is None:
        raise bad_request(f"messages: there is no role {message.role[:40]} at this provider", param="messages")
    if role == "assistant":
        return _assistant(message, renamed)
    if role == "tool":
        return {"role": role, "tool_call_id": message.tool_call_id or "", "content": _content(message.content)}
    return {"role": role, "content": _content(message.content)}


def _assistant(message: Message, renamed: Renamed) -> dict[str, Json] | None:
    text = plain_text(message.content) or message.refusal or ""
    if message.tool_calls:
        calls = [_call(call, renamed) for call in message.tool_calls]
        return {"role": "assistant", "tool_plan": text, "tool_calls": calls}
    return {"role": "assistant", "content": text} if text else None


def _call(call: ToolCall, renamed: Renamed) -> dict[str, Json]:
    if call.function is None:
        raise unsupported("tool calls other than functions are not available at this provider", "messages")
    function = {"name": renamed(call.function.name), "arguments": call.function.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _content(content: str | list[Part] | None) -> str | list[dict[str, Json]]:
    if not isinstance(content, list):
        return content or ""
    return [_part(part) for part in content]


def _part(part: Part) -> dict[str, Json]:
    if part.type == "image_url":
        detail = getattr(part.image_url, "detail", None)
        return {"type": "image_url", "image_url": {"url": part.image} | ({"detail": detail} if detail else {})}
    return {"type": "text", "text": plain_text([part])}
