"""Messages as a vendor with rules of its own takes them.

Strict turns are these: behind a tool's result comes another one or the assistant, so a turn of the assistant is put
between where it is missing; the assistant never says nothing; a tool's result carries its function's name.

Messages that need no change keep their bytes.
"""

from __future__ import annotations

import hashlib
import re
import string

import msgspec

from cortex.providers.canonical import (
    Message,
    Part,
    ToolCall,
    plain_text,
    raw,
    typed,
    unsupported,
)
from cortex.providers.vendors import MessageRules

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}", re.ASCII)
_ALPHABET = string.digits + string.ascii_letters
_EMPTY = frozenset({b"null", b"[]", b'""', b"{}"})

# Stands where a model that insists on turns misses the assistant's.
_BRIDGE: dict[str, msgspec.Raw] = {"role": raw("assistant"), "content": raw("OK.")}


def rewrite_messages(value: msgspec.Raw, rules: MessageRules, model: str) -> tuple[msgspec.Raw, list[str]]:
    """The messages under these rules, and the names of what had to go. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    before = typed(value, list[dict[str, msgspec.Raw]], "messages")
    turns = _Turns(rules, typed(value, list[Message], "messages"), model)
    after = turns.rewritten(before)
    if len(after) == len(before) and all(new is old for new, old in zip(after, before, strict=True)):
        return value, []
    return raw(after), turns.dropped


def without_extra_content(value: msgspec.Raw) -> msgspec.Raw:
    """The messages without what another provider wants to see again with its tool calls. Raises Fault(BAD_REQUEST)."""
    if b'"extra_content"' not in bytes(value):
        return value
    messages = typed(value, list[dict[str, msgspec.Raw]], "messages")
    for message in messages:
        calls = message.get("tool_calls")
        if calls is not None and b'"extra_content"' in bytes(calls):
            listed = typed(calls, list[dict[str, msgspec.Raw]], "messages")
            message["tool_calls"] = raw([_without(call, "extra_content") for call in listed])
    return raw(messages)


def _without(members: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    return {each: value for each, value in members.items() if each != name}


class _Turns:
    def __init__(self, rules: MessageRules, messages: list[Message], model: str) -> None:
        self.dropped: list[str] = []
        self._rules = rules
        self._refused = rules.refused_parts
        if rules.sound_models is not None and rules.sound_models in model:
            self._refused -= {"input_audio"}
        self._messages = messages
        calls = [call for message in messages for call in message.tool_calls or ()]
        self._function_names = {call.id: call.function.name for call in calls if call.function}
        if rules.short_ids:
            ids = [call.id for call in calls] + [m.tool_call_id for m in messages if m.tool_call_id is not None]
            self._short_ids = short_ids(ids)

    def rewritten(self, before: list[dict[str, msgspec.Raw]]) -> list[dict[str, msgspec.Raw]]:
        after: list[dict[str, msgspec.Raw]] = []
        role = ""
        for members, message in zip(before, self._messages, strict=True):
            if self._rules.strict_turns:
                if message.role == "assistant" and not _says_something(message):
                    continue
                if role == "tool" and message.role not in ("tool", "assistant"):
                    after.append(_BRIDGE)
            role = message.role
            changes = self._changes(members, message)
            gone = self._gone(members, message, changes)
            if changes or gone:
                members = {name: data for name, data in members.items() if name not in gone} | changes
            after.append(members)
        return after

    def _changes(self, members: dict[str, msgspec.Raw], message: Message) -> dict[str, msgspec.Raw]:
        changes: dict[str, msgspec.Raw] = {}
        if isinstance(message.content, list):
            self._check_parts(message.content)
            if message.role == "tool":
                changes["content"] = raw(plain_text(message.content))
            elif any(part.cache_control is not None or part.type == "input_audio" for part in message.content):
                changes["content"] = _mended_parts(members["content"], message.content)
        if message.role == "developer":
            changes["role"] = raw("system")
        if message.role == "assistant":
            self._mend_answer(message, changes)
        elif message.role == "tool" and self._rules.strict_turns and message.name is None:
            name = self._function_names.get(message.tool_call_id or "")
            if name is not None:
                changes["name"] = raw(name)
        if self._rules.short_ids:
            self._shorten_ids(message, changes)
        return changes

    def _check_parts(self, parts: list[Part]) -> None:
        for part in parts:
            if part.type in self._refused:
                raise unsupported(f"a part of type {part.type} is not available at this provider", "messages")

    def _mend_answer(self, message: Message, changes: dict[str, msgspec.Raw]) -> None:
        parts = message.content if isinstance(message.content, list) else []
        refused = any(part.type == "refusal" for part in parts) or (message.refusal and not message.content)
        if refused or (self._rules.strict_turns and message.content is None):
            changes["content"] = raw(plain_text(message.content) or message.refusal or "")

    def _shorten_ids(self, message: Message, changes: dict[str, msgspec.Raw]) -> None:
        if message.tool_call_id is not None:
            changes["tool_call_id"] = raw(self._short_ids[message.tool_call_id])
        if message.tool_calls:
            changes["tool_calls"] = raw([_plain_call(call, self._short_ids[call.id]) for call in message.tool_calls])

    def _gone(self, members: dict[str, msgspec.Raw], message: Message, changes: dict[str, msgspec.Raw]) -> set[str]:
        rules = self._rules
        gone = {name for name in members if rules.allow is not None and name not in rules.allow}
        if rules.strict_turns and message.role != "tool" and "name" in members:
            gone.add("name")
        for name in sorted(gone):
            label = f"messages.{name}"
            moved = name == "refusal" and "content" in changes
            if bytes(members[name]) not in _EMPTY and not moved and label not in self.dropped:
                self.dropped.append(label)
        return gone


def _says_something(message: Message) -> bool:
    return bool(message.tool_calls or message.refusal or message.content)


def _mended_parts(content: msgspec.Raw, parts: list[Part]) -> msgspec.Raw:
    """Without the marks of other vendors, and sound as a string."""
    listed = typed(content, list[dict[str, msgspec.Raw]], "messages")
    for members, part in zip(listed, parts, strict=True):
        members.pop("cache_control", None)
        if part.type == "input_audio" and part.input_audio is not None:
            members["input_audio"] = raw(part.input_audio.data)
    return raw(listed)


def _plain_call(call: ToolCall, id: str) -> dict[str, object]:
    if call.function is None:
        raise unsupported("tool calls other than functions are not available at this provider", "messages")
    return {"id": id, "type": "function", "function": call.function}


def short_ids(ids: list[str]) -> dict[str, str]:
    """Each id → nine letters and digits: itself if it is that, else made from its digest, never two alike."""
    short = {each: each for each in ids if _SHORT_ID.fullmatch(each)}
    taken = set(short)
    for each in ids:
        if each not in short:
            salt = 0
            while (made := _digest(f"{each}:{salt}" if salt else each)) in taken:
                salt += 1
            short[each] = made
            taken.add(made)
    return short


def _digest(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = []
    for _ in range(9):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)
