"""OpenAI's messages as Anthropic's turns.

There the system prompt stands apart, turns alternate between the user and the assistant, and the results of all calls
of one turn come first in the user's next. Thoughts go back only with the signature that they came with, which clients
of OpenAI's wire do not keep: they are left out.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeAlias

from cortex.chat import Json
from cortex.errors import bad_request
from cortex.providers.anthropic_models import Family
from cortex.providers.canonical import Message, Part, ToolCall, arguments_object, plain_text, unsupported

Block: TypeAlias = dict[str, Json]

_DATA_URL = re.compile(r"data:([^,;]*)(?:;[^,;]*)*;base64,", re.IGNORECASE)
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_OPENING = "Continue."  # stands for the user where a conversation does not begin with one


class Conversation:
    """The messages of one request, translated. Raises Fault(UNSUPPORTED or BAD_REQUEST) naming `messages`."""

    def __init__(self, messages: list[Message], family: Family) -> None:
        self.system: list[Block] = []
        self.turns: list[dict[str, Json]] = []
        self.answers_tools = False  # the last turn brings results of tools
        self.dropped: list[str] = []
        self._family = family
        self._results: list[Block] = []  # the user's turn that is being gathered
        self._said: list[Block] = []
        self._rules: list[Block] = []  # system messages that came with it
        self._begun = False
        for message in messages:
            self._add(message)
        self._close_users_turn()
        if self.system and not self.turns:
            self._open()
        if self.turns and self.turns[-1]["role"] == "assistant":
            self._prefill()

    def _add(self, message: Message) -> None:
        if message.name and message.role != "tool":
            self._drop("messages.name")
        if message.role in ("system", "developer"):
            self._add_system(text_blocks(message.content))
            return
        self._begun = True
        if message.role == "user":
            self._said += _blocks(message.content)
        elif message.role == "tool":
            self._results.append(_result(message))
        elif message.role == "assistant":
            self._add_assistant(message)
        else:
            raise bad_request(f"messages: there is no role {message.role[:40]} at this provider", param="messages")

    def _add_system(self, blocks: list[Block]) -> None:
        if not self._begun:
            self.system += blocks
        elif self._family.later_system:
            self._rules += blocks
        else:
            self._said += blocks
            self._drop("messages.role")

    def _add_assistant(self, message: Message) -> None:
        if message.reasoning_content:
            self._drop("messages.reasoning_content")
        blocks = text_blocks(message.content)
        if not blocks and message.refusal:
            blocks = text_blocks(message.refusal)
        blocks += [_use(call) for call in message.tool_calls or ()]
        if not blocks:
            return
        self._close_users_turn()
        if not self.turns:
            self._open()
        if self.turns[-1]["role"] == "assistant":
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": "assistant", "content": blocks})

    def _close_users_turn(self) -> None:
        """A later system message goes behind the user's turn that it came with: nowhere else is one taken."""
        if self._rules and not self._results and not self._said:
            self._said, self._rules = self._rules, []
            self._drop("messages.role")
        self.answers_tools = bool(self._results)
        if self._results or self._said:
            self.turns.append({"role": "user", "content": self._results + self._said})
        if self._rules:
            self.turns.append({"role": "system", "content": self._rules})
        self._results, self._said, self._rules = [], [], []

    def _open(self) -> None:
        self.turns.append({"role": "user", "content": text_blocks(_OPENING)})

    def _prefill(self) -> None:
        if not self._family.prefill:
            raise unsupported("this model does not go on from a message of the assistant", "messages")
        last = self.turns[-1]["content"][-1]
        if last["type"] == "text":
            last["text"] = last["text"].rstrip()  # it refuses white space at the end

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)


def text_blocks(content: str | list[Part] | None) -> list[Block]:
    """Text alone. Blank texts are left out, since they are refused."""
    parts = content if isinstance(content, list) else [Part("text", content or "")]
    texts = [(part, plain_text([part])) for part in parts]
    return [_marked({"type": "text", "text": text}, part) for part, text in texts if text.strip()]


def _blocks(content: str | list[Part] | None) -> list[Block]:
    """What a user says or a tool gives."""
    if not isinstance(content, list):
        return text_blocks(content)
    blocks: list[Block] = []
    for part in content:
        if part.type == "image_url":
            blocks.append(_marked({"type": "image", "source": _image(part)}, part))
        elif part.type == "file":
            blocks.append(_marked(_document(part), part))
        else:
            blocks += text_blocks([part])
    return blocks


def _marked(block: Block, part: Part) -> Block:
    return block if part.cache_control is None else block | {"cache_control": part.cache_control}


def _image(part: Part) -> dict[str, str]:
    url = part.image
    start = _DATA_URL.match(url)
    if start is not None:
        kind = start[1].lower().replace("image/jpg", "image/jpeg")
        if kind in _IMAGES:
            return {"type": "base64", "media_type": kind, "data": url[start.end() :]}
        raise unsupported("images other than JPEG, PNG, GIF and WebP are not available at this provider", "messages")
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise unsupported("an image is neither a base64 data URL nor at an http URL", "messages")


def _document(part: Part) -> Block:
    data = part.file.file_data if part.file else None
    start = _DATA_URL.match(data or "")
    if part.file is None or data is None or start is None or start[1].lower() != _PDF:
        raise unsupported("files other than PDF as a base64 data URL are not available at this provider", "messages")
    block: Block = {
        "type": "document",
        "source": {"type": "base64", "media_type": _PDF, "data": data[start.end() :]},
    }
    return block | {"title": part.file.filename} if part.file.filename else block


def _result(message: Message) -> Block:
    content = message.content if isinstance(message.content, str) else _blocks(message.content)
    return {"type": "tool_result", "tool_use_id": _tool_id(message.tool_call_id or ""), "content": content}


def _use(call: ToolCall) -> Block:
    if call.function is None:
        raise unsupported("tool calls other than functions are not available at this provider", "messages")
    arguments = arguments_object(call.function)
    return {"type": "tool_use", "id": _tool_id(call.id), "name": call.function.name, "input": arguments}


def _tool_id(given: str) -> str:
    """An id of another provider, in letters that Anthropic takes: for a call and for its result the same."""
    if _TOOL_ID.fullmatch(given):
        return given
    return "toolu_" + hashlib.sha256(given.encode()).hexdigest()[:24]
