"""Node cases: one node under test, called `it`, between a START and an END for each of its exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.flow.definition import LoadedFlow, load_flow
from common.flow.registry import node_types
from common.flow.settings_groups import read_settings
from tests.conversations.scripts import Case, expand, read_yaml

FOLDER = Path(__file__).parent
_KEYS = {
    "name",
    "config",
    "around",
    "edges",
    "variables",
    "given",
    "script",
    "exit",
    "ends",
    "issues",
    "handles",
}


def case_file(kind: str) -> Path:
    return FOLDER / f"{kind.lower()}.yaml"


def all_cases() -> list[tuple[str, dict[str, Any]]]:
    """(node type, case) of every case file."""
    return [(path.stem.upper(), data) for path in sorted(FOLDER.glob("*.yaml")) for data in read_yaml(path)]


def load_case(kind: str, data: dict[str, Any]) -> LoadedFlow:
    """The flow around the node: START, `it`, `around`, and an END called after every exit that leads nowhere."""
    assert data.keys() <= _KEYS, f"unknown keys: {data.keys() - _KEYS}"
    config = {"nodeType": kind, **data.get("config", {})}
    nodes: dict[str, Any] = {"start": {"nodeType": "START"}, "it": config, **data.get("around", {})}
    edges = [["start", "output", "it"], *data.get("edges", [])]
    reading = read_settings(node_types()[kind].settings, config)
    if kind == "START":
        nodes, edges = {"it": config, **data.get("around", {})}, []
    handles = [] if reading.settings is None else node_types()[kind].handles(reading.settings)
    for handle in handles:
        if not any(edge[:2] == ["it", handle] for edge in edges) and handle not in data.get("handles", ()):
            nodes.setdefault(f"to_{handle}", {"nodeType": "END"})
            edges.append(["it", handle, f"to_{handle}"])
    flow = {"nodes": nodes, "edges": edges, "variables": data.get("variables", {})}
    return load_flow(expand(flow), "v1")


def scripted(kind: str, data: dict[str, Any]) -> Case:
    """The node case as a scripted conversation."""
    return Case(
        name=data["name"],
        flow=load_case(kind, data),
        flows={},
        given=data.get("given", {}),
        script=data.get("script", []),
        ends=data.get("ends", {}),
    )
