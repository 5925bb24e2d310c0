"""The way that a conversation took through its flow: which exits it left by, and which it did not."""

from __future__ import annotations

from typing import Final

from api.history.record import SessionRecord
from common.store.database import Document

MOST_STEPS: Final = 2_000


def path_of(record: SessionRecord) -> Document:
    """Every exit that was taken, in order, and every edge with how often it was; the first MOST_STEPS steps."""
    steps = record.store.execution_logs.page(record.session_id, limit=MOST_STEPS)
    counted: dict[tuple[str | None, str, str], Document] = {}
    taken = [step for step in (_taken(record, step) for step in steps.items) if step is not None]
    for step in taken:
        for exit_ in step["exits"]:
            key = (step["versionId"], step["nodeId"], exit_["handle"])
            edge = counted.setdefault(
                key,
                {
                    "edgeId": exit_["edgeId"],
                    "versionId": step["versionId"],
                    "sourceNodeId": step["nodeId"],
                    "sourceHandle": exit_["handle"],
                    "targetNodeId": exit_["nextNodeId"],
                    "times": 0,
                },
            )
            edge["times"] += exit_["isChosen"]
    return {"steps": taken, "edges": list(counted.values()), "isComplete": steps.next_cursor is None}


def _taken(record: SessionRecord, step: Document) -> Document | None:
    """One step of the way; None for a step that left by no exit."""
    handle = step.get("handle")
    if handle is None:
        return None
    version_id = step.get("flowVersionId")
    known = record.flow(version_id)
    exits = [
        {
            "handle": each.handle,
            "label": each.label,
            "edgeId": each.edge_id,
            "nextNodeId": each.next_node_id,
            "isChosen": each.handle == handle,
        }
        for each in (known.exits(step["nodeId"]) if known else ())
    ]
    if not any(each["isChosen"] for each in exits):  # the version is gone, or its node was mended
        chosen = {"handle": handle, "label": handle, "edgeId": None, "nextNodeId": step.get("nextNodeId")}
        exits.append({**chosen, "isChosen": True})
    return {
        "turn": step["turn"],
        "place": step["place"],
        "at": step["executedAt"],
        "versionId": version_id,
        "nodeId": step["nodeId"],
        "nodeType": step["nodeType"],
        "nodeLabel": record.label(step),
        "nextNodeId": step.get("nextNodeId"),
        "exits": exits,
    }
