"""Somebody with one of everything, so that a stranger has something to reach for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.clock import utc_now
from common.ids import new_ulid
from common.model.contacts import Channel, contact_id_for, lane_for

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.api.person import Person

# Words that stand in every text of the victim's, and nowhere else.
MARK = "quokka"


def give_everything(database: Database[dict[str, Any]], person: Person) -> dict[str, str]:
    """One bot with a flow, a version, a variable, a contact, a session, a message, …; their ids by path parameter."""
    now = utc_now()
    ids = {
        "bot_id": new_ulid(), "flow_id": new_ulid(), "version_id": new_ulid(), "session_id": new_ulid(),
        "message_id": new_ulid(), "name": f"{MARK}Name", "node_id": "start",
    }  # fmt: skip
    phone = str(abs(hash(person.email)) % 10**11 + 10**11)
    ids["contact_id"] = contact_id_for(ids["bot_id"], f"wa:{phone}")
    lane = lane_for(Channel.WHATSAPP, ids["contact_id"])
    times = {"createdAt": now, "updatedAt": now}
    flow_data = {
        "flowName": MARK,
        "nodes": [
            {"nodeId": "start", "nodeType": "START", "position": {"x": 0, "y": 0}, "config": {}},
            {
                "nodeId": "end",
                "nodeType": "END",
                "position": {"x": 9, "y": 0},
                "config": {"finalMessage": MARK},
            },
        ],
        "edges": [{"edgeId": "e1", "sourceNodeId": "start", "targetNodeId": "end", "sourceHandle": "output"}],
    }
    of_bot = {"botId": ids["bot_id"]}
    database["bots"].insert_one(
        {"_id": ids["bot_id"], "userId": person.user_id, "name": MARK, "description": MARK, "configRevision": 1,
         "revision": 1, "activeFlowId": ids["flow_id"], **times}
    )  # fmt: skip
    database["flows"].insert_one(
        {
            "_id": ids["flow_id"],
            **of_bot,
            "name": MARK,
            "description": MARK,
            "triggers": [],
            "revision": 1,
            **times,
        }
    )
    database["flow_drafts"].insert_one(
        {"_id": ids["flow_id"], **of_bot, "revision": 1, "flowData": flow_data, "savedBy": person.user_id,
         "savedAt": now}
    )  # fmt: skip
    database["flow_versions"].insert_one(
        {"_id": ids["version_id"], "flowId": ids["flow_id"], **of_bot, "versionNumber": 1, "flowData": flow_data,
         "isDraft": False, "isProduction": True, "deployedAt": now, "deployedBy": person.user_id,
         "createdBy": person.user_id, "note": MARK, "revision": 1, **times}
    )  # fmt: skip
    database["bot_variables"].insert_one(
        {
            **of_bot,
            "variableName": ids["name"],
            "variableValue": MARK,
            "variableType": "STRING",
            "revision": 1,
            **times,
        }
    )
    database["contacts"].insert_one(
        {"_id": ids["contact_id"], **of_bot, "aliases": [f"wa:{phone}"], "waId": phone, "bsuid": None,
         "profileName": MARK, "messageSeq": 1, "lastInboundAt": now, "updatedAt": now}
    )  # fmt: skip
    database["sessions"].insert_one(
        {"_id": ids["session_id"], **of_bot, "contactId": ids["contact_id"], "channel": "WHATSAPP", "lane": lane,
         "userPhoneNumber": phone, "flowId": ids["flow_id"], "flowVersionId": ids["version_id"],
         "currentNodeId": "start", "status": "PAUSED", "isOpen": True, "isTest": False, "turn": 1, "wait": None,
         "loops": [], "history": [], "lastMessage": MARK, "lastReplyNodeId": None, "rev": 1, "callStarts": 0, **times}
    )  # fmt: skip
    database["session_variables"].insert_one(
        {"sessionId": ids["session_id"], "variableName": ids["name"], "variableValue": MARK, "variableType": "STRING",
         "updatedAt": now}
    )  # fmt: skip
    database["messages"].insert_one(
        {"_id": ids["message_id"], "sessionId": ids["session_id"], "lane": lane, **of_bot,
         "contactId": ids["contact_id"], "seq": 1, "sender": "BOT", "direction": "OUT", "messageType": "TEXT",
         "messageContent": MARK, "nodeId": "end", "phoneNumberId": None, "status": "DELIVERED", "rank": 70,
         "attempts": 1, "requestId": "r", "sentAt": now, "createdAt": now}
    )  # fmt: skip
    database["execution_logs"].insert_one(
        {"_id": new_ulid(), "sessionId": ids["session_id"], **of_bot, "lane": lane, "nodeId": "start",
         "nodeType": "START", "turn": 1, "place": 0, "executedAt": now, "nextNodeId": "end", "fence": 1}
    )  # fmt: skip
    return ids
