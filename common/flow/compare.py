"""What is different between two versions of a flow, as people see it: nodes, fields, places, connections.

Null and a missing field are alike, as everywhere in settings. Rows with ids of their own (buttons, branches) are the
same row wherever they stand. The order of nodes and of connections says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Final

from common.flow.wiring import INPUT, OUTPUT
from common.model.flow_content import IDENTITY

_ELSEWHERE: Final = frozenset({*IDENTITY, "nodes", "edges", "variables"})
_NOT_FIELDS: Final = frozenset({"nodeId", "position"})


@dataclass(frozen=True, slots=True)
class NodeName:
    """A node that is in one of the two only."""

    nodeId: str  # noqa: N815 - as JSON has it
    label: str
    nodeType: str | None  # noqa: N815 - as JSON has it


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not the same; None where it is not there. `path`: `config.buttons[1].label`."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Connection:
    """An edge, by what it joins; its id is nobody's business."""

    sourceNodeId: str  # noqa: N815 - as JSON has it
    sourceHandle: str  # noqa: N815 - as JSON has it
    targetNodeId: str  # noqa: N815 - as JSON has it
    targetHandle: str  # noqa: N815 - as JSON has it


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The differences as JSON, see `api.schemas.versions.ComparisonView`. Never raises, whatever the two hold.

    `isSame`: there are none.
    """
    old, new = _nodes(before), _nodes(after)
    both = [node_id for node_id in new if node_id in old]
    found: dict[str, Any] = {
        "nodesAdded": [asdict(_name(node_id, new[node_id])) for node_id in new if node_id not in old],
        "nodesRemoved": [asdict(_name(node_id, old[node_id])) for node_id in old if node_id not in new],
        "nodesChanged": [
            asdict(_name(node_id, new[node_id])) | asdict(change)
            for node_id in both
            for change in _fields(_plain(old[node_id]), _plain(new[node_id]), "")
        ],
        "nodesMoved": [moved for node_id in both if (moved := _moved(node_id, old[node_id], new[node_id]))],
        **_connections(before, after),
        "settingsChanged": [asdict(change) for change in _fields(_rest(before), _rest(after), "")],
        "variablesChanged": [
            asdict(change)
            for change in _fields(_variables(before.get("variables")), _variables(after.get("variables")), "")
        ],
    }
    return {"isSame": not any(found.values()), **found}


def _nodes(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    nodes = data.get("nodes")
    return {
        node["nodeId"]: node
        for node in (nodes if isinstance(nodes, list) else ())
        if isinstance(node, Mapping) and isinstance(node.get("nodeId"), str)
    }


def label_of(node: Mapping[str, Any]) -> str:
    """What a person calls the node."""
    config = node.get("config")
    label = config.get("label") if isinstance(config, Mapping) else None
    return label if isinstance(label, str) and label.strip() else str(node.get("nodeId", ""))


def _name(node_id: str, node: Mapping[str, Any]) -> NodeName:
    kind = node.get("nodeType")
    return NodeName(node_id, label_of(node), kind if isinstance(kind, str) else None)


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in _NOT_FIELDS}


def _moved(node_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    was, now = old.get("position"), new.get("position")
    if is_same(was, now):
        return None
    return asdict(_name(node_id, new)) | {"before": was, "after": now}


def _connections(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    old, new = Counter(_edges(before)), Counter(_edges(after))
    return {
        "edgesAdded": [asdict(edge) for edge in (new - old).elements()],
        "edgesRemoved": [asdict(edge) for edge in (old - new).elements()],
    }


def _edges(data: Mapping[str, Any]) -> Iterator[Connection]:
    edges = data.get("edges")
    for edge in edges if isinstance(edges, list) else ():
        if isinstance(edge, Mapping):
            yield Connection(
                str(edge.get("sourceNodeId")),
                str(edge.get("sourceHandle") or OUTPUT),
                str(edge.get("targetNodeId")),
                str(edge.get("targetHandle") or INPUT),
            )


def _rest(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in _ELSEWHERE}


def _variables(raw: object) -> object:
    """Variables by name: `session.userEmail` is the same wherever it stands in the list."""
    if not isinstance(raw, Mapping):
        return raw
    return {scope: _by_name(entries) for scope, entries in raw.items()}


def _by_name(entries: object) -> object:
    if not isinstance(entries, list):
        return entries
    named: dict[str, Any] = {}
    for index, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, Mapping) else entry
        if isinstance(name, str):
            named[name] = entry if isinstance(entry, Mapping) else {"name": entry}
        else:
            named[f"[{index}]"] = entry
    return named


def is_same(one: object, other: object) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not, null is as good as missing."""
    return next(_fields(one, other, ""), None) is None


def _fields(before: object, after: object, path: str) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*after, *before]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _fields(before.get(key), after.get(key), inner)
    elif isinstance(before, list) and isinstance(after, list):
        id_key = _id_key(before, after)
        yield from _rows(before, after, path) if id_key is None else _known_rows(before, after, id_key, path)
    elif isinstance(before, bool) is not isinstance(after, bool) or before != after:
        yield Change(path, before, after)


def _rows(before: list[Any], after: list[Any], path: str) -> Iterator[Change]:
    """One by one: rows that nothing tells apart but their place."""
    for index, (old, new) in enumerate(zip_longest(before, after)):
        yield from _fields(old, new, f"{path}[{index}]")


def _known_rows(before: list[Any], after: list[Any], id_key: str, path: str) -> Iterator[Change]:
    old = {row[id_key]: row for row in before}
    new = {row[id_key]: row for row in after}
    for index, row in enumerate(before):
        if row[id_key] not in new:
            yield Change(f"{path}[{index}]", row, None)
    for index, row in enumerate(after):
        inner = f"{path}[{index}]"
        if row[id_key] in old:
            yield from _fields(old[row[id_key]], row, inner)
        else:
            yield Change(inner, None, row)
    kept_before, kept_after = [key for key in old if key in new], [key for key in new if key in old]
    if kept_before != kept_after:
        yield Change(path, kept_before, kept_after)


def _id_key(before: list[Any], after: list[Any]) -> str | None:
    """The field that tells these rows apart: `buttonId`, `branchId`; never one that names another node."""
    rows = [*before, *after]
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        return None
    for key in rows[0]:
        if isinstance(key, str) and key.endswith("Id") and not key.endswith("NodeId"):
            ids = [[row.get(key) for row in side] for side in (before, after)]
            if all(_are_ids(side) for side in ids):
                return key
    return None


def _are_ids(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and len(set(values)) == len(values)
