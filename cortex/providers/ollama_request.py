"""A canonical request as Ollama's native API takes it.

Sampling members become typed `options`, because a wrongly typed option is answered with 500; content becomes one string
with the images beside it; tool arguments become objects. `truncate: false` goes with every call, so that a prompt that
is too long is refused and never cut in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cortex.chat import ChatRequest, Json
from cortex.embeddings import EmbeddingsRequest
from cortex.errors import bad_request
from cortex.providers.canonical import (
    Message,
    Part,
    ToolCall,
    ToolChoice,
    arguments_object,
    asks_nothing,
    input_count,
    is_null,
    narrow_tools,
    plain_text,
    read_format,
    refuse,
    take,
    typed,
    unsupported,
)
from cortex.providers.codec import Encoded, Model

Members = dict[str, msgspec.Raw]

# A request that asks for one of these goes to another provider: without it the answer would be another one.
_REFUSED = ("n", "functions", "function_call", "audio", "modalities", "prediction", "web_search_options")
# OpenAI's members that Ollama has under `options`, with the type it insists on. The last of two that share a name wins.
_OPTIONS: Mapping[str, tuple[str, Any]] = {
    "temperature": ("temperature", float),
    "top_p": ("top_p", float),
    "top_k": ("top_k", int),
    "min_p": ("min_p", float),
    "seed": ("seed", int),
    "stop": ("stop", str | list[str]),
    "frequency_penalty": ("frequency_penalty", float),
    "presence_penalty": ("presence_penalty", float),
    "repeat_penalty": ("repeat_penalty", float),
    "max_tokens": ("num_predict", int),
    "max_completion_tokens": ("num_predict", int),
}
_PASSED = ("keep_alive", "logprobs", "top_logprobs")
_LEVELS: Mapping[str, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    **dict.fromkeys(("high", "xhigh", "max"), "high"),
}
_EFFORTS = ("none", *_LEVELS)
_WITH_LEVELS = "gpt-oss"  # in the names of models that tell levels of thinking apart; others think or do not
_DATA_URL = re.compile(r"data:[^,;]*(?:;[^,;]*)*;base64,")


def encode_chat(request: ChatRequest, model: Model) -> Encoded:
    """Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    members = {name: value for name, value in request.members.items() if not is_null(value)}
    body: dict[str, Json] = {"model": model.name}
    messages = typed(members.pop("messages", b"[]"), list[Message], "messages")
    body["messages"] = _messages(messages)
    body["stream"] = request.stream
    body["truncate"] = False
    for name in ("model", "stream", "stream_options"):
        members.pop(name, None)
    refuse(members, _REFUSED)
    dropped = ["messages.name"] if any(m.name and m.role not in ("tool", "function") for m in messages) else []
    dropped += _tools(members, body)
    _think(members, body)
    if "response_format" in members:
        _format(members.pop("response_format"), body)
    if options := _options(members, model):
        body["options"] = options
    body |= {name: members.pop(name) for name in _PASSED if name in members}
    dropped += take(members, list(members))
    return Encoded("/api/chat", msgspec.json.encode(body), dropped=tuple(dropped))


def encode_embeddings(request: EmbeddingsRequest, model: Model) -> Encoded:
    """`memo` is the number of vectors asked for. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    members = {name: value for name, value in request.members.items() if not is_null(value)}
    given = members.pop("input")
    count = input_count(given, token_ids=False)
    body: dict[str, Json] = {"model": model.name, "input": given, "truncate": False}
    members.pop("model", None)
    members.pop("encoding_format", None)  # vectors always come as numbers
    body |= {name: members.pop(name) for name in ("dimensions", "keep_alive") if name in members}
    if options := _options(members, model):
        body["options"] = options
    dropped = take(members, list(members))
    return Encoded("/api/embed", msgspec.json.encode(body), dropped=tuple(dropped), memo=count)


def _options(members: Members, model: Model) -> dict[str, Json]:
    """The client's own `options` stand above what is made of OpenAI's members."""
    options: dict[str, Json] = {}
    if model.context_tokens is not None:
        options["num_ctx"] = model.context_tokens
    for name, (option, form) in _OPTIONS.items():
        if name in members:
            value = typed(members.pop(name), form, name)
            options[option] = [value] if name == "stop" and isinstance(value, str) else value
    if "options" in members:
        options |= typed(members.pop("options"), dict[str, msgspec.Raw], "options")
    return options


def _tools(members: Members, body: dict[str, Json]) -> list[str]:
    """Ollama always lets the model choose among the tools: a choice can only narrow them."""
    asked = members.pop("tool_choice", msgspec.Raw(b'"auto"'))
    tools = members.pop("tools", None)
    if tools is None or asks_nothing("tools", tools):
        return []
    choice = typed(asked, str | ToolChoice, "tool_choice")
    if choice == "none":
        return []
    kept, choice = narrow_tools(tools, choice, one=True)
    if choice != "none":
        body["tools"] = kept
    return ["tool_choice"] if choice == "required" else []


def _format(value: msgspec.Raw, body: dict[str, Json]) -> None:
    form, schema = read_format(value)
    if form != "text":
        body["format"] = schema if form == "json_schema" else "json"


def _think(members: Members, body: dict[str, Json]) -> None:
    """Ollama's own member stands above reasoning_effort."""
    if "reasoning_effort" in members:
        effort = typed(members.pop("reasoning_effort"), str, "reasoning_effort")
        if effort not in _EFFORTS:
            expected = ", ".join(_EFFORTS)
            raise bad_request(f"reasoning_effort: one of {expected} is expected", param="reasoning_effort")
        body["think"] = _LEVELS.get(effort, False) if _WITH_LEVELS in body["model"] else effort != "none"
    if "think" in members:
        body["think"] = members.pop("think")


def _messages(messages: list[Message]) -> list[dict[str, Json]]:
    names = {call.id: call.function.name for message in messages for call in message.tool_calls or () if call.function}
    return [_message(message, names) for message in messages]


def _message(message: Message, function_names: Mapping[str, str]) -> dict[str, Json]:
    if message.role in ("tool", "function"):
        name = message.name or function_names.get(message.tool_call_id or "")
        result = {"role": "tool", "tool_name": name, "tool_call_id": message.tool_call_id}
        return {key: value for key, value in result.items() if value} | {"content": plain_text(message.content)}
    role = "system" if message.role == "developer" else message.role
    texts, images = _content(message.content)
    said: dict[str, Json] = {"role": role, "content": texts or message.refusal or ""}
    if images:
        said["images"] = images
    if message.reasoning_content:
        said["thinking"] = message.reasoning_content
    if message.tool_calls:
        said["tool_calls"] = [_call(call) for call in message.tool_calls]
    return said


def _content(content: str | list[Part] | None) -> tuple[str, list[str]]:
    if not isinstance(content, list):
        return content or "", []
    images = [_image(part) for part in content if part.type == "image_url"]
    return plain_text([part for part in content if part.type != "image_url"]), images


def _image(part: Part) -> str:
    """Bare base64, which is all that Ollama takes; it fetches nothing, and neither does Cortex."""
    start = _DATA_URL.match(part.image)
    if start is None:
        raise unsupported("images at a URL are not available at this provider: send a base64 data URL", "messages")
    return part.image[start.end() :]


def _call(call: ToolCall) -> dict[str, Json]:
    if call.function is None:
        raise unsupported("tool calls other than functions are not available at this provider", "messages")
    made = {"function": {"name": call.function.name, "arguments": arguments_object(call.function)}}
    return {"id": call.id, **made} if call.id else made
