"""A request for every route: whatever the OpenAPI document describes is filled with ids that exist and bodies that could be."""

from __future__ import annotations

import re
from typing import Any

from api.resources import operations
from api.rest.openapi import openapi_document
from api.rest.routes import Operation

# What a schema alone does not say. By "operationId.field", or by "field" for all.
_VALUES: dict[str, Any] = {
    "flowData": {"nodes": [], "edges": []},
    "transport": "bearer",
    "phoneNumber": "16315551234",
    "email": "stranger@example.com",
    "password": "a stranger's password",
    "newPassword": "a stranger's password",
    "runningConversations": "FINISH_ON_OLD",
}


def fill(path: str, ids: dict[str, str]) -> str:
    """The path with these ids. Raises KeyError for a placeholder that `ids` does not know."""
    return re.sub(r"<(\w+)>", lambda match: ids[match[1]], path)


def body_for(operation: Operation, ids: dict[str, str]) -> Any:
    """A body with every field: values of the right type, ids where a field is named after one."""
    if operation.body is None:
        return None
    described = openapi_document()["paths"][re.sub(r"<(\w+)>", r"{\1}", operation.path)][operation.method.lower()]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    return _value(schema, ids, "")


def query_for(operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    """The parameters that must be given."""
    described = openapi_document()["paths"][re.sub(r"<(\w+)>", r"{\1}", operation.path)][operation.method.lower()]
    return {
        parameter["name"]: _value(parameter["schema"], ids, parameter["name"])
        for parameter in described["parameters"]
        if parameter["in"] == "query" and parameter.get("required")
    }


def _value(schema: dict[str, Any], ids: dict[str, str], name: str) -> Any:
    snake = re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)
    if snake in ids:
        return ids[snake]
    if name in _VALUES:
        return _VALUES[name]
    if "$ref" in schema:
        return _value(openapi_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], ids, name)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            return _value(schema[key][0], ids, name)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {field: _value(value, ids, field) for field, value in schema["properties"].items() if not value.get("readOnly")}
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [_value(schema.get("items", {}), ids, name)]
        case "object":
            return {}
    if schema.get("format") == "date-time":
        return "2026-11-22T12:00:00.000Z"
    return "x" * max(1, schema.get("minLength", 1))


ALL = operations()
