"""Validation of the tools and the tool choice of a session or a response."""

from __future__ import annotations

from typing import Any

from turngate.simulator.errors import invalid
from turngate.simulator.frames import Event
from turngate.simulator.validation import (
    Validator,
    anything,
    array,
    choice,
    fields,
    flag,
    list_or,
    mapping,
    nullable,
    pairs,
    string_or,
    tagged,
    text,
)


def schema(value: Any, path: str) -> None:
    """A JSON schema; only the parts used for generating arguments are checked."""
    mapping(value, path)
    if "properties" in value:
        mapping(value["properties"], f"{path}.properties")
        for name, inner in value["properties"].items():
            schema(inner, f"{path}.properties.{name}")
    if "items" in value:
        schema(value["items"], f"{path}.items")
    for name, check in (("required", array(text())), ("enum", array(anything))):
        if name in value:
            check(value[name], f"{path}.{name}")


_tool_filter = fields({"read_only": nullable(flag), "tool_names": nullable(array(text()))})
_MCP_FIELDS: dict[str, Validator] = {
    "type": anything,
    "server_label": text(),
    "server_url": nullable(text()),
    "connector_id": nullable(text(pattern=r"connector_\w+")),
    "tunnel_id": nullable(text()),
    "authorization": nullable(text()),
    "headers": nullable(pairs(max_properties=64, max_key_length=256, max_value_length=8192)),
    "server_description": nullable(text()),
    "allowed_tools": nullable(list_or(array(text()), _tool_filter)),
    "require_approval": nullable(
        string_or(fields({"always": nullable(_tool_filter), "never": nullable(_tool_filter)}), "always", "never")
    ),
    "allowed_callers": nullable(array(choice("direct", "programmatic"))),
    "defer_loading": nullable(flag),
}
_FUNCTION_FIELDS: dict[str, Validator] = {
    "type": anything,
    "name": text(max_length=64, pattern=r"[a-zA-Z0-9_-]+"),
    "description": nullable(text()),
    "parameters": nullable(schema),
}
tools = array(
    tagged(
        {
            "function": fields(_FUNCTION_FIELDS, required=("name",)),
            "mcp": fields(_MCP_FIELDS, required=("server_label",)),
        }
    ),
    max_length=128,
)
tool_choice = string_or(
    tagged(
        {
            "function": fields({"type": anything, "name": text()}, required=("name",)),
            "mcp": fields(
                {"type": anything, "server_label": text(), "name": nullable(text())}, required=("server_label",)
            ),
        }
    ),
    "none",
    "auto",
    "required",
)


def check_tools(tools: list[Event], choice: Any, path: str) -> None:
    """Raise `RefusedError` if two functions have the same name, or if the tool choice names an unknown function."""
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool["type"] == "function":
            if tool["name"] in names:
                raise invalid(f"{path}.tools[{index}].name", f"Duplicate tool name: '{tool['name']}'.")
            names.add(tool["name"])
    if isinstance(choice, dict) and choice["type"] == "function" and choice["name"] not in names:
        raise invalid(f"{path}.tool_choice", f"Tool choice '{choice['name']}' not found in 'tools' parameter.")
