"""Reads flow JSON: nodes and their settings, variables, flow settings; what is wrong becomes issues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.flow.declared_variables import read_variables
from common.flow.definition import Flow, FlowSettings, LoadedFlow, Node, RestartPolicy
from common.flow.message_limits import wire_prefix
from common.flow.node import NodeType
from common.flow.registry import node_types
from common.flow.settings_fields import is_id
from common.flow.settings_groups import NodeSettings, read_settings, written_fields
from common.flow.wiring import wire
from common.model.issues import Issue

MAX_NODES = 1000
MAX_EDGES = 5000
START = "START"


@dataclass(frozen=True, slots=True)
class ReadNode:
    """A node before it is wired. `settings` is None where its config has errors."""

    node_id: str
    type: NodeType[Any]
    settings: NodeSettings | None


def read_flow(data: object, version_id: str) -> LoadedFlow:
    """Read flow JSON. Never raises."""
    if not isinstance(data, Mapping):
        return _refuse("flow.not_an_object", "A flow must be a JSON object.")
    raw_nodes, raw_edges = data.get("nodes"), data.get("edges")
    if not isinstance(raw_nodes, list) or not raw_nodes:
        return _refuse("flow.no_nodes", "The flow has no nodes.")
    if len(raw_nodes) > MAX_NODES or (isinstance(raw_edges, list) and len(raw_edges) > MAX_EDGES):
        return _refuse("flow.too_large", f"A flow has at most {MAX_NODES} nodes and {MAX_EDGES} connections.")
    issues: list[Issue] = []
    nodes = _read_nodes(raw_nodes, issues)
    start_id = _find_start(nodes, issues)
    declared = read_variables(data.get("variables"), issues)
    settings = _read_flow_settings(data.get("settings"), issues)
    issues += _written_wrongly(nodes, declared.bot)
    if start_id is None:
        return LoadedFlow(None, tuple(issues))
    ways = wire(nodes, start_id, raw_edges, issues)
    flow = Flow(
        version_id=version_id,
        nodes={
            node.node_id: Node(node.node_id, node.type, node.settings, ways[node.node_id])
            for node in nodes.values()
        },
        start_id=start_id,
        settings=settings,
        variables_declared=declared,
        history_needed=max(
            (node.type.looks_back(node.settings) for node in nodes.values() if node.settings), default=0
        ),
        wire_prefix=wire_prefix(version_id),
        flow_id=_text(data.get("flowId")),
        name=_text(data.get("flowName")),
    )
    return LoadedFlow(flow, tuple(issues))


def _refuse(code: str, message: str) -> LoadedFlow:
    return LoadedFlow(None, (Issue.error(code, message),))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _read_nodes(raw_nodes: list[Any], issues: list[Issue]) -> dict[str, ReadNode]:
    nodes: dict[str, ReadNode] = {}
    for index, raw in enumerate(raw_nodes):
        node = _read_node(raw, f"nodes[{index}]", issues)
        if node is None:
            continue
        if node.node_id in nodes:
            issues.append(
                Issue.error("node.duplicate_id", f'Two nodes are called "{node.node_id}".', node.node_id)
            )
            continue
        nodes[node.node_id] = node
    return nodes


def _read_node(raw: object, place: str, issues: list[Issue]) -> ReadNode | None:
    if not isinstance(raw, Mapping):
        issues.append(Issue.error("node.not_an_object", "A node must be a JSON object.", field=place))
        return None
    node_id = raw.get("nodeId")
    if not isinstance(node_id, str) or not is_id(node_id):
        message = 'A node needs a "nodeId" of up to 64 letters, digits, "_" or "-".'
        issues.append(Issue.error("node.id", message, field=place))
        return None
    config = raw.get("config")
    if config is not None and not isinstance(config, Mapping):
        issues.append(Issue.error("node.config", 'The "config" of a node must be an object.', node_id))
        return None
    node_type = _find_type(raw, config or {}, node_id, issues)
    if node_type is None:
        return None
    if not _is_position(raw.get("position")):
        message = 'The "position" of a node is {"x": number, "y": number}.'
        issues.append(Issue.warning("node.position", message, node_id))
    reading = read_settings(node_type.settings, config or {})
    issues += [replace(issue, node_id=node_id) for issue in reading.issues]
    return ReadNode(node_id, node_type, reading.settings)


def _find_type(
    raw: Mapping[str, Any], config: Mapping[str, Any], node_id: str, issues: list[Issue]
) -> NodeType[Any] | None:
    """The node's type, from beside the config or from inside it."""
    inside = config.get("nodeType")
    kind = raw.get("nodeType") if raw.get("nodeType") is not None else inside
    if not isinstance(kind, str) or kind not in node_types():
        shown = f'"{kind[:64]}"' if isinstance(kind, str) else "This"
        message = f"{shown} is no node type. There are: {', '.join(node_types())}."
        issues.append(Issue.error("node.unknown_type", message, node_id, "nodeType"))
        return None
    if inside is not None and inside != kind:
        message = f"The node is a {kind}, but its config names another type."
        issues.append(Issue.error("node.type_conflict", message, node_id, "nodeType"))
    return node_types()[kind]


def _is_position(position: object) -> bool:
    if position is None:
        return True
    return isinstance(position, Mapping) and all(
        isinstance(position.get(axis), int | float) and not isinstance(position.get(axis), bool)
        for axis in "xy"
    )


def _find_start(nodes: Mapping[str, ReadNode], issues: list[Issue]) -> str | None:
    starts = [node.node_id for node in nodes.values() if node.type.kind == START]
    if not starts:
        issues.append(Issue.error("flow.no_start", "The flow has no START node."))
        return None
    issues += [
        Issue.error("flow.two_starts", "A flow has exactly one START node.", extra) for extra in starts[1:]
    ]
    return starts[0]


def _read_flow_settings(raw: object, issues: list[Issue]) -> FlowSettings:
    if raw is None:
        return FlowSettings()
    if not isinstance(raw, Mapping):
        issues.append(
            Issue.error("flow.settings", 'The "settings" of a flow must be an object.', field="settings")
        )
        return FlowSettings()
    policy, fallback = raw.get("restartPolicy"), raw.get("fallbackFlowId")
    if policy is None:
        policy = RestartPolicy.RESTART.value
    if not isinstance(policy, str) or policy not in RestartPolicy.__members__:
        message = f'"restartPolicy" must be one of: {", ".join(RestartPolicy)}.'
        issues.append(Issue.error("flow.restart_policy", message, field="settings.restartPolicy"))
        return FlowSettings()
    fallback = fallback if isinstance(fallback, str) and fallback else None
    if policy == RestartPolicy.FALLBACK_FLOW and fallback is None:
        message = "Choose the flow that takes over when this one has ended."
        issues.append(Issue.error("flow.no_fallback_flow", message, field="settings.fallbackFlowId"))
    return FlowSettings(RestartPolicy(policy), fallback)


def _written_wrongly(nodes: Mapping[str, ReadNode], bot_names: frozenset[str]) -> Iterator[Issue]:
    for node in nodes.values():
        for path, name in () if node.settings is None else written_fields(node.settings):
            if name in bot_names:
                message = f'"{name}" is a variable of the bot: conversations can read it, but not set it.'
                yield Issue.error("variable.read_only", message, node.node_id, path)
            elif name == "lastMessage":
                message = (
                    '"lastMessage" is what the customer wrote last. Setting it hides that from the flow.'
                )
                yield Issue.warning("variable.hides_system", message, node.node_id, path)
