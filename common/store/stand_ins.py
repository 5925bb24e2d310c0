"""What stands in for API and AI calls in tests: one answer a node, written by hand or recorded."""

from __future__ import annotations

import json
from typing import Any

from pymongo.database import Database

from common.clock import utc_now
from common.model.events import EffectAnswered, event_from_json
from common.model.simulation import StandIn, is_no_answer, recorded
from common.store.database import Document


class StandIns:
    """The `stand_ins` collection, and answers in `execution_logs` that can become some."""

    def __init__(self, database: Database[Document]) -> None:
        self._stand_ins = database["stand_ins"]
        self._logs = database["execution_logs"]

    def find(self, bot_id: str, flow_id: str, node_id: str) -> StandIn | None:
        """What answers the calls of a node."""
        document = self._stand_ins.find_one({"botId": bot_id, "flowId": flow_id, "nodeId": node_id})
        return _from_document(document) if document else None

    def of_flow(self, bot_id: str, flow_id: str) -> list[Document]:
        """All stand-ins of a flow, as {nodeId, kind, answer, isRecorded, updatedAt}."""
        found = self._stand_ins.find({"botId": bot_id, "flowId": flow_id}).sort("nodeId", 1)
        return [{**document, "answer": json.loads(document["answer"])} for document in found]

    def put(self, bot_id: str, flow_id: str, stand_in: StandIn, *, is_recorded: bool = False) -> Document:
        """Set what answers the calls of a node, in place of what did."""
        key = {"botId": bot_id, "flowId": flow_id, "nodeId": stand_in.node_id}
        fields = {
            "kind": stand_in.kind,
            # JSON text: an answer may hold keys and numbers that BSON does not take.
            "answer": json.dumps(stand_in.answer),
            "isRecorded": is_recorded,
            "updatedAt": utc_now(),
        }
        self._stand_ins.update_one(key, {"$set": fields}, upsert=True)
        return {**key, **fields, "answer": stand_in.answer}

    def delete(self, bot_id: str, flow_id: str, node_id: str) -> bool:
        """Take a stand-in away; False where there was none."""
        query = {"botId": bot_id, "flowId": flow_id, "nodeId": node_id}
        return self._stand_ins.delete_one(query).deleted_count == 1

    def from_log(self, session_id: str) -> dict[str, StandIn]:
        """The last answer that each node of a session got, made into a stand-in."""
        found: dict[str, StandIn] = {}
        query: dict[str, Any] = {"sessionId": session_id, "cause": {"$regex": '"kind":"answer"'}}
        for step in self._logs.find(query, {"nodeId": 1, "cause": 1}).sort("turn", 1):
            event = event_from_json(json.loads(step["cause"])["event"])
            if isinstance(event, EffectAnswered) and not is_no_answer(event.answer):
                found[step["nodeId"]] = recorded(step["nodeId"], event.answer)
        return found


def _from_document(document: Document) -> StandIn:
    return StandIn(document["nodeId"], document["kind"], json.loads(document["answer"]))
