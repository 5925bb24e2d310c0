"""Cases as they stand in YAML: their flows, what the customer does, what is expected."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from common.flow.definition import LoadedFlow, load_flow

ROOT = Path(__file__).parents[2]
FLOW_FOLDERS = (ROOT / "docs/examples", ROOT / "tests/conversations/flows")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_STEP_KEYS = {
    "user", "after", "stale", "calls", "bot", "recorded", "ignored", "notes", "error", "status", "variables",
}  # fmt: skip
_CASE_KEYS = {"name", "flow", "flows", "given", "script", "ends"}


@dataclass(frozen=True)
class Case:
    """One scripted conversation."""

    name: str
    flow: LoadedFlow
    flows: dict[str, LoadedFlow]
    given: dict[str, Any]
    script: list[dict[str, Any]]
    ends: dict[str, Any] = field(default_factory=dict)


def read_yaml(path: Path) -> Any:
    """The document as plain lists and dicts."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def span(text: str) -> timedelta:
    """A span as cases write it: 2s, 30m, 24h."""
    found = _SPAN.fullmatch(text)
    assert found, f"{text!r} is no span of time"
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def read_case(data: dict[str, Any]) -> Case:
    """The case that YAML describes; unknown keys are mistakes."""
    assert data.keys() <= _CASE_KEYS, f"unknown keys: {data.keys() - _CASE_KEYS}"
    for step in data["script"]:
        assert step.keys() <= _STEP_KEYS, f"unknown keys: {step.keys() - _STEP_KEYS}"
    return Case(
        name=data["name"],
        flow=load_named(data["flow"], "main"),
        flows={flow_id: load_named(flow, flow_id) for flow_id, flow in data.get("flows", {}).items()},
        given=data.get("given", {}),
        script=data["script"],
        ends=data.get("ends", {}),
    )


def load_named(flow: str | dict[str, Any], version_id: str) -> LoadedFlow:
    """A flow by the name of its file, or written out in the case."""
    if isinstance(flow, dict):
        return load_flow(expand(flow), version_id)
    for folder in FLOW_FOLDERS:
        if (folder / f"{flow}.json").exists():
            return load_flow(json.loads((folder / f"{flow}.json").read_text(encoding="utf-8")), version_id)
    return load_flow(json.loads((ROOT / flow).read_text(encoding="utf-8")), version_id)


def expand(flow: dict[str, Any]) -> dict[str, Any]:
    """Flow JSON from its short form: `nodes` by id, `edges` as [from, exit, to] or [from, exit, to, input]."""
    nodes = [
        {
            "nodeId": node_id,
            "nodeType": config["nodeType"],
            "position": {"x": 200 * index, "y": 0},
            "config": config,
        }
        for index, (node_id, config) in enumerate(flow["nodes"].items())
    ]
    edges = [
        {
            "edgeId": f"edge_{index}",
            "sourceNodeId": edge[0],
            "sourceHandle": edge[1],
            "targetNodeId": edge[2],
            "targetHandle": edge[3] if len(edge) > 3 else "input",
        }
        for index, edge in enumerate(flow.get("edges", []))
    ]
    rest = {key: value for key, value in flow.items() if key not in ("nodes", "edges")}
    return {"flowId": "case", "flowName": "Case", **rest, "nodes": nodes, "edges": edges}
