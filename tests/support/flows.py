"""Flow documents in a few lines, and the flows that many tests play."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Config = dict[str, Any]


def flow(nodes: dict[str, tuple[str, Config]], edges: str) -> Json:
    """A flow document. `edges`: "start > ask, ask.success > done"; an exit without a name is "output"."""
    return {
        "nodes": [
            {"nodeId": node_id, "nodeType": kind, "position": {"x": 0, "y": 0}, "config": config}
            for node_id, (kind, config) in ({"start": ("START", {})} | nodes).items()
        ],
        "edges": [_edge(number, text) for number, text in enumerate(edges.split(","))],
        "variables": {"bot": [], "session": []},
    }


def _edge(number: int, text: str) -> Json:
    source, _, target = (part.strip() for part in text.partition(">"))
    node_id, _, handle = source.partition(".")
    return {
        "edgeId": f"edge-{number}",
        "sourceNodeId": node_id,
        "sourceHandle": handle or "output",
        "targetNodeId": target,
        "targetHandle": "input",
    }


def say(text: str) -> tuple[str, Config]:
    return "MESSAGE", {"messageContent": text}


def ask(text: str, variable: str = "answer", **more: Any) -> tuple[str, Config]:
    return "INPUT", {"promptMessage": text, "inputType": "TEXT", "variableName": variable, **more}


def wait(seconds: float, **more: Any) -> tuple[str, Config]:
    return "DELAY", {"delayDuration": seconds, "delayUnit": "SECONDS", **more}


def count(variable: str = "n") -> tuple[str, Config]:
    return "SET_VARIABLE", {"operation": "INCREMENT", "variableName": variable}


def call(url: str, **more: Any) -> tuple[str, Config]:
    config = {"method": "POST", "url": url, "body": {"from": "{{userPhone}}"}, "storeEntireResponse": True}
    retry = {"max": 0, "delay": 0, "timeout": 30}
    return "API", {**config, "retry": retry, **more}


def end(text: str = "", action: str = "CLOSE_SESSION") -> tuple[str, Config]:
    return "END", {"endType": "NORMAL", "finalMessage": text, "sessionAction": action}


def echo(prefix: str = "") -> Json:
    """Answers the n-th message with "n:<its text>", for ever: order, loss and repetition all show."""
    return flow(
        {"count": count(), "ask": ask(prefix + "{{n}}:{{lastMessage}}"), "end": end()},
        "start > count, count > ask, ask.success > count, ask.failure > end",
    )


def echoes(texts: list[str]) -> list[str]:
    """What `echo` answers to these messages."""
    return [f"{number}:{text}" for number, text in enumerate(texts, 1)]
