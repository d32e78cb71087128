"""What codecs read out of a canonical request, and how they write one again.

The canonical form is OpenAI's. Everything here is typed on the way in: a request that is not of the form becomes
Fault(BAD_REQUEST) naming the member, never another exception.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from cortex.chat import Json
from cortex.errors import Fault, FaultKind, bad_request
from cortex.providers.faults import NOT_DECODABLE

_NULL = b"null"

# Values that ask for nothing: a provider that lacks the member gives the same answer without it.
DEFAULTS: Mapping[str, frozenset[bytes]] = {
    "frequency_penalty": frozenset({b"0", b"0.0"}),
    "presence_penalty": frozenset({b"0", b"0.0"}),
    "logit_bias": frozenset({b"{}"}),
    "logprobs": frozenset({b"false"}),
    "metadata": frozenset({b"{}"}),
    "modalities": frozenset({b'["text"]'}),
    "n": frozenset({b"1"}),
    "parallel_tool_calls": frozenset({b"true"}),
    "service_tier": frozenset({b'"auto"', b'"default"'}),
    "stop": frozenset({b"[]"}),
    "store": frozenset({b"false"}),
    "tools": frozenset({b"[]"}),
    "top_logprobs": frozenset({b"0"}),
}


class ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class InputAudio(msgspec.Struct):
    """Sound as bare base64; `format` is wav or mp3."""

    data: str
    format: str


class InputFile(msgspec.Struct):
    """A document: `file_data` is a data URL, `file_id` means something to OpenAI alone."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """A piece of a message's content."""

    type: str
    text: str = ""
    refusal: str = ""
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    file: InputFile | None = None
    cache_control: Json = None  # not OpenAI's: clients that know Anthropic mark here what to cache

    @property
    def image(self) -> str:
        """The URL of an image part, which may be a data URL; "" if there is none."""
        return self.image_url.url if isinstance(self.image_url, ImageUrl) else self.image_url or ""


class CallFunction(msgspec.Struct):
    name: str
    arguments: str = ""


class ToolCall(msgspec.Struct):
    """A call in the history. `function` is None for types that only OpenAI has."""

    id: str = ""
    function: CallFunction | None = None
    extra_content: Json = None  # see cortex.chat.ToolCallDelta


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class ToolName(msgspec.Struct):
    name: str


class ToolHead(msgspec.Struct):
    """As much of a tool as is needed to choose among tools."""

    type: str = "function"
    function: ToolName | None = None


class AllowedTools(msgspec.Struct):
    mode: str = "auto"
    tools: list[ToolHead] = msgspec.field(default_factory=list)


class ToolChoice(msgspec.Struct):
    type: str = "function"
    function: ToolName | None = None
    allowed_tools: AllowedTools | None = None


class Function(msgspec.Struct):
    """What a model may call; `parameters` is a schema."""

    name: str
    description: str | None = None
    parameters: dict[str, msgspec.Raw] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct):
    function: Function
    cache_control: Json = None  # see Part


class _Schema(msgspec.Struct):
    schema: msgspec.Raw = msgspec.Raw(_NULL)


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


Inputs: TypeAlias = str | list[str | int | list[int]]  # of an embeddings call


def typed(value: bytes | msgspec.Raw, form: Any, param: str) -> Any:
    """Decode one member to `form`, a type. Raises Fault(BAD_REQUEST) naming `param`."""
    try:
        return msgspec.json.decode(value, type=form)
    except NOT_DECODABLE as error:
        raise bad_request(f"{param}: {error}", param=param) from None


def raw(value: Json) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def join_members(members: dict[str, msgspec.Raw]) -> bytes:
    """One JSON object of these members, each value byte for byte as it came."""
    return msgspec.json.encode(members)


def is_null(value: msgspec.Raw) -> bool:
    return bytes(value) == _NULL


def asks_nothing(name: str, value: msgspec.Raw) -> bool:
    """Whether leaving this member out changes nothing."""
    data = bytes(value)
    return data == _NULL or data in DEFAULTS.get(name, ())


def take(members: dict[str, msgspec.Raw], names: Iterable[str]) -> list[str]:
    """Remove these members; gives the names of those that asked for something."""
    return [name for name in names if name in members and not asks_nothing(name, members.pop(name))]


def unsupported(message: str, param: str) -> Fault:
    return Fault(FaultKind.UNSUPPORTED, message, status=400, code="unsupported_parameter", param=param)


def refuse(members: dict[str, msgspec.Raw], names: Iterable[str]) -> None:
    """Raise Fault(UNSUPPORTED) if one of these members asks for something; remove them otherwise."""
    if asked := take(members, names):
        raise unsupported(f"{asked[0]} is not available at this provider", asked[0])


def plain_text(content: str | list[Part] | None) -> str:
    """The content as one string, parts on lines of their own. Raises Fault(UNSUPPORTED) if it is more than text."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type not in ("text", "refusal"):
            raise unsupported(f"a part of type {part.type} is not available here", "messages")
    return "\n".join(part.text or part.refusal for part in content)


def arguments_object(call: CallFunction) -> dict[str, msgspec.Raw]:
    """A call's arguments as the object that they are at most providers. Raises Fault(UNSUPPORTED) if they are none."""
    try:
        arguments: dict[str, msgspec.Raw] = msgspec.json.decode(call.arguments or "{}", type=dict[str, msgspec.Raw])
    except NOT_DECODABLE:
        message = "a tool call in the history has arguments that are no JSON object, which this provider needs"
        raise unsupported(message, "messages") from None
    return arguments


def narrow_tools(
    tools: msgspec.Raw, choice: str | ToolChoice, *, one: bool
) -> tuple[list[msgspec.Raw], str | ToolChoice]:
    """The tools that a choice leaves, and the choice that is left.

    An `allowed_tools` choice keeps the tools it lists and becomes its mode; with `one`, so does a named function, and
    becomes `required`. Raises Fault(UNSUPPORTED) for tools other than functions.
    """
    listed = typed(tools, list[msgspec.Raw], "tools")
    names: list[str] = []
    for tool in typed(tools, list[ToolHead], "tools"):
        if tool.type != "function" or tool.function is None:
            raise unsupported(f"tools of type {tool.type} are not available at this provider", "tools")
        names.append(tool.function.name)
    kept: Collection[str] = names
    if isinstance(choice, ToolChoice):
        if choice.allowed_tools is not None:
            kept = {tool.function.name for tool in choice.allowed_tools.tools if tool.function}
            choice = choice.allowed_tools.mode
        elif choice.function is None:
            raise unsupported(f"a tool_choice of type {choice.type} is not available at this provider", "tool_choice")
        elif one:
            kept = {choice.function.name}
            choice = "required"
    return [tool for tool, name in zip(listed, names, strict=True) if name in kept], choice


def read_format(value: msgspec.Raw) -> tuple[Literal["text", "json_object", "json_schema"], msgspec.Raw]:
    """The form that an answer is asked for in, and the schema of the last: without one, any JSON object will do.

    Raises Fault(UNSUPPORTED or BAD_REQUEST) for any other form.
    """
    form = typed(value, _Format, "response_format")
    match form.type:
        case "text" | "json_object":
            return form.type, msgspec.Raw(_NULL)
        case "json_schema":
            if form.json_schema is None:
                raise bad_request("response_format: json_schema is missing", param="response_format")
            schema = form.json_schema.schema
            return ("json_object", schema) if is_null(schema) else (form.type, schema)
        case kind:
            message = f"a response_format of type {kind} is not available at this provider"
            raise unsupported(message, "response_format")


def input_count(value: msgspec.Raw, *, token_ids: bool) -> int:
    """How many vectors an embeddings input asks for.

    Raises Fault(UNSUPPORTED) for token ids unless the provider shares the tokenizer that made them.
    """
    items = typed(value, Inputs, "input")
    if isinstance(items, str):
        return 1
    if not token_ids and any(not isinstance(item, str) for item in items):
        raise unsupported("token ids are not available at this provider: send text", "input")
    return 1 if items and isinstance(items[0], int) else len(items)
