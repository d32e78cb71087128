"""Tools as a vendor of OpenAI's wire takes them: functions alone, chosen as it knows how, without members of others.

Tools that need no change keep their bytes.
"""

from __future__ import annotations

import msgspec

from cortex.chat import Json
from cortex.errors import bad_request
from cortex.providers.canonical import ToolChoice, asks_nothing, narrow_tools, raw, typed

_MEMBERS = frozenset({"type", "function"})
# Below these stand names of the schema's author, and values that are no schemas.
_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_VALUES = frozenset({"enum", "const", "default", "examples"})


def rewrite_tools(members: dict[str, msgspec.Raw], schema_drop: frozenset[str]) -> None:
    """`schema_drop` are the keywords that parameters must not hold. Raises Fault(UNSUPPORTED or BAD_REQUEST)."""
    if "tools" not in members or asks_nothing("tools", members["tools"]):
        return
    choice = typed(members.get("tool_choice", b'"auto"'), str | ToolChoice | None, "tool_choice") or "auto"
    kept, left = narrow_tools(members["tools"], choice, one=False)
    if left is not choice:
        members["tools"], members["tool_choice"] = raw(kept), raw(left)
    tidy = [_tidy(tool, schema_drop) for tool in kept]
    if any(new is not old for new, old in zip(tidy, kept, strict=True)):
        members["tools"] = raw(tidy)


def _tidy(tool: msgspec.Raw, schema_drop: frozenset[str]) -> msgspec.Raw:
    members = typed(tool, dict[str, msgspec.Raw], "tools")
    changed = members.keys() - _MEMBERS
    if any(f'"{keyword}"'.encode() in bytes(tool) for keyword in schema_drop):
        function = typed(members["function"], dict[str, msgspec.Raw], "tools")
        if "parameters" in function:
            try:
                function["parameters"] = raw(_without(typed(function["parameters"], Json, "tools"), schema_drop))
            except RecursionError:
                raise bad_request("tools: the parameters are nested too deeply", param="tools") from None
            members["function"] = raw(function)
            changed = _MEMBERS
    return raw({name: members[name] for name in members if name in _MEMBERS}) if changed else tool


def _without(schema: Json, drop: frozenset[str]) -> Json:
    if isinstance(schema, list):
        return [_without(each, drop) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Json] = {}
    for name, value in schema.items():
        if name in _BY_NAME and isinstance(value, dict):
            kept[name] = {own: _without(each, drop) for own, each in value.items()}
        elif name not in drop:
            kept[name] = value if name in _VALUES else _without(value, drop)
    return kept
