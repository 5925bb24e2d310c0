"""A request for every route: whatever the OpenAPI document describes is filled with ids that exist and bodies that could be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from api.resources import operations
from api.rest.openapi import openapi_document
from api.rest.routes import Operation
from tests.api.victim import MARK

_Make = Callable[[dict[str, Any], dict[str, str], str], Any]

# What a schema alone does not say. By "operationId.field", or by "field" for all.
_VALUES: dict[str, Any] = {
    "flowData": {"nodes": [], "edges": []},
    "transport": "bearer",
    "phoneNumber": "16315551234",
    "email": "stranger@example.com",
    "password": "a stranger's password",
    "newPassword": "a stranger's password",
    "runningConversations": "FINISH_ON_OLD",
    "name": "stranger",
    "q": MARK,
    "from": "live",
    "to": "draft",
    "until": "2099-01-01T00:00:00.000Z",
    "toNextTimer": False,
    "seconds": 60,
    "answer": {"status": 200, "headers": {}, "body": "stranger"},
}


def fill(path: str, ids: dict[str, str]) -> str:
    """The path with these ids. Raises KeyError for a placeholder that `ids` does not know."""
    return re.sub(r"<(\w+)>", lambda match: ids[match[1]], path)


def body_for(operation: Operation, ids: dict[str, str]) -> Any:
    """A body with every field: values of the right type, ids where a field is named after one."""
    if operation.body is None:
        return None
    described = openapi_document()["paths"][re.sub(r"<(\w+)>", r"{\1}", operation.path)][
        operation.method.lower()
    ]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    return _value(schema, ids, "")


def query_for(operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    """The parameters that must be given."""
    described = openapi_document()["paths"][re.sub(r"<(\w+)>", r"{\1}", operation.path)][
        operation.method.lower()
    ]
    return {
        parameter["name"]: _value(parameter["schema"], ids, parameter["name"])
        for parameter in described["parameters"]
        if parameter["in"] == "query" and parameter.get("required")
    }


def _value(schema: dict[str, Any], ids: dict[str, str], name: str) -> Any:
    snake = re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)
    if name in _VALUES:
        return _VALUES[name]
    if snake in ids:
        return ids[snake]
    schema = _resolved(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {field: _value(value, ids, field) for field, value in schema["properties"].items()}
    kind = schema.get("type", "string")
    make: _Make = _PLAIN.get(kind[0] if isinstance(kind, list) else kind, _text)
    return make(schema, ids, name)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, where it is a reference or one of several."""
    if "$ref" in schema:
        schemas: dict[str, dict[str, Any]] = openapi_document()["components"]["schemas"]
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            return _resolved(schema[key][0])
    return schema


def _text(schema: dict[str, Any], ids: dict[str, str], name: str) -> str:
    del ids, name
    if schema.get("format") == "date-time":
        return "2026-11-22T12:00:00.000Z"
    least: int = schema.get("minLength", 1)
    return "x" * max(1, least)


_PLAIN: dict[str, _Make] = {
    "integer": lambda schema, _ids, _name: schema.get("minimum", 1),
    "number": lambda schema, _ids, _name: schema.get("minimum", 1),
    "boolean": lambda _schema, _ids, _name: True,
    "array": lambda schema, ids, name: [_value(schema.get("items", {}), ids, name)],
    "object": lambda _schema, _ids, _name: {},
}
ALL = operations()
