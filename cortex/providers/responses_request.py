"""A chat request as OpenAI's Responses API takes it: messages and tool calls become items of one input.

Nothing is stored there unless the client asks for it. Thoughts do not go back: sealed as they are, only keys of the
organization that they were made for open them, and a conversation may go on with another key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from cortex.chat import ChatRequest, Json
from cortex.errors import bad_request
from cortex.providers.canonical import (
    Function,
    Message,
    Part,
    ToolCall,
    ToolChoice,
    asks_nothing,
    is_null,
    plain_text,
    refuse,
    take,
    typed,
    unsupported,
)
from cortex.providers.codec import Encoded, Model

PATH = "/responses"

# A request that asks for one of these goes to another provider: without it the answer would be another one.
_REFUSED = ("n", "stop", "functions", "function_call", "audio", "modalities")
_PASSED = (
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
)
_LEAST_OUTPUT_TOKENS = 16
_MAX_ID_CHARS = 64
_NO_PARAMETERS: Mapping[str, Json] = {"type": "object", "properties": {}}


class _Tool(msgspec.Struct):
    type: str = "function"
    function: Function | None = None


class _Schema(msgspec.Struct, omit_defaults=True):
    name: str
    schema: dict[str, msgspec.Raw] | None = None
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


class _Location(msgspec.Struct):
    approximate: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class _WebSearch(msgspec.Struct):
    search_context_size: str | None = None
    user_location: _Location | None = None


def encode_chat(request: ChatRequest, model: Model) -> Encoded:
    """Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    body, dropped = _Encoding(request, model).encoded()
    return Encoded(PATH, msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


class _Encoding:
    """One request on its way: members are taken out of `_members` as they find their place in `_body`."""

    def __init__(self, request: ChatRequest, model: Model) -> None:
        self._members = {name: value for name, value in request.members.items() if not is_null(value)}
        for name in ("model", "stream", "stream_options"):  # usage comes unasked
            self._members.pop(name, None)
        self._dropped: list[str] = []
        self._body: dict[str, Json] = {"model": model.name, "stream": request.stream, "store": False}

    def encoded(self) -> tuple[dict[str, Json], list[str]]:
        """The body, and the names of what had to go."""
        refuse(self._members, _REFUSED)
        self._input(typed(self._members.pop("messages", b"[]"), list[Message], "messages"))
        self._tools()
        self._limit()
        self._sample(thinking=self._think())
        self._text()
        self._probabilities()
        self._body |= {name: self._members.pop(name) for name in _PASSED if name in self._members}
        self._dropped += take(self._members, list(self._members))
        return self._body, self._dropped

    def _input(self, messages: list[Message]) -> None:
        self._body["input"] = [item for message in messages for item in _items(message)]
        if any(message.name and message.role != "tool" for message in messages):
            self._dropped.append("messages.name")
        if any(message.reasoning_content for message in messages):
            self._dropped.append("messages.reasoning_content")

    def _tools(self) -> None:
        choice = self._members.pop("tool_choice", None)
        given = self._members.pop("tools", msgspec.Raw(b"[]"))
        tools = (
            [] if asks_nothing("tools", given) else [_tool(each) for each in typed(given, list[msgspec.Raw], "tools")]
        )
        if "web_search_options" in self._members:
            tools.append(_web_search(self._members.pop("web_search_options")))
        if tools:
            self._body["tools"] = tools
            if choice is not None:
                self._body["tool_choice"] = _choice(typed(choice, str | ToolChoice, "tool_choice"))

    def _limit(self) -> None:
        old = self._members.pop("max_tokens", None)
        name = "max_completion_tokens" if "max_completion_tokens" in self._members else "max_tokens"
        if (given := self._members.pop(name, old)) is not None:
            asked = typed(given, int, name)
            self._body["max_output_tokens"] = max(asked, _LEAST_OUTPUT_TOKENS)
            if asked < _LEAST_OUTPUT_TOKENS:
                self._dropped.append(name)

    def _think(self) -> bool:
        """Whether the model thinks, as all of these do that are not told otherwise."""
        effort: str | None = None
        if "reasoning_effort" in self._members:
            effort = typed(self._members.pop("reasoning_effort"), str, "reasoning_effort")
            self._body["reasoning"] = {"effort": effort}
        if "reasoning" in self._members:  # its own member stands above reasoning_effort
            own = typed(self._members.pop("reasoning"), dict[str, msgspec.Raw], "reasoning")
            self._body["reasoning"] = self._body.get("reasoning", {}) | own
        return effort != "none"

    def _sample(self, *, thinking: bool) -> None:
        for name in ("temperature", "top_p"):
            if name in self._members:
                value = typed(self._members.pop(name), float, name)
                if not thinking:
                    self._body[name] = value
                elif value != 1.0:
                    self._dropped.append(name)

    def _text(self) -> None:
        text: dict[str, Json] = {}
        if "response_format" in self._members:
            form = typed(self._members.pop("response_format"), _Format, "response_format")
            text["format"] = {"type": form.type}
            if form.type == "json_schema":
                if form.json_schema is None:
                    raise bad_request("response_format: json_schema is missing", param="response_format")
                text["format"] |= msgspec.to_builtins(form.json_schema, builtin_types=(msgspec.Raw,))
        if "verbosity" in self._members:
            text["verbosity"] = self._members.pop("verbosity")
        if text:
            self._body["text"] = text

    def _probabilities(self) -> None:
        most = self._members.pop("top_logprobs", None)
        if typed(self._members.pop("logprobs", b"false"), bool, "logprobs"):
            self._body["include"] = ["message.output_text.logprobs"]
            if most is not None:
                self._body["top_logprobs"] = most


def _items(message: Message) -> Iterator[dict[str, Json]]:
    if message.role in ("system", "developer", "user"):
        yield {"role": message.role, "content": _content(message.content)}
    elif message.role == "assistant":
        if text := plain_text(message.content) or message.refusal:
            yield {"role": "assistant", "content": text}
        for call in message.tool_calls or ():
            yield _call(call)
    elif message.role == "tool":
        called = _call_id(message.tool_call_id or "")
        yield {"type": "function_call_output", "call_id": called, "output": _content(message.content)}
    else:
        raise bad_request(f"messages: there is no role {message.role[:40]} at this provider", param="messages")


def _call(call: ToolCall) -> dict[str, Json]:
    if call.function is None:
        raise unsupported("tool calls other than functions are not available at this model", "messages")
    arguments = call.function.arguments or "{}"
    return {
        "type": "function_call",
        "call_id": _call_id(call.id),
        "name": call.function.name,
        "arguments": arguments,
    }


def _call_id(given: str) -> str:
    """An id of another provider at a length that is taken: for a call and for its result the same."""
    if len(given) <= _MAX_ID_CHARS:
        return given
    return "call_" + hashlib.sha256(given.encode()).hexdigest()[:32]


def _content(content: str | list[Part] | None) -> str | list[dict[str, Json]]:
    if not isinstance(content, list):
        return content or ""
    return [_part(part) for part in content]


def _part(part: Part) -> dict[str, Json]:
    if part.type == "image_url":
        detail = getattr(part.image_url, "detail", None)
        return {"type": "input_image", "image_url": part.image, "detail": detail or "auto"}
    if part.type == "file" and part.file is not None:
        told = {"file_data": part.file.file_data, "file_id": part.file.file_id, "filename": part.file.filename}
        return {"type": "input_file"} | {name: value for name, value in told.items() if value is not None}
    return {"type": "input_text", "text": plain_text([part])}


def _tool(given: msgspec.Raw) -> Json:
    """Tools that run at OpenAI go through as they are: chat completions knows none of them by these types."""
    tool = typed(given, _Tool, "tools")
    if tool.type == "custom" or (tool.type == "function" and tool.function is None):
        raise unsupported(f"tools of type {tool.type} are not available at this model in this form", "tools")
    if tool.function is None:
        return given
    function = tool.function
    told: dict[str, Json] = {"type": "function", "name": function.name}
    if function.description is not None:
        told["description"] = function.description
    # Left out, `strict` is true there and false in chat completions.
    return told | {"parameters": function.parameters or _NO_PARAMETERS, "strict": function.strict or False}


def _choice(choice: str | ToolChoice) -> Json:
    if isinstance(choice, str):
        return choice
    if choice.allowed_tools is not None:
        allowed = [
            {"type": "function", "name": tool.function.name} for tool in choice.allowed_tools.tools if tool.function
        ]
        return {"type": "allowed_tools", "mode": choice.allowed_tools.mode, "tools": allowed}
    if choice.function is not None:
        return {"type": "function", "name": choice.function.name}
    raise unsupported(f"a tool_choice of type {choice.type} is not available at this model", "tool_choice")


def _web_search(value: msgspec.Raw) -> Json:
    asked = typed(value, _WebSearch, "web_search_options")
    tool: dict[str, Json] = {"type": "web_search"}
    if asked.search_context_size is not None:
        tool["search_context_size"] = asked.search_context_size
    if asked.user_location is not None:
        tool["user_location"] = {"type": "approximate"} | asked.user_location.approximate
    return tool
