"""Whether flow JSON can be kept at all. A flow may be as unfinished as it likes; its shape must hold.

What is refused here would break whoever opens the flow: nodes without ids, two with the same, keys that harm a
browser, or more of it than a canvas can draw.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from common.flow.settings_fields import is_id

MOST_NODES: Final = 1000
MOST_EDGES: Final = 3000
MOST_BYTES: Final = 1024 * 1024
MOST_LEVELS: Final = 20
MOST_PROBLEMS: Final = 20  # that are told at a time

# The first three change what objects are in a browser that copies them carelessly.
HARMFUL_KEYS: Final = frozenset({"__proto__", "constructor", "prototype"})
_TEXTS: Final = ("flowId", "flowName", "botId")

Problems = dict[str, list[str]]


def shape_problems(data: object) -> Problems:
    """Why this cannot be kept as a flow, by place: `{"nodes[3].nodeId": ["…"]}`; "" is the whole. Empty: it can."""
    if not isinstance(data, Mapping):
        return {"": ["A flow must be an object."]}
    too_large = _too_large(data)
    if too_large is not None:
        return {"": [too_large]}
    problems: Problems = {}
    for place, why in _all(data):
        problems.setdefault(place, []).append(why)
        if len(problems) >= MOST_PROBLEMS:
            break
    return problems


def size_problems(data: object) -> Problems:
    """Why this is more than can be kept, by place as above; whatever else is wrong with it, it can be looked at."""
    if not isinstance(data, Mapping):
        return {}
    too_large = _too_large(data)
    if too_large is not None:
        return {"": [too_large]}
    lists = (("nodes", MOST_NODES, "nodes"), ("edges", MOST_EDGES, "connections"))
    return {
        name: [f"A flow has at most {most} {what}."]
        for name, most, what in lists
        if isinstance(rows := data.get(name), list) and len(rows) > most
    }


def _too_large(data: Mapping[str, Any]) -> str | None:
    if _is_deeper(data, MOST_LEVELS):
        return f"It is nested too deeply: {MOST_LEVELS} levels are allowed."
    size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MOST_BYTES:
        return f"The flow is too large: it has {size:,} bytes, {MOST_BYTES:,} are allowed."
    return None


def _is_deeper(data: object, levels: int) -> bool:
    level = [data]
    for _ in range(levels + 1):
        level = [one for each in level for one in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _all(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _keys(data, "")
    for name in _TEXTS:
        if not isinstance(data.get(name, ""), str):
            yield name, "This must be a text."
    for name in ("variables", "settings"):
        if not isinstance(data.get(name), Mapping | None):
            yield name, "This must be an object."
    yield from _nodes(data.get("nodes"))
    yield from _edges(data.get("edges"))


def _keys(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            where = f"{place}.{key}" if place else str(key)
            if key in HARMFUL_KEYS:
                yield where, f'No field may be called "{key}".'
            yield from _keys(inner, where)
        if "$ref" in value and "$id" in value:  # the database would give something else back
            yield place, 'No object may have both "$ref" and "$id".'
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _keys(inner, f"{place}[{index}]")


def _nodes(nodes: object) -> Iterator[tuple[str, str]]:
    if not isinstance(nodes, list):
        yield "nodes", "This must be a list of nodes."
        return
    if len(nodes) > MOST_NODES:
        yield "nodes", f"A flow has at most {MOST_NODES} nodes."
        return
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        place = f"nodes[{index}]"
        if not isinstance(node, Mapping):
            yield place, "A node must be an object."
            continue
        node_id = node.get("nodeId")
        if not isinstance(node_id, str) or not is_id(node_id):
            yield f"{place}.nodeId", 'A node needs an id of up to 64 letters, digits, "_" or "-".'
        elif node_id in seen:
            yield f"{place}.nodeId", f'Two nodes are called "{node_id}".'
        else:
            seen.add(node_id)
        yield from _node_fields(node, place)


def _node_fields(node: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    config, kind = node.get("config"), node.get("nodeType")
    if not isinstance(config, Mapping | None):
        yield f"{place}.config", "This must be an object."
        config = None
    if kind is None and config is not None:
        kind = config.get("nodeType")  # where the specification's examples have it
    if not isinstance(kind, str) or not 0 < len(kind) <= 64:  # noqa: PLR2004 - as ids
        yield f"{place}.nodeType", "A node needs a type."
    position = node.get("position")
    if position is not None and not (isinstance(position, Mapping) and all(map(_is_number, _xy(position)))):
        yield f"{place}.position", 'A position is {"x": number, "y": number}.'


def _xy(position: Mapping[str, Any]) -> tuple[Any, Any]:
    return position.get("x"), position.get("y")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _edges(edges: object) -> Iterator[tuple[str, str]]:
    if edges is None:
        return
    if not isinstance(edges, list):
        yield "edges", "This must be a list of connections."
        return
    if len(edges) > MOST_EDGES:
        yield "edges", f"A flow has at most {MOST_EDGES} connections."
        return
    seen: set[str] = set()
    for index, edge in enumerate(edges):
        place = f"edges[{index}]"
        if not isinstance(edge, Mapping):
            yield place, "A connection must be an object."
            continue
        yield from _edge_fields(edge, place)
        edge_id = edge.get("edgeId")
        if isinstance(edge_id, str):
            if edge_id in seen:
                yield f"{place}.edgeId", f'Two connections are called "{edge_id[:64]}".'
            seen.add(edge_id)


def _edge_fields(edge: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for name in ("sourceNodeId", "targetNodeId"):
        if not isinstance(edge.get(name), str):
            yield f"{place}.{name}", "This must be the id of a node."
    for name in ("edgeId", "sourceHandle", "targetHandle"):
        if not isinstance(edge.get(name), str | None):
            yield f"{place}.{name}", "This must be a text."
