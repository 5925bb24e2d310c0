"""docs/nodes.md: every node type as its own file declares it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from common.flow.describe import describe
from common.flow.registry import node_types

_INTRODUCTION: Final = """\
Every node type is one file in `common/nodes/`, and this page is written from them. Settings are the keys of a
node's `config` in the flow JSON. Where a setting takes placeholders, `{{name}}`, `{{user.email}}`, `{{orders[0].id}}`
and `{{name || "Guest"}}` are filled in when the node runs. Exits are the `sourceHandle` of edges; edges enter at
`input` unless another input is named."""

_COMMON: Final = {"label", "description"}


def nodes_page(note: str) -> str:
    """The page; `note` says that it is generated."""
    lines = ["# Node types", "", note, "", _INTRODUCTION, ""]
    for kind, node_type in node_types().items():
        lines += _section(kind, describe(node_type))
    return "\n".join(lines)


def _section(kind: str, described: dict[str, Any]) -> Iterator[str]:
    look = described["look"]
    yield f"## {kind}"
    yield ""
    yield f"{described['description']} ({look['category']}; {look['tone']} {look['shape']}, icon `{look['icon']}`)"
    yield ""
    inputs = ", ".join(f"`{name}`" for name in described["inputs"]) or "none"
    yield f"Inputs: {inputs}. Exits: {', '.join(_exit(one) for one in described['exits']) or 'none'}."
    if described.get("waitsFor"):
        yield f"Waits for: {described['waitsFor'].lower()}."
    yield ""
    rows = [row for field in described["fields"] if field["name"] not in _COMMON for row in _rows(field, "")]
    if rows:
        yield "| setting | takes | default | what it is |"
        yield "|---|---|---|---|"
        yield from rows
        yield ""


def _exit(one: dict[str, Any]) -> str:
    if "rows" in one:
        return f"one for each of `{one['rows']}`"
    condition = f", with `{one['when']}`" if one.get("when") else ""
    return f"`{one['handle']}` ({one['label']}{condition})"


def _rows(field: dict[str, Any], prefix: str) -> Iterator[str]:
    name = f"{prefix}{field['name']}"
    default = "**required**" if field.get("required") else _shown(field.get("default"))
    words = ". ".join(part.rstrip(".") for part in (field["label"], field.get("help", "")) if part)
    yield f"| `{name}` | {_takes(field)} | {default} | {_escape(words)} |"
    for inner in field.get("fields", ()):
        yield from _rows(inner, f"{name}{'[]' if field['widget'] == 'rows' else ''}.")


def _takes(field: dict[str, Any]) -> str:
    if "choices" in field:
        return _escape(", ".join(f"`{choice['value']}`" for choice in field["choices"]))
    parts = [str(field["widget"])]
    for key, words in (
        ("minimum", "from {}"), ("maximum", "to {}"), ("maxLength", "up to {} characters"),
        ("minItems", "at least {}"), ("maxItems", "at most {}"),
    ):  # fmt: skip
        if field.get(key) is not None:
            parts.append(words.format(field[key]))
    if field.get("placeholders"):
        parts.append("placeholders")
    return ", ".join(parts).replace(", to ", " to ").replace(", at most ", " and at most ")


def _shown(default: object) -> str:
    if default is None or default in ("", [], {}):
        return "none"
    return f"`{_escape(json.dumps(default, ensure_ascii=False))}`"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
