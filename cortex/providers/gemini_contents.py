"""A conversation as Gemini takes it: turns of `user` and `model`, each a list of parts.

The system's words stand apart and in front; those that come later become the user's, since there is no place for them.
Results of tools are the user's, all of a step in one turn, each under its function's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cortex.chat import Json
from cortex.errors import bad_request
from cortex.providers.canonical import Message, Part, ToolCall, arguments_object, plain_text, unsupported
from cortex.providers.gemini_models import Family

# Documented for calls that another model made, or whose signature the client has not kept.
_NO_SIGNATURE = "skip_thought_signature_validator"
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[^,;]*)*;base64,")
_NOTHING = {"text": " "}  # a turn without parts is refused


class Contents:
    """Built message by message. Raises Fault(UNSUPPORTED or BAD_REQUEST) for one that cannot be told."""

    def __init__(self, messages: Sequence[Message], family: Family) -> None:
        self.dropped: list[str] = []
        self.system: list[Json] = []  # parts
        self.turns: list[dict[str, Json]] = []
        self._family = family
        self._kind = ""  # of the last turn: user, model or result
        self._function_names: dict[str, str] = {}  # by id, of the calls so far
        for message in messages:
            self._add(message)
        if not self.turns and self.system:
            self._say("user", self.system)
            self.system = []
            self._drop("messages.role")
        if self._kind == "model" and family.fixed_sampling:
            raise unsupported("this model does not go on with a turn that the assistant has begun", "messages")

    def _add(self, message: Message) -> None:
        if message.name and message.role not in ("tool", "function"):
            self._drop("messages.name")
        match message.role:
            case "system" | "developer":
                self._system(plain_text(message.content))
            case "user":
                self._say("user", _user_parts(message.content) or [_NOTHING])
            case "assistant":
                self._say("model", [*_said(message), *self._calls(message.tool_calls or [])])
            case "tool" | "function":
                self._say("result", [self._result(message)])
            case role:
                raise bad_request(f"messages: the role {role!r} is unknown", param="messages")

    def _system(self, text: str) -> None:
        if not text:
            return
        if self.turns:
            self._say("user", [{"text": text}])
            self._drop("messages.role")
        else:
            self.system.append({"text": text})

    def _say(self, kind: str, parts: list[Json]) -> None:
        if not parts:
            return
        if kind == self._kind:
            self.turns[-1]["parts"] += parts
        else:
            self.turns.append({"role": "model" if kind == "model" else "user", "parts": parts})
            self._kind = kind

    def _calls(self, calls: Sequence[ToolCall]) -> list[Json]:
        """Only the first call of a step must be signed; any signature that there is goes back."""
        parts: list[Json] = []
        for call in calls:
            if call.function is None:
                raise unsupported("tool calls other than functions are not available at this provider", "messages")
            self._function_names[call.id] = call.function.name
            made = {"name": call.function.name, "args": arguments_object(call.function)}
            part: dict[str, Json] = {"functionCall": {"id": call.id, **made} if call.id else made}
            signature = _signature(call.extra_content)
            if signature is None and not parts and self._family.signed_calls:
                signature = _NO_SIGNATURE
            if signature is not None:
                part["thoughtSignature"] = signature
            parts.append(part)
        return parts

    def _result(self, message: Message) -> Json:
        call_id = message.tool_call_id or ""
        name = self._function_names.get(call_id) or message.name
        if not name:
            raise bad_request(f"messages: no tool call before this result has the id {call_id!r}", param="messages")
        made = {"name": name, "response": {"output": plain_text(message.content)}}
        return {"functionResponse": {"id": call_id, **made} if call_id else made}

    def _drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)


def _said(message: Message) -> list[Json]:
    """The assistant's words. Its thoughts stay out: without Gemini's signature they are no thoughts of Gemini's."""
    if isinstance(message.content, list):
        texts = [plain_text([part]) for part in message.content]
    else:
        texts = [message.content or message.refusal or ""]
    return [{"text": text} for text in texts if text]


def _user_parts(content: str | list[Part] | None) -> list[Json]:
    if not isinstance(content, list):
        return [{"text": content}] if content else []
    return [_user_part(part) for part in content if part.type != "text" or part.text]


def _user_part(part: Part) -> Json:
    match part.type:
        case "text":
            return {"text": part.text}
        case "image_url":
            return _inline(part.image, "an image")
        case "input_audio" if part.input_audio is not None:
            sound = part.input_audio
            return {"inlineData": {"mimeType": f"audio/{sound.format}", "data": sound.data}}
        case "file" if part.file is not None and part.file.file_data:
            return _inline(part.file.file_data, "a file")
        case kind:
            raise unsupported(f"a part of type {kind} is not available here", "messages")


def _inline(url: str, what: str) -> Json:
    """Gemini fetches nothing from elsewhere, and Cortex fetches nothing for a client."""
    start = _DATA_URL.match(url)
    if start is None:
        raise unsupported(f"{what} elsewhere is not available at this provider: send a base64 data URL", "messages")
    return {"inlineData": {"mimeType": start[1], "data": url[start.end() :]}}


def _signature(extra_content: Json) -> str | None:
    google = extra_content.get("google") if isinstance(extra_content, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None
