"""Joins nodes: edges, and the next nodes that configs name, become the one way that each exit leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.flow.definition import Way
from common.flow.settings_groups import next_nodes
from common.model.issues import Issue

if TYPE_CHECKING:
    from common.flow.reading import ReadNode

OUTPUT, INPUT, CONTINUE = "output", "input", "continue"

Ways = dict[str, dict[str, Way]]


@dataclass(frozen=True, slots=True)
class _Edge:
    source_id: str
    handle: str
    target_id: str
    input: str
    place: str


def wire(nodes: Mapping[str, ReadNode], start_id: str, raw_edges: object, issues: list[Issue]) -> Ways:
    """The ways out of every node. Edges win over next nodes in configs; what does not fit becomes an issue."""
    edges: dict[tuple[str, str], _Edge] = {}
    refused: set[tuple[str, str]] = set()
    for edge in _read_edges(raw_edges, issues):
        if not _fits(edge, nodes, issues):
            refused.add((edge.source_id, edge.handle))
            continue
        earlier = edges.setdefault((edge.source_id, edge.handle), edge)
        if (earlier.target_id, earlier.input) != (edge.target_id, edge.input):
            message = f'Two connections leave the exit "{edge.handle}" of "{edge.source_id}". Only one can.'
            issues.append(Issue.error("edge.two_from_exit", message, edge.source_id, edge.place))
    for edge in _named_in_configs(nodes):
        if not _fits(edge, nodes, issues):
            refused.add((edge.source_id, edge.handle))
            continue
        drawn = edges.setdefault((edge.source_id, edge.handle), edge)
        if drawn.target_id != edge.target_id:
            message = (
                f'The settings name "{edge.target_id}" as next node, but the connection on the canvas leads to '
                f'"{drawn.target_id}". The connection counts.'
            )
            issues.append(Issue.warning("edge.conflict", message, edge.source_id, edge.place))
    issues += _open_exits(nodes, edges.keys() | refused)
    return _ways(nodes, start_id, edges)


def _read_edges(raw_edges: object, issues: list[Issue]) -> Iterator[_Edge]:
    if raw_edges is None:
        return
    if not isinstance(raw_edges, list):
        issues.append(Issue.error("flow.edges", 'The "edges" of a flow must be a list.', field="edges"))
        return
    seen: set[str] = set()
    for index, raw in enumerate(raw_edges):
        place = f"edges[{index}]"
        edge = _read_edge(raw, place)
        if edge is None:
            message = 'A connection needs "sourceNodeId" and "targetNodeId".'
            issues.append(Issue.error("edge.malformed", message, field=place))
            continue
        edge_id = raw.get("edgeId")
        if isinstance(edge_id, str) and edge_id in seen:
            message = f'Two connections are called "{edge_id[:64]}".'
            issues.append(Issue.error("edge.duplicate_id", message, field=place))
        elif isinstance(edge_id, str):
            seen.add(edge_id)
        yield edge


def _read_edge(raw: Any, place: str) -> _Edge | None:
    if not isinstance(raw, Mapping):
        return None
    texts = [raw.get("sourceNodeId"), raw.get("targetNodeId")]
    handles = [
        default if raw.get(key) is None else raw.get(key)
        for key, default in (("sourceHandle", OUTPUT), ("targetHandle", INPUT))
    ]
    if not all(isinstance(text, str) for text in (*texts, *handles)):
        return None
    return _Edge(str(texts[0]), str(handles[0]), str(texts[1]), str(handles[1]), place)


def _named_in_configs(nodes: Mapping[str, ReadNode]) -> Iterator[_Edge]:
    for node in nodes.values():
        for named in () if node.settings is None else next_nodes(node.settings):
            yield _Edge(node.node_id, named.handle, named.target, INPUT, named.field)


def _fits(edge: _Edge, nodes: Mapping[str, ReadNode], issues: list[Issue]) -> bool:
    wrong = _misfit(edge, nodes)
    if wrong is not None:
        source_id = edge.source_id if edge.source_id in nodes else None
        issues.append(Issue.error(*wrong, source_id, edge.place))
    return wrong is None


def _misfit(edge: _Edge, nodes: Mapping[str, ReadNode]) -> tuple[str, str] | None:
    source, target = nodes.get(edge.source_id), nodes.get(edge.target_id)
    if source is None:
        return "edge.unknown_source", f'A connection begins at "{edge.source_id[:64]}", which does not exist.'
    if target is None:
        return "edge.unknown_target", f'A connection leads to "{edge.target_id[:64]}", which does not exist.'
    if source.settings is not None and edge.handle not in source.type.handles(source.settings):
        return "edge.unknown_exit", f'"{edge.source_id}" has no exit "{edge.handle[:64]}".'
    if edge.input not in target.type.inputs:
        return "edge.unknown_input", f'"{edge.target_id}" has no input "{edge.input[:64]}".'
    return None


def _open_exits(nodes: Mapping[str, ReadNode], connected: AbstractSet[tuple[str, str]]) -> Iterator[Issue]:
    for node in nodes.values():
        if node.settings is None:
            continue
        taken: set[str] = set()
        for handle, label in node.type.labelled_exits(node.settings):
            if handle in taken:
                message = f'Two exits are called "{handle}". Each needs an id of its own.'
                yield Issue.error("node.duplicate_exit", message, node.node_id)
            elif (node.node_id, handle) not in connected:
                message = f'The exit "{label}" leads nowhere. Connect it to the next node.'
                yield Issue.error("node.open_exit", message, node.node_id)
            taken.add(handle)


def _ways(nodes: Mapping[str, ReadNode], start_id: str, edges: Mapping[tuple[str, str], _Edge]) -> Ways:
    """The ways by node and exit.

    A way comes back to a LOOP if it enters by "continue", or by "input" from a node that cannot be reached but
    through that LOOP (in a flow graph's terms: the LOOP dominates it).
    """
    targets: dict[str, list[str]] = {node_id: [] for node_id in nodes}
    for edge in edges.values():
        targets[edge.source_id].append(edge.target_id)
    inside = {
        node.node_id: nodes.keys() - _reachable(start_id, targets, without=node.node_id)
        for node in nodes.values()
        if CONTINUE in node.type.inputs
    }
    ways: Ways = {node_id: {} for node_id in nodes}
    for (source_id, handle), edge in edges.items():
        comes_back = edge.input == CONTINUE or source_id in inside.get(edge.target_id, ())
        ways[source_id][handle] = Way(edge.target_id, comes_back)
    return ways


def _reachable(start_id: str, targets: Mapping[str, list[str]], *, without: str) -> set[str]:
    found, ahead = set[str](), [start_id]
    while ahead:
        node_id = ahead.pop()
        if node_id not in found and node_id != without:
            found.add(node_id)
            ahead += targets[node_id]
    return found
