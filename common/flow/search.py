"""Finds a text in what a flow says and asks: in labels, messages, buttons, prompts, addresses, expressions.

Case, white space and the ways of writing an accent do not count. What is looked for is never a pattern.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from common.flow.compare import label_of
from common.flow.registry import node_types
from common.flow.settings_fields import ChoiceField, ItemIdField, NextNodeField
from common.flow.settings_groups import GroupField, RowsField, fields_of

_AROUND: Final = 40  # characters shown on each side


@dataclass(frozen=True, slots=True)
class Hit:
    """A field that holds the text: `snippet` is some of it, `match` the text as it stands there."""

    node_id: str
    node_type: str | None
    label: str
    path: str
    snippet: str
    match: str


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text as it is compared, and for each of its characters where in `original` it comes from."""

    original: str
    text: str
    places: tuple[int, ...]


def search(data: Mapping[str, Any], wanted: str) -> Iterator[Hit]:
    """The fields of nodes that hold the text, in the flow's order. Nothing holds a blank one."""
    needle = _fold(wanted.strip()).text.strip()
    nodes = data.get("nodes")
    if not needle or not isinstance(nodes, list):
        return
    for node in nodes:
        if isinstance(node, Mapping) and isinstance(node.get("nodeId"), str):
            yield from _in_node(node, needle)


def _in_node(node: Mapping[str, Any], needle: str) -> Iterator[Hit]:
    kind = node.get("nodeType")
    kind = kind if isinstance(kind, str) else None
    config = node.get("config")
    hidden = _no_texts(kind)
    texts = [("nodeId", node["nodeId"])]
    texts += _texts(config, "config") if isinstance(config, Mapping) else []
    for path, text in texts:
        if _name_of(path) in hidden:
            continue
        found = _find(text, needle)
        if found is not None:
            yield Hit(node["nodeId"], kind, label_of(node), path, *found)


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")


def _name_of(path: str) -> str:
    """A path without the numbers of rows: `config.buttons.label`."""
    return "".join(part.partition("]")[2] if n else part for n, part in enumerate(path.split("[")))


@cache
def _no_texts(kind: str | None) -> frozenset[str]:
    """Fields of a node type that hold no words of anybody's: choices, ids of rows, next nodes."""
    node_type = node_types().get(kind or "")
    names = {"config.nodeType"}
    if node_type is not None:
        names |= set(_wordless(node_type.settings, "config"))
    return frozenset(names)


def _wordless(settings: Any, path: str) -> Iterator[str]:
    for name, field in fields_of(settings):
        inner = f"{path}.{name}"
        if isinstance(field, GroupField | RowsField):
            yield from _wordless(field.cls, inner)
        elif isinstance(field, ChoiceField | ItemIdField | NextNodeField):
            yield inner


def _find(text: str, needle: str) -> tuple[str, str] | None:
    if needle not in _quickly_folded(text):
        return None
    folded = _fold(text)
    at = folded.text.find(needle)
    begin, end = folded.places[at], folded.places[at + len(needle) - 1] + 1
    first, last = max(0, begin - _AROUND), min(len(folded.original), end + _AROUND)
    snippet = " ".join(folded.original[first:last].split())
    return (
        f"{'…' if first else ''}{snippet}{'…' if last < len(folded.original) else ''}",
        " ".join(folded.original[begin:end].split()),
    )


def _quickly_folded(text: str) -> str:
    """As `_fold`, without the places: most texts hold nothing of what is looked for."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def _fold(text: str) -> _Folded:
    original = unicodedata.normalize("NFC", text)
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(original):
        if character.isspace():
            if characters and characters[-1] == " ":
                continue
            small = " "
        else:
            small = character.casefold()
        characters += small
        places += [place] * len(small)
    return _Folded(original, "".join(characters), tuple(places))
