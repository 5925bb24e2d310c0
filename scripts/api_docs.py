"""docs/api.md: every route of the API on one page, from the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.rest.openapi import openapi_document

_WHERE = (
    "A running installation serves this as an interactive page under `/api/docs/`, and as an OpenAPI document "
    "under `/api/openapi.json`."
)
_METHODS = ("get", "post", "put", "patch", "delete")
_ACCESS = {
    "PUBLIC": "anybody",
    "SIGNED_IN": "anybody signed in",
    "USER": "users",
    "OWNER": "the bot's owner",
    "READER": "the bot's owner, administrators",
    "ADMIN": "administrators",
    "OUTSIDE": "outside the API's conventions",
}


def api_page(note: str) -> str:
    """The page."""
    document = openapi_document()
    lines = [
        "# API",
        "",
        note,
        "",
        _WHERE,
        "",
        document["info"]["description"],
    ]
    for tag in [*document["tags"], {"name": "webhook", "description": "Meta's deliveries."},
                {"name": "health", "description": "For whoever watches the processes."}]:  # fmt: skip
        found = list(_of_tag(document, tag["name"]))
        if found:
            lines += [f"## {tag['name']}", "", tag["description"], ""]
            for path, method, operation in found:
                lines += _operation(path, method, operation)
    lines += ["## Shapes", "", "`?` marks a field that may be left out, `| null` one that may be null.", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [f"### {name}", "", *_shape(schema), ""]
    return "\n".join(lines)


def _of_tag(document: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations and tag in operations[method]["tags"]:
                yield path, method, operations[method]


def _operation(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    about = operation.get("description", "").rpartition("For ")[0].strip()
    lines = [
        f"### {method.upper()} {path}",
        "",
        f"{operation['summary']}. *{_ACCESS[operation['x-access']]}*",
        "",
    ]
    if about:
        lines += [about, ""]
    asked = [p for p in operation.get("parameters", []) if p["in"] in ("query", "header")]
    if asked:
        lines += ["| parameter | takes | |", "|---|---|---|"]
        lines += [f"| `{p['name']}` | {_type(p['schema'])} | {p.get('description', '')} |" for p in asked]
        lines.append("")
    body = operation.get("requestBody")
    if body:
        lines.append(f"Takes {_type(body['content']['application/json']['schema'])}.")
    for status, answer in sorted(operation["responses"].items()):
        if status < "400" and "content" in answer:
            kind, content = next(iter(answer["content"].items()))
            what = _type(content["schema"]) if kind == "application/json" else f"`{kind}`"
            lines.append(f"Answers {status} with {what}.")
        elif status < "400":
            lines.append(f"Answers {status}: {answer['description']}.")
    return [*lines, ""]


def _shape(schema: dict[str, Any]) -> Iterator[str]:
    properties = schema.get("properties", {})
    if not properties:
        yield "Any object."
        return
    yield "| field | type | |"
    yield "|---|---|---|"
    required = set(schema.get("required", ()))
    for name, field in properties.items():
        mark = "" if name in required else "?"
        yield f"| `{name}{mark}` | {_type(field)} | {field.get('description', '')} |"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            return " | ".join(_type(one) for one in schema[key]).replace("|", "\\|")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "anything")
    kinds = kind if isinstance(kind, list) else [kind]
    words = [
        f"list of {_type(schema['items'])}" if one == "array" and "items" in schema else one for one in kinds
    ]
    words[0] += f" ({schema['format']})" if "format" in schema else ""
    return " \\| ".join(words) + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    least = schema.get("minimum", schema.get("minLength"))
    most = schema.get("maximum", schema.get("maxLength"))
    if most is None:
        return "" if least is None else f", at least {least}"
    return f", up to {most}" if least is None else f", {least} to {most}"
