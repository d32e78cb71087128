"""A canonical request as Gemini's generateContent and batchEmbedContents take it.

The version is v1beta: the names that stand for the newest model, `gemini-flash-latest` and its like, exist only there.
The model is part of the path, and a stream is asked for by the method's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

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
from cortex.providers.gemini_contents import Contents
from cortex.providers.gemini_models import EFFORTS, Family, family_of

Members = dict[str, msgspec.Raw]

VERSION = "/v1beta"
_MAX_STOPS = 5
_SEED_MASK = 2**31 - 1

# A request that asks for one of these goes to another provider: without it the answer would be another one.
_REFUSED = ("n", "functions", "function_call", "audio", "modalities", "web_search_options")
_SAMPLING = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")
# OpenAI's members that Gemini has in generationConfig under another name. The last of two that share a name wins.
_CONFIG: Mapping[str, tuple[str, Any]] = {
    "temperature": ("temperature", float),
    "top_p": ("topP", float),
    "top_k": ("topK", int),
    "presence_penalty": ("presencePenalty", float),
    "frequency_penalty": ("frequencyPenalty", float),
    "max_tokens": ("maxOutputTokens", int),
    "max_completion_tokens": ("maxOutputTokens", int),
}
_MODES: Mapping[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def encode_chat(request: ChatRequest, model: Model) -> Encoded:
    """Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    body, dropped = chat_body(request, model)
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    return Encoded(path_to(model, method), msgspec.json.encode(body), dropped=dropped)


def chat_body(request: ChatRequest, model: Model) -> tuple[dict[str, Json], tuple[str, ...]]:
    """The request without its path, and what had to go. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    family = family_of(model.name)
    members = {name: value for name, value in request.members.items() if not is_null(value)}
    contents = Contents(typed(members.pop("messages", b"[]"), list[Message], "messages"), family)
    for name in ("model", "stream", "stream_options"):
        members.pop(name, None)
    refuse(members, _REFUSED)
    dropped = contents.dropped
    body: dict[str, Json] = {}
    if contents.system:
        body["systemInstruction"] = {"parts": contents.system}
    body["contents"] = contents.turns
    dropped += _tools(members, body)
    if family.fixed_sampling:
        dropped += take(members, _SAMPLING)
    config, lost = _config(members, family)
    if config:
        body["generationConfig"] = config
    dropped += lost + take(members, list(members))
    return body, tuple(dropped)


def encode_embeddings(request: EmbeddingsRequest, model: Model) -> Encoded:
    """`memo` is the number of vectors asked for. `task_type` is Gemini's own member.

    Raises Fault(UNSUPPORTED or BAD_REQUEST).
    """
    members = {name: value for name, value in request.members.items() if not is_null(value)}
    given = members.pop("input")
    count = input_count(given, token_ids=False)
    texts = typed(given, str | list[str], "input")
    wish: dict[str, Json] = {"model": resource(model)}
    if "task_type" in members:
        wish["taskType"] = typed(members.pop("task_type"), str, "task_type")
    if "dimensions" in members:
        wish["outputDimensionality"] = typed(members.pop("dimensions"), int, "dimensions")
    members.pop("model", None)
    members.pop("encoding_format", None)  # vectors always come as numbers
    listed = [texts] if isinstance(texts, str) else texts
    body = {"requests": [{**wish, "content": {"parts": [{"text": text}]}} for text in listed]}
    dropped = take(members, list(members))
    path = path_to(model, "batchEmbedContents")
    return Encoded(path, msgspec.json.encode(body), dropped=tuple(dropped), memo=count)


def model_in(path: str) -> str:
    """The model that a call was made for: an embeddings answer does not name it."""
    return unquote(path.removeprefix(f"{VERSION}/").removeprefix("models/").rpartition(":")[0])


def resource(model: Model) -> str:
    """`models/NAME`; a name with a slash, as that of a tuned model, is a resource already."""
    return model.name if "/" in model.name else f"models/{model.name}"


def path_to(model: Model, method: str) -> str:
    return f"{VERSION}/{quote(resource(model))}:{method}"


def _config(members: Members, family: Family) -> tuple[dict[str, Json], list[str]]:
    """generationConfig, and what of it got lost."""
    config: dict[str, Json] = {}
    for name, (theirs, form) in _CONFIG.items():
        if name in members:
            config[theirs] = typed(members.pop(name), form, name)
    if "seed" in members:
        # Theirs has 32 bits. A seed means nothing but itself, so that folding one keeps what it is for.
        config["seed"] = typed(members.pop("seed"), int, "seed") & _SEED_MASK
    if "stop" in members and (stops := _stops(members.pop("stop"))):
        config["stopSequences"] = stops
    _logprobs(members, config)
    if "response_format" in members:
        config |= _format(members.pop("response_format"))
    if "reasoning_effort" in members:
        thinking, lost = _thinking(members.pop("reasoning_effort"), family)
        return config | thinking, lost
    return config, []


def _stops(value: msgspec.Raw) -> list[str]:
    stop = typed(value, str | list[str], "stop")
    stops = [stop] if isinstance(stop, str) else stop
    if len(stops) > _MAX_STOPS:
        raise unsupported(f"more than {_MAX_STOPS} stop sequences are not available at this provider", "stop")
    return [each for each in stops if each]


def _logprobs(members: Members, config: dict[str, Json]) -> None:
    top = typed(members.pop("top_logprobs", b"0"), int, "top_logprobs")
    if typed(members.pop("logprobs", b"false"), bool, "logprobs"):
        config["responseLogprobs"] = True
        if top:
            config["logprobs"] = top


def _format(value: msgspec.Raw) -> dict[str, Json]:
    form, schema = read_format(value)
    if form == "text":
        return {}
    told = {"responseMimeType": "application/json"}
    return {**told, "responseJsonSchema": schema} if form == "json_schema" else told


def _thinking(value: msgspec.Raw, family: Family) -> tuple[dict[str, Json], list[str]]:
    """Thoughts are asked for with the effort, and told as reasoning. Most models cannot stop thinking altogether."""
    effort = typed(value, str, "reasoning_effort")
    if effort not in EFFORTS:
        raise bad_request(f"reasoning_effort: one of {', '.join(EFFORTS)} is expected", param="reasoning_effort")
    thinking: dict[str, Json] | None = family.thinking(effort)
    if thinking is None:
        return {}, [] if effort == "none" else ["reasoning_effort"]
    if effort == "none":
        return {"thinkingConfig": thinking}, [] if family.stops_thinking else ["reasoning_effort"]
    return {"thinkingConfig": {"includeThoughts": True, **thinking}}, []


def _tools(members: Members, body: dict[str, Json]) -> list[str]:
    asked = members.pop("tool_choice", None)
    tools = members.pop("tools", None)
    if tools is None or asks_nothing("tools", tools):
        return []
    choice = "auto" if asked is None else typed(asked, str | ToolChoice, "tool_choice")
    kept, choice = narrow_tools(tools, choice, one=False)
    functions = [typed(tool, Tool, "tools").function for tool in kept]
    if not functions:
        return []
    body["tools"] = [{"functionDeclarations": [_declaration(function) for function in functions]}]
    if asked is not None:
        body["toolConfig"] = {"functionCallingConfig": _calling(choice)}
    return ["tools.strict"] if any(function.strict for function in functions) else []


def _calling(choice: str | ToolChoice) -> Json:
    if isinstance(choice, ToolChoice):
        return {"mode": "ANY", "allowedFunctionNames": [choice.function.name if choice.function else ""]}
    if choice not in _MODES:
        raise bad_request(f"tool_choice: one of {', '.join(_MODES)} is expected", param="tool_choice")
    return {"mode": _MODES[choice]}


def _declaration(function: Function) -> Json:
    if not (function.name[:1].isalpha() or function.name[:1] == "_"):
        raise unsupported("a function whose name does not begin with a letter is not available here", "tools")
    declared: dict[str, Json] = {"name": function.name}
    if function.description:
        declared["description"] = function.description
    if function.parameters:
        declared["parametersJsonSchema"] = function.parameters
    return declared
