"""What a deploy does to the conversations that are under way: where they stand, and what becomes of those places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from common.flow.compare import compare

# Neither runs: a node that is only called something else is the same one.
_WORDS = frozenset({"config.label", "config.description"})


class Fate(StrEnum):
    """What a deploy does to a node at which conversations stand."""

    KEPT = "KEPT"
    CHANGED = "CHANGED"
    DISAPPEARS = "DISAPPEARS"


@dataclass(frozen=True, slots=True)
class Running:
    """A version on which conversations are under way: how many at which node. `flow_data` None: it is not looked at."""

    version_id: str
    number: int
    deployed_at: Any
    by_node: Mapping[str, int]
    flow_data: Mapping[str, Any] | None

    @property
    def count(self) -> int:
        return sum(self.by_node.values())


@dataclass(frozen=True, slots=True)
class Now:
    """How things are before the deploy: the live version's id, and up to which number conversations begin again."""

    live_id: str | None
    restart_up_to: int
    running: Sequence[Running]

    def restarting(self) -> int:
        """How many begin again at their next event because of an earlier deploy."""
        return sum(one.count for one in self.running if self.waits_for_restart(one))

    def waits_for_restart(self, one: Running) -> bool:
        return one.number <= self.restart_up_to


def fates(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Fate]:
    """What becomes of the nodes of `old` that are not kept as they are: their settings, or where their exits lead."""
    found = compare(old, new)
    changed = {one["nodeId"] for one in found["nodesChanged"] if one["path"] not in _WORDS}
    changed |= {edge["sourceNodeId"] for edge in (*found["edgesAdded"], *found["edgesRemoved"])}
    gone = {one["nodeId"] for one in found["nodesRemoved"]}
    return dict.fromkeys(changed, Fate.CHANGED) | dict.fromkeys(gone, Fate.DISAPPEARS)


def plan(now: Now, target: Mapping[str, Any]) -> dict[str, Any]:
    """The conversations under way, and what each choice does to them, as `api.schemas.deployments` shows it."""
    total = sum(one.count for one in now.running)
    listed = [one for one in now.running if one.flow_data is not None]
    versions = [_version(one, now, target) for one in listed]
    restarting = now.restarting()
    return {
        "conversations": total,
        "versions": versions,
        "conversationsOnOlderVersions": total - sum(one.count for one in listed),
        "onNodes": {
            fate.value: sum(
                node["conversations"]
                for version in versions
                for node in version["nodes"]
                if node["fate"] == fate.value
            )
            for fate in Fate
        },
        "finishOnOld": {"finish": total - restarting, "restart": restarting},
        "restartOnNew": {"finish": 0, "restart": total},
    }


def _version(one: Running, now: Now, target: Mapping[str, Any]) -> dict[str, Any]:
    old = one.flow_data or {}
    fate_of, nodes, there = fates(old, target), _nodes(old), _nodes(target)
    return {
        "versionId": one.version_id,
        "versionNumber": one.number,
        "deployedAt": one.deployed_at,
        "isLive": one.version_id == now.live_id,
        "restartsAnyway": now.waits_for_restart(one),
        "conversations": one.count,
        "nodes": [
            {
                "nodeId": node_id,
                **nodes.get(node_id, {"label": node_id, "nodeType": ""}),
                "conversations": count,
                "fate": fate_of.get(node_id, Fate.KEPT if node_id in there else Fate.DISAPPEARS).value,
            }
            for node_id, count in sorted(one.by_node.items(), key=lambda item: (-item[1], item[0]))
        ],
    }


def _nodes(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for node in data.get("nodes", ()):
        config = node.get("config") or {}
        label = config.get("label") or node["nodeId"]
        kind = node.get("nodeType") or config.get("nodeType") or ""
        found[node["nodeId"]] = {"label": label, "nodeType": kind}
    return found
