"""The JSON Schema of cortex.yaml, for editors: what `cortex schema` prints and docs/cortex.schema.json holds."""

from __future__ import annotations

from typing import Any

from cortex.config.schema import Config

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema, as a tree that `json.dumps` takes. Any value may be text that holds a variable."""
    schema = Config.model_json_schema()
    for section in [schema, *schema["$defs"].values()]:
        _tidy(section)
    node = schema["$defs"]["NodeConfig"]
    node["oneOf"] = [{"required": [operator]} for operator in node["properties"]]
    return {"$schema": _DIALECT, **schema, "title": "cortex.yaml"}


def _tidy(section: dict[str, Any]) -> None:
    """Take out what tells an author nothing: names of classes, and defaults that stand at the members themselves."""
    section.pop("title", None)
    for option in section.get("anyOf", ()):
        _tidy(option)
    for member in section.get("properties", {}).values():
        member.pop("title", None)
        if "$ref" in member or member.get("default", ...) is None:
            member.pop("default", None)
        if "patternProperties" in member:
            member["additionalProperties"] = False
