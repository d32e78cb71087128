"""A canonical request as a vendor of OpenAI's wire takes it.

Where the vendor's row asks for nothing, every member goes out byte for byte as it came in but for the model's name and,
in streams, the wish for usage. What the vendor cannot express is refused or named.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from cortex.chat import ChatRequest
from cortex.embeddings import EmbeddingsRequest
from cortex.providers.canonical import (
    input_count,
    is_null,
    join_members,
    raw,
    refuse,
    take,
    typed,
    unsupported,
)
from cortex.providers.codec import Encoded, Model
from cortex.providers.openai_messages import rewrite_messages, without_extra_content
from cortex.providers.openai_tools import rewrite_tools
from cortex.providers.vendors import Vendor

_MAX_NAMES = 1024  # of models, remembered as JSON
_TRUE = msgspec.Raw(b"true")
_WITH_USAGE = msgspec.Raw(b'{"include_usage":true}')


def encode_chat(vendor: Vendor, request: ChatRequest, model: Model) -> Encoded:
    """Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    members = dict(request.members)
    members["model"] = _named(model.name)
    if request.stream:
        _ask_for_stream(vendor, members)
    if not vendor.extra_content and "messages" in members:
        members["messages"] = without_extra_content(members["messages"])
    if vendor.takes_all:
        return Encoded(vendor.chat_path, join_members(members), forwards=vendor.forwards)
    refuse(members, vendor.refuse)
    dropped = take(members, vendor.drop)
    if vendor.functions_only:
        rewrite_tools(members, vendor.schema_drop)
    _rename(members, vendor.rename)
    dropped += _leave_out(vendor, members, model.name)
    dropped += _replace_values(vendor, members)
    dropped += _keep_only(members, vendor.allow)
    if vendor.messages is not None and "messages" in members:
        members["messages"], names = rewrite_messages(members["messages"], vendor.messages, model.name)
        dropped += names
    return Encoded(vendor.chat_path, join_members(members), dropped=tuple(dropped), forwards=vendor.forwards)


def encode_embeddings(vendor: Vendor, request: EmbeddingsRequest, model: Model) -> Encoded:
    """`memo` is the number of vectors asked for. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    members = dict(request.members)
    members["model"] = _named(model.name)
    count = input_count(members["input"], token_ids=vendor.token_ids)
    _rename(members, vendor.embeddings_rename)
    dropped = _keep_only(members, vendor.embeddings_allow)
    return Encoded(vendor.embeddings_path, join_members(members), dropped=tuple(dropped), memo=count)


@lru_cache(_MAX_NAMES)
def _named(model: str) -> msgspec.Raw:
    return raw(model)


def _ask_for_stream(vendor: Vendor, members: dict[str, msgspec.Raw]) -> None:
    if bytes(members.get("stream", b"")) != b"true":
        members["stream"] = _TRUE
    if not vendor.stream_usage:
        members.pop("stream_options", None)  # what it can ask for is there without asking
        return
    options = members.get("stream_options")
    if options is None or is_null(options):
        members["stream_options"] = _WITH_USAGE
        return
    chosen = typed(options, dict[str, msgspec.Raw], "stream_options")
    if bytes(chosen.get("include_usage", b"")) != b"true":
        chosen["include_usage"] = _TRUE
        members["stream_options"] = raw(chosen)


def _rename(members: dict[str, msgspec.Raw], names: Mapping[str, str]) -> None:
    for ours, theirs in names.items():
        if (value := members.pop(ours, None)) is not None and not is_null(value):
            members[theirs] = value


def _leave_out(vendor: Vendor, members: dict[str, msgspec.Raw], model: str) -> list[str]:
    """What this vendor does not take for its value. Raises Fault(UNSUPPORTED) for a list that is too long."""
    for name, most in vendor.most.items():
        value = bytes(members.get(name, b""))
        if value.startswith(b"[") and len(typed(value, list[msgspec.Raw], name)) > most:
            raise unsupported(f"{name}: at most {most} are available at this provider", name)
    gone = [name for name, words in vendor.words.items() if name in members and bytes(members[name]) not in words]
    for name, word, family in vendor.omit:
        if family in model and bytes(members.get(name, b"")) == word:
            gone.append(name)
    return take(members, gone)


def _replace_values(vendor: Vendor, members: dict[str, msgspec.Raw]) -> list[str]:
    named = []
    for name, words in vendor.values.items():
        value = members.get(name)
        if value is not None and bytes(value).startswith(b'"'):
            word = typed(value, str, name)
            if word in words:
                members[name] = raw(words[word])
                if name in vendor.lossy:
                    named.append(name)
    for name, largest in vendor.limits.items():
        value = members.get(name)
        if value is not None and (typed(value, float | None, name) or 0) > largest:
            members[name] = raw(largest)
            named.append(name)
    return named


def _keep_only(members: dict[str, msgspec.Raw], allow: frozenset[str] | None) -> list[str]:
    if allow is None:
        return []
    return take(members, [name for name in members if name not in allow])
