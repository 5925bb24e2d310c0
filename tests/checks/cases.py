"""Cases of deploy checks: a flow in a few lines of YAML, and the issues that one check finds in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.flow.registry import node_types
from common.flow.settings_groups import read_settings
from common.flow.validation.context import BotVariable, CheckContext, OtherFlow
from common.flow.validation.validate import validate
from common.flow.validation.verdict import Validation
from common.model.values import VariableType
from tests.conversations.scripts import expand, read_yaml

FOLDER = Path(__file__).parent
Json = dict[str, Any]
_KEYS = {
    "name",
    "flow",
    "line",
    "nodes",
    "edges",
    "open",
    "variables",
    "settings",
    "context",
    "issues",
    "says",
    "others",
}


def case_file(check: str) -> Path:
    return FOLDER / f"{check}.yaml"


def all_cases() -> list[tuple[str, Json]]:
    """(check, case) of every case file."""
    return [(path.stem, data) for path in sorted(FOLDER.glob("*.yaml")) for data in read_yaml(path)]


def check_case(data: Json) -> Validation:
    assert data.keys() <= _KEYS, f"unknown keys: {data.keys() - _KEYS}"
    document = data["flow"] if "flow" in data else flow_of(data)
    return validate(document, context_of(data.get("context", {})))


def flow_of(data: Json) -> Json:
    """The flow of a case: a START called `start` leads to the first node, and every exit without an edge, except
    those named `open`, to an END called `end`. Edges: "ask.success > done, done > end"; an exit without a name is
    "output", an input is named after the node: "step > loop.continue". `line` puts so many MESSAGEs in a row.
    """
    count = data.get("line", 0)
    line: Json = {f"m{number}": {"nodeType": "MESSAGE", "messageContent": "Hi"} for number in range(count)}
    nodes: Json = line | data.get("nodes", {})
    edges = [_edge(text) for text in data.get("edges", "").split(",") if text.strip()]
    edges += [[f"m{number}", "output", f"m{number + 1}", "input"] for number in range(count - 1)]
    if not any(config["nodeType"] == "START" for config in nodes.values()):
        edges += [["start", "output", next(iter(nodes), "end")]]
        nodes = {"start": {"nodeType": "START"}, **nodes}
    connected = {(edge[0], edge[1]) for edge in edges} | {
        (node_id, handle) for node_id, handle in (place.split(".") for place in data.get("open", ()))
    }
    for node_id, config in list(nodes.items()):
        node_type = node_types().get(config["nodeType"])
        reading = None if node_type is None else read_settings(node_type.settings, config)
        if node_type is None or reading is None or reading.settings is None:
            continue
        for handle in node_type.handles(reading.settings):
            if (node_id, handle) not in connected:
                nodes.setdefault("end", {"nodeType": "END"})
                edges.append([node_id, handle, "end"])
    rest: Json = {key: data[key] for key in ("variables", "settings") if key in data}
    return expand({"nodes": nodes, "edges": edges, **rest})


def _edge(text: str) -> list[str]:
    source, _, target = (part.strip() for part in text.partition(">"))
    (node_id, _, handle), (target_id, _, entrance) = source.partition("."), target.partition(".")
    return [node_id, handle or "output", target_id, entrance or "input"]


def context_of(data: Json) -> CheckContext:
    """The surroundings as a case writes them, in the keys of the fields."""
    bot = data.get("bot_variables")
    others = data.get("other_flows")
    rest = {key: value for key, value in data.items() if key not in ("bot_variables", "other_flows")}
    for key in ("models", "brought_along"):
        if key in rest:
            rest[key] = frozenset(rest[key])
    return CheckContext(
        bot_variables=None if bot is None else {name: _bot_variable(one) for name, one in bot.items()},
        other_flows=None
        if others is None
        else {one: OtherFlow(one, **rest_) for one, rest_ in others.items()},
        **rest,
    )


def _bot_variable(data: Json) -> BotVariable:
    declared = data.get("type")
    return BotVariable(data.get("value"), None if declared is None else VariableType(declared))
