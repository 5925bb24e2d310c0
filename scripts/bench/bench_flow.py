"""The flow that is measured: each message runs three nodes, sets one variable and gets one reply."""

from __future__ import annotations

from typing import Any

REPLY = "You said: "


def three_nodes() -> dict[str, Any]:
    """INPUT takes the answer, CONDITION looks at it, INPUT asks again; `stop` would end the conversation."""
    branches = [{"branchId": "stop", "label": "Stop", "expression": "{{lastMessage}} == 'stop'"}]
    question = {
        "promptMessage": f"{REPLY}{{{{lastMessage}}}}",
        "inputType": "TEXT",
        "variableName": "answer",
    }
    return {
        "nodes": [
            _node("start", "START", {}),
            _node("route", "CONDITION", {"branches": branches}),
            _node("ask", "INPUT", question),
            _node("bye", "END", {"finalMessage": "Bye"}),
        ],
        "edges": [
            _edge("start", "output", "route"),
            _edge("route", "stop", "bye"),
            _edge("route", "default", "ask"),
            _edge("ask", "success", "route"),
            _edge("ask", "failure", "bye"),
        ],
        "variables": {"bot": [], "session": ["answer"]},
    }


def _node(node_id: str, node_type: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"nodeId": node_id, "nodeType": node_type, "position": {"x": 0, "y": 0}, "config": config}


def _edge(source: str, handle: str, target: str) -> dict[str, Any]:
    return {
        "edgeId": f"{source}-{handle}",
        "sourceNodeId": source,
        "targetNodeId": target,
        "sourceHandle": handle,
        "targetHandle": "input",
    }
