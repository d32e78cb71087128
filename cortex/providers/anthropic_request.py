"""A canonical request as Anthropic's Messages API takes it.

What a request may hold depends on the API's version and on the model's family. Where thinking cannot be, because the
assistant's turn that tools answer has come back without its signed thoughts or because a tool must be called, it is
switched off and named.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cortex.chat import ChatRequest, Json
from cortex.errors import bad_request
from cortex.providers.anthropic_messages import Conversation, text_blocks
from cortex.providers.anthropic_models import Family, family_of
from cortex.providers.canonical import (
    Message,
    Tool,
    ToolChoice,
    asks_nothing,
    is_null,
    narrow_tools,
    read_format,
    refuse,
    take,
    typed,
)
from cortex.providers.codec import Encoded, Model

FIRST_VERSION = "2023-06-01"  # the last one under which any model takes sampling members

# A request that asks for one of these goes to another provider: without it the answer would be another one.
_REFUSED = (
    "n",
    "logprobs",
    "top_logprobs",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "web_search_options",
)
_UNKNOWN_MAX_TOKENS = 8192  # for models whose own limit is unknown
_DEFAULT_MAX_TOKENS = 32_000  # the most that is asked for unasked: the member is required
_BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 4096,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 32_768,
}
_SMALLEST_BUDGET = 1024
_EFFORTS = ("none", *_BUDGETS)
_TIERS: Mapping[str, str] = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_JSON_ONLY = "Answer with one JSON object and nothing else: no text around it, no code fence."
_MUST_CALL = "You must answer by calling one of the tools, whatever is asked."


def encode_chat(request: ChatRequest, model: Model, version: str) -> Encoded:
    """Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    body, dropped = _Encoding(request, model, version).encoded()
    headers = {"anthropic-version": version}
    return Encoded("/v1/messages", msgspec.json.encode(body), headers=headers, dropped=tuple(dict.fromkeys(dropped)))


class _Encoding:
    """One request on its way: members are taken out of `_members` as they find their place in `_body`."""

    def __init__(self, request: ChatRequest, model: Model, version: str) -> None:
        self._members = {name: value for name, value in request.members.items() if not is_null(value)}
        for name in ("model", "stream_options"):  # usage comes unasked
            self._members.pop(name, None)
        self._family: Family = family_of(model.name)
        self._model = model
        self._sampling = self._family.sampling and version == FIRST_VERSION
        self._dropped: list[str] = []
        self._instructions: list[str] = []  # what stands for members that the provider lacks
        self._body: dict[str, Json] = {"model": model.name}
        self._members.pop("stream", None)
        if request.stream:
            self._body["stream"] = True

    def encoded(self) -> tuple[dict[str, Json], list[str]]:
        """The body, and the names of what had to go."""
        refuse(self._members, _REFUSED)
        self._limit()
        messages = typed(self._members.pop("messages", b"[]"), list[Message], "messages")
        conversation = Conversation(messages, self._family)
        self._dropped += conversation.dropped
        forced = self._tools()
        thinking = self._thinking(possible=not forced and not conversation.answers_tools)
        self._sample(thinking=thinking)
        self._format()
        self._rename()
        self._dropped += take(self._members, list(self._members))
        system = conversation.system + text_blocks("\n".join(self._instructions))
        if system:
            self._body["system"] = system
        self._body["messages"] = conversation.turns
        return self._body, self._dropped

    def _limit(self) -> None:
        largest = self._model.max_output_tokens
        asked: int | None = None
        for name in ("max_tokens", "max_completion_tokens"):
            if name in self._members:
                asked = typed(self._members.pop(name), int, name)
                if largest is not None and asked > largest:
                    self._dropped.append(name)
        if asked is None:
            asked = min(largest or _UNKNOWN_MAX_TOKENS, _DEFAULT_MAX_TOKENS)
        self._body["max_tokens"] = asked if largest is None else min(asked, largest)

    def _tools(self) -> bool:
        """Whether the model must call a tool."""
        asked = self._members.pop("tool_choice", msgspec.Raw(b'"auto"'))
        tools = self._members.pop("tools", None)
        parallel = self._members.pop("parallel_tool_calls", msgspec.Raw(b"true"))
        if tools is None or asks_nothing("tools", tools):
            return False
        given = typed(asked, str | ToolChoice, "tool_choice")
        kept, left = narrow_tools(tools, given, one=not self._family.forced_tools)
        if not kept:
            return False
        self._body["tools"] = [_tool(typed(each, Tool, "tools")) for each in kept]
        choice: dict[str, Json]
        if isinstance(left, ToolChoice) and left.function is not None:
            choice = {"type": "tool", "name": left.function.name}
        elif left == "required":
            choice = {"type": "any"}
        elif left in ("auto", "none"):
            choice = {"type": left}
        else:
            raise bad_request("tool_choice: auto, none, required or a tool is expected", param="tool_choice")
        forced = choice["type"] in ("any", "tool")
        if forced and not self._family.forced_tools:
            choice, forced = {"type": "auto"}, False
            self._instructions.append(_MUST_CALL)
            self._dropped.append("tool_choice")
        if choice["type"] != "none" and not typed(parallel, bool, "parallel_tool_calls"):
            choice["disable_parallel_tool_use"] = True
        if choice != {"type": "auto"}:
            self._body["tool_choice"] = choice
        return forced

    def _thinking(self, *, possible: bool) -> bool:
        """Whether the model was asked to think. Models that always do need no signed thoughts."""
        if "reasoning_effort" not in self._members:
            return False
        effort = typed(self._members.pop("reasoning_effort"), str, "reasoning_effort")
        if effort not in _EFFORTS:
            raise bad_request(f"reasoning_effort: one of {', '.join(_EFFORTS)} is expected", param="reasoning_effort")
        family = self._family
        if family.thinking == "adaptive":
            return self._adapt(effort, possible=possible or family.always_thinks)
        if effort == "none":
            return False
        room = self._body["max_tokens"] // 2  # thoughts count as output: half is left for the answer
        if family.thinking == "none" or room < _SMALLEST_BUDGET or not possible:
            self._dropped.append("reasoning_effort")
            return False
        self._body["thinking"] = {"type": "enabled", "budget_tokens": min(_BUDGETS[effort], room)}
        return True

    def _adapt(self, effort: str, *, possible: bool) -> bool:
        if effort == "none":
            if self._family.always_thinks:
                self._dropped.append("reasoning_effort")
            else:
                self._body["thinking"] = {"type": "disabled"}
            return False
        if effort == "xhigh" and not self._family.xhigh:
            effort = "high"
            self._dropped.append("reasoning_effort")
        self._body["output_config"] = {"effort": "low" if effort == "minimal" else effort}
        if possible:
            self._body["thinking"] = {"type": "adaptive", "display": "summarized"}
        else:
            self._body["thinking"] = {"type": "disabled"}
            self._dropped.append("reasoning_effort")
        return possible

    def _sample(self, *, thinking: bool) -> None:
        """Temperature and top_p go together nowhere, and neither goes with thinking."""
        names = [name for name in ("temperature", "top_p", "top_k") if name in self._members]
        for name in names:
            value = typed(self._members.pop(name), float, name)
            if name != "top_k" and value == 1.0:
                continue  # the default
            if not self._sampling or thinking or (name == "top_p" and "temperature" in self._body):
                self._dropped.append(name)
            elif name == "top_k":
                self._body[name] = int(value)
            else:
                self._body[name] = min(value, 1.0)
                if value > 1.0:
                    self._dropped.append(name)

    def _format(self) -> None:
        if "response_format" not in self._members:
            return
        form, schema = read_format(self._members.pop("response_format"))
        if form == "json_object":
            self._instructions.append(_JSON_ONLY)
            self._dropped.append("response_format")
        elif form == "json_schema":
            asked = {"type": "json_schema", "schema": schema}
            self._body["output_config"] = self._body.get("output_config", {}) | {"format": asked}

    def _rename(self) -> None:
        if "stop" in self._members:
            stop = typed(self._members.pop("stop"), str | list[str], "stop")
            given = [stop] if isinstance(stop, str) else stop
            sequences = [each for each in given if each.strip()]  # white space alone is refused
            if sequences:
                self._body["stop_sequences"] = sequences
            if len(sequences) < len(given):
                self._dropped.append("stop")
        for name in ("user", "safety_identifier"):
            if name in self._members:
                self._body["metadata"] = {"user_id": typed(self._members.pop(name), str, name)}
        if "service_tier" in self._members:
            tier = typed(self._members.pop("service_tier"), str, "service_tier")
            if tier in _TIERS:
                self._body["service_tier"] = _TIERS[tier]
            else:
                self._dropped.append("service_tier")


def _tool(tool: Tool) -> dict[str, Json]:
    function = tool.function
    schema = function.parameters or {}
    if "type" not in schema:
        schema = {"type": msgspec.Raw(b'"object"'), **schema}
    told: dict[str, Json] = {"name": function.name, "description": function.description, "input_schema": schema}
    told |= {"strict": function.strict or None, "cache_control": tool.cache_control}
    return {name: value for name, value in told.items() if value is not None}
