"""What stands in for a flow's API and AI calls in tests."""

from __future__ import annotations

from typing import Any

from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.schemas.simulator import NewStandIn, Recording, StandInsView, StandInView
from common.model.simulation import StandIn
from common.store.database import Document

routes = Routes(
    "stand_ins", "/api/bots/<bot_id>/flows/<flow_id>/stand-ins", "Answers that stand in for calls in tests."
)


@routes.get("", access=Access.OWNER, answer=StandInsView)
def list_stand_ins(call: Call) -> Document:
    """List a flow's stand-ins."""
    flow_id = _flow(call)
    return {"items": call.store.stand_ins.of_flow(call.bot_id, flow_id)}


@routes.put("/<node_id>", access=Access.OWNER, body=NewStandIn, answer=StandInView)
def put_stand_in(call: Call) -> Document:
    """Set what answers the calls of a node in tests."""
    flow_id = _flow(call)
    stand_in = StandIn(call.path["node_id"], call.body["kind"], _answer(call.body["answer"]))
    return call.store.stand_ins.put(call.bot_id, flow_id, stand_in)


@routes.delete("/<node_id>", access=Access.OWNER)
def delete_stand_in(call: Call) -> None:
    """Delete a stand-in: in tests without real calls, the node's call then fails with `call.no_stand_in`."""
    if not call.store.stand_ins.delete(call.bot_id, _flow(call), call.path["node_id"]):
        raise not_found("stand-in")


@routes.post("/record", access=Access.OWNER, body=Recording, answer=StandInsView)
def record_stand_ins(call: Call) -> Document:
    """Make stand-ins of the answers that a test conversation got in its last run."""
    flow_id = _flow(call)
    conversation = call.store.test_conversations.find(call.bot_id, call.body["conversation_id"])
    if conversation is None or conversation["flowId"] != flow_id:
        raise not_found("test conversation")
    session = call.store.live.conversation(conversation["_id"], after=None).session
    found = call.store.stand_ins.from_log(session["_id"]) if session else {}
    wanted = call.body["node_ids"]
    for node_id, stand_in in found.items():
        if wanted is None or node_id in wanted:
            call.store.stand_ins.put(call.bot_id, flow_id, stand_in, is_recorded=True)
    return {"items": call.store.stand_ins.of_flow(call.bot_id, flow_id)}


def _flow(call: Call) -> str:
    if call.store.test_versions.draft_revision(call.bot_id, call.path["flow_id"]) is None:
        raise not_found("flow")
    return call.path["flow_id"]


def _answer(given: dict[str, Any]) -> dict[str, Any]:
    if given["failure"] is not None:
        return {"failure": given["failure"]}
    if given["text"] is not None:
        return {"text": given["text"]}
    return {"status": given["status"], "headers": given["headers"] or {}, "body": given["body"]}
