"""What a flow says, apart from whose it is: flow JSON without its ids, its fingerprint, its size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from common.model.flow_settings import RestartPolicy

# Where a flow is and in which version: true of one copy only, so it is no part of what the flow says.
IDENTITY: Final = ("flowId", "flowName", "botId", "version", "isProduction")


def content_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The flow without its identity, in its own order."""
    return {key: value for key, value in data.items() if key not in IDENTITY}


def stamped(data: Mapping[str, Any], *, flow_id: str, bot_id: str, name: str) -> dict[str, Any]:
    """The flow as this flow's own, whatever ids it came with."""
    return {"flowId": flow_id, "flowName": name, "botId": bot_id, **content_of(data)}


def content_hash(data: Mapping[str, Any]) -> str:
    """The same for two flows that do the same when they run under the same flow settings.

    What follows a flow's end is set beside it, and holds at once: it is not deployed with it.
    """
    return _hash({key: value for key, value in content_of(data).items() if key != "settings"})


def saved_hash(data: Mapping[str, Any]) -> str:
    """The same for two flows that say the same in every word; the order of keys does not count."""
    return _hash(content_of(data))


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(_written(value)).hexdigest()


def _written(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def content_bytes(data: Mapping[str, Any]) -> int:
    """How long it is as JSON, in bytes."""
    return len(_written(content_of(data)))


def node_count(data: Mapping[str, Any]) -> int:
    """How many nodes it has; 0 where that cannot be said."""
    nodes = data.get("nodes")
    return len(nodes) if isinstance(nodes, list) else 0


def empty_flow() -> dict[str, Any]:
    """What a new flow begins with: a START node, left of the middle, where a canvas opens."""
    start = {
        "nodeId": "start",
        "nodeType": "START",
        "position": {"x": 80, "y": 240},
        "config": {"label": "Start"},
    }
    return {"nodes": [start], "edges": [], "variables": {"bot": [], "session": []}}


def settings_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The flow settings that a new flow takes over from flow JSON: none that name another flow."""
    settings = data.get("settings")
    policy = settings.get("restartPolicy") if isinstance(settings, Mapping) else None
    known = (RestartPolicy.RESTART.value, RestartPolicy.RESUME_LAST_NODE.value)
    return {"restartPolicy": policy if policy in known else known[0], "fallbackFlowId": None}


def runnable(data: Mapping[str, Any], flow: Mapping[str, Any]) -> dict[str, Any]:
    """A draft's flow as it runs: with the settings that its flow's document has, whatever the draft says of them."""
    own = data.get("settings")
    settings = {**(own if isinstance(own, Mapping) else {}), **flow.get("settings", {})}
    return {
        **stamped(data, flow_id=flow["_id"], bot_id=flow["botId"], name=flow["name"]),
        "settings": settings,
    }
