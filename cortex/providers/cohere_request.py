"""A canonical request as Cohere's API takes it, version 2.

Numbers outside Cohere's ranges are brought to their ends and named. What Cohere has and OpenAI lacks (documents to
cite, a safety mode, thinking in its own form) goes through from a client that knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cortex.chat import ChatRequest, Json
from cortex.embeddings import EmbeddingsRequest
from cortex.errors import bad_request
from cortex.providers.canonical import (
    Function,
    Message,
    Tool,
    ToolChoice,
    asks_nothing,
    input_count,
    is_null,
    narrow_tools,
    read_format,
    refuse,
    take,
    typed,
    unsupported,
)
from cortex.providers.codec import Encoded, Model
from cortex.providers.cohere_messages import Renamed, called, messages_for
from cortex.providers.cohere_models import Family, family_of

# A request that asks for one of these goes to another provider: without it the answer would be another one.
_REFUSED = ("n", "functions", "function_call", "audio", "modalities", "prediction", "web_search_options")
_MAX_STOPS = 5

# OpenAI's members, and Cohere's own, with their ranges. The last of two that share a name wins.
_NUMBERS: Mapping[str, tuple[str, float, float]] = {
    "temperature": ("temperature", 0.0, 1.0),
    "top_p": ("p", 0.01, 0.99),
    "p": ("p", 0.01, 0.99),
    "frequency_penalty": ("frequency_penalty", 0.0, 1.0),
    "presence_penalty": ("presence_penalty", 0.0, 1.0),
}
_INTEGERS: Mapping[str, tuple[str, int, int]] = {
    "max_tokens": ("max_tokens", 1, 2**31 - 1),
    "max_completion_tokens": ("max_tokens", 1, 2**31 - 1),
    "top_k": ("k", 0, 500),
    "k": ("k", 0, 500),
    "seed": ("seed", 0, 2**64 - 1),
}
_PASSED = ("logprobs", "documents", "citation_options", "safety_mode", "priority", "strict_tools")
_THINKING: Mapping[str, dict[str, Json]] = {
    "none": {"type": "disabled"},
    "minimal": {"type": "enabled", "token_budget": 1024},
    "low": {"type": "enabled", "token_budget": 1024},
    "medium": {"type": "enabled"},
    "high": {"type": "enabled"},
    "xhigh": {"type": "enabled"},
    "max": {"type": "enabled"},
}


def encode_chat(request: ChatRequest, model: Model) -> Encoded:
    """`memo` maps names of functions to the client's, where they differ. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    encoding = _Encoding(request, model)
    body = encoding.encoded()
    return Encoded(
        "/v2/chat",
        msgspec.json.encode(body),
        dropped=tuple(dict.fromkeys(encoding.dropped)),
        memo=encoding.renamed.originals,
    )


def encode_embeddings(request: EmbeddingsRequest, model: Model) -> Encoded:
    """`memo` is the number of vectors asked for. Raises Fault(UNSUPPORTED or BAD_REQUEST).

    `truncate: NONE`: a text that is too long is refused and never cut in silence.
    """
    members = {name: value for name, value in request.members.items() if not is_null(value)}
    given = members.pop("input")
    count = input_count(given, token_ids=False)
    texts = typed(given, str | list[str], "input")
    body: dict[str, Json] = {
        "model": model.name,
        "texts": [texts] if isinstance(texts, str) else texts,
        "input_type": members.pop("input_type", "search_document"),
        "embedding_types": ["float"],
        "truncate": members.pop("truncate", "NONE"),
    }
    if "dimensions" in members:
        body["output_dimension"] = members.pop("dimensions")
    for name in ("model", "encoding_format"):  # vectors always come as numbers
        members.pop(name, None)
    dropped = take(members, list(members))
    return Encoded("/v2/embed", msgspec.json.encode(body), dropped=tuple(dropped), memo=count)


class _Encoding:
    """One request on its way: members are taken out of `_members` as they find their place in `_body`."""

    def __init__(self, request: ChatRequest, model: Model) -> None:
        self.dropped: list[str] = []
        self.renamed = Renamed(())
        self._members = {name: value for name, value in request.members.items() if not is_null(value)}
        for name in ("model", "stream", "stream_options"):  # usage comes unasked
            self._members.pop(name, None)
        self._family: Family = family_of(model.name)
        self._body: dict[str, Json] = {"model": model.name, "stream": request.stream}

    def encoded(self) -> dict[str, Json]:
        refuse(self._members, _REFUSED)
        messages = typed(self._members.pop("messages", b"[]"), list[Message], "messages")
        functions = self._functions()
        self.renamed = Renamed([function.name for function in functions] + called(messages))
        self._body["messages"], names = messages_for(messages, self.renamed)
        self.dropped += names
        if functions:
            self._offer(functions)
        self._format()
        self._think()
        self._stop()
        self._number(_NUMBERS, float)
        self._number(_INTEGERS, int)
        self._body |= {name: self._members.pop(name) for name in _PASSED if name in self._members}
        self.dropped += take(self._members, list(self._members))
        return self._body

    def _functions(self) -> list[Function]:
        """What may be called. Cohere knows no choice of one: that one alone is offered, and some call required."""
        asked = self._members.pop("tool_choice", msgspec.Raw(b'"auto"'))
        tools = self._members.pop("tools", None)
        if tools is None or asks_nothing("tools", tools):
            return []
        kept, choice = narrow_tools(tools, typed(asked, str | ToolChoice, "tool_choice"), one=True)
        if choice not in ("auto", "none", "required"):
            raise bad_request("tool_choice: auto, none, required or a tool is expected", param="tool_choice")
        if not kept or (choice == "none" and not self._family.tool_choice):
            return []
        if choice != "auto" and self._family.tool_choice:
            self._body["tool_choice"] = str(choice).upper()
        elif choice == "required":
            self.dropped.append("tool_choice")
        return [typed(each, Tool, "tools").function for each in kept]

    def _offer(self, functions: list[Function]) -> None:
        self._body["tools"] = [self._tool(function) for function in functions]
        if all(function.strict for function in functions):
            self._body["strict_tools"] = True
        elif any(function.strict for function in functions):
            self.dropped.append("tools.strict")

    def _tool(self, function: Function) -> dict[str, Json]:
        schema = function.parameters or {}
        schema = {"type": msgspec.Raw(b'"object"'), "properties": msgspec.Raw(b"{}")} | schema
        told = {"name": self.renamed(function.name), "description": function.description, "parameters": schema}
        return {"type": "function", "function": {name: value for name, value in told.items() if value is not None}}

    def _format(self) -> None:
        if "response_format" not in self._members:
            return
        form, schema = read_format(self._members.pop("response_format"))
        if form == "text":
            return
        if "tools" in self._body or "documents" in self._members:
            message = "JSON answers cannot be combined with tools or documents at this provider"
            raise unsupported(message, "response_format")
        asked: dict[str, Json] = {"type": "json_object"}
        if form == "json_schema":
            asked["json_schema"] = schema
        self._body["response_format"] = asked

    def _think(self) -> None:
        if "reasoning_effort" in self._members:
            effort = typed(self._members.pop("reasoning_effort"), str, "reasoning_effort")
            if effort not in _THINKING:
                message = f"reasoning_effort: one of {', '.join(_THINKING)} is expected"
                raise bad_request(message, param="reasoning_effort")
            if self._family.thinking:
                self._body["thinking"] = _THINKING[effort]
            elif effort != "none":
                self.dropped.append("reasoning_effort")
        if "thinking" in self._members:  # Cohere's own member stands above reasoning_effort
            self._body["thinking"] = self._members.pop("thinking")

    def _stop(self) -> None:
        if "stop" not in self._members:
            return
        stop = typed(self._members.pop("stop"), str | list[str], "stop")
        sequences = [stop] if isinstance(stop, str) else stop
        if len(sequences) > _MAX_STOPS:
            raise unsupported(f"at most {_MAX_STOPS} stop sequences are available at this provider", "stop")
        if sequences:
            self._body["stop_sequences"] = sequences

    def _number(self, ranges: Mapping[str, tuple[str, Any, Any]], form: type) -> None:
        for name, (theirs, least, most) in ranges.items():
            if name in self._members:
                value = typed(self._members.pop(name), form, name)
                self._body[theirs] = min(max(value, least), most)
                if not least <= value <= most:
                    self.dropped.append(name)
