"""Somebody with one of everything, so that a stranger has something to reach for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.clock import utc_now
from common.ids import new_ulid
from common.model.contacts import Channel, contact_id_for, lane_for
from common.model.conversation_jobs import conversation_of_tester
from common.model.flow_content import content_hash
from common.model.simulation import StandIn
from common.secrets import KeyRing
from common.store.store import Store
from tests.http.web_setup import ENCRYPTION_KEYS

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.api.person import Person

# A word that stands in every text of the victim's, and nowhere else.
MARK = "quokka"


def give_everything(database: Database[dict[str, Any]], person: Person, mark: str = MARK) -> dict[str, str]:
    """One bot with a flow, a version, a variable, a contact, a session, a message, …; their ids by path parameter."""
    now = utc_now()
    ids = {
        "bot_id": new_ulid(), "flow_id": new_ulid(), "version_id": new_ulid(), "session_id": new_ulid(),
        "message_id": new_ulid(), "name": f"{mark}Name", "node_id": "start", "control_id": new_ulid(),
    }  # fmt: skip
    ids["message_id"] = f"{ids['session_id']}:1:0"  # as messages of a turn are called
    phone = str(int(ids["bot_id"], 36) % 10**11 + 10**11)
    ids["contact_id"] = contact_id_for(ids["bot_id"], f"wa:{phone}")
    lane = lane_for(Channel.WHATSAPP, ids["contact_id"])
    times = {"createdAt": now, "updatedAt": now}
    flow_data = {
        "flowName": mark,
        "nodes": [
            {"nodeId": "start", "nodeType": "START", "position": {"x": 0, "y": 0}, "config": {}},
            {
                "nodeId": "end",
                "nodeType": "END",
                "position": {"x": 9, "y": 0},
                "config": {"finalMessage": mark},
            },
        ],
        "edges": [{"edgeId": "e1", "sourceNodeId": "start", "targetNodeId": "end", "sourceHandle": "output"}],
    }
    of_bot = {"botId": ids["bot_id"]}
    database["bots"].insert_one(
        {"_id": ids["bot_id"], "userId": person.user_id, "name": mark, "description": mark, "configRevision": 1,
         "revision": 1, "activeFlowId": ids["flow_id"], **times}
    )  # fmt: skip
    store = Store(database)
    store.flows.create(
        ids["bot_id"], mark, flow_id=ids["flow_id"], by=person.user_id, description=mark, flow_data=flow_data
    )
    database["flow_versions"].insert_one(
        {"_id": ids["version_id"], "flowId": ids["flow_id"], **of_bot, "versionNumber": 1, "flowData": flow_data,
         "isDraft": False, "isProduction": True, "deployedAt": now, "deployedBy": person.user_id,
         "createdBy": person.user_id, "note": mark, "revision": 1, "nodeCount": 2,
         "contentHash": content_hash(flow_data), **times}
    )  # fmt: skip
    database["bot_variables"].insert_one(
        {
            **of_bot,
            "variableName": ids["name"],
            "variableValue": mark,
            "variableType": "STRING",
            "revision": 1,
            **times,
        }
    )
    database["contacts"].insert_one(
        {"_id": ids["contact_id"], **of_bot, "aliases": [f"wa:{phone}"], "waId": phone, "bsuid": None,
         "profileName": mark, "messageSeq": 1, "lastInboundAt": now, "updatedAt": now}
    )  # fmt: skip
    database["sessions"].insert_one(
        {"_id": ids["session_id"], **of_bot, "contactId": ids["contact_id"], "channel": "WHATSAPP", "lane": lane,
         "userPhoneNumber": phone, "flowId": ids["flow_id"], "flowVersionId": ids["version_id"],
         "currentNodeId": "start", "status": "PAUSED", "isOpen": True, "isTest": False, "turn": 1, "wait": None,
         "loops": [], "history": [], "lastMessage": mark, "lastReplyNodeId": None, "rev": 1, "callStarts": 0, **times}
    )  # fmt: skip
    database["session_variables"].insert_one(
        {"sessionId": ids["session_id"], "variableName": ids["name"], "variableValue": mark, "variableType": "STRING",
         "updatedAt": now}
    )  # fmt: skip
    database["messages"].insert_one(
        {"_id": ids["message_id"], "sessionId": ids["session_id"], "lane": lane, **of_bot,
         "contactId": ids["contact_id"], "seq": 1, "sender": "BOT", "direction": "OUT", "messageType": "TEXT",
         "messageContent": mark, "nodeId": "end", "phoneNumberId": None, "status": "DELIVERED", "rank": 70,
         "attempts": 1, "requestId": "r", "sentAt": now, "createdAt": now}
    )  # fmt: skip
    database["execution_logs"].insert_one(
        {"_id": new_ulid(), "sessionId": ids["session_id"], **of_bot, "lane": lane, "nodeId": "start",
         "nodeType": "START", "turn": 1, "place": 0, "executedAt": now, "nextNodeId": "end", "fence": 1}
    )  # fmt: skip
    conversation = conversation_of_tester(ids["bot_id"], person.user_id, ids["flow_id"], "15550001")
    ids["conversation_id"] = conversation.contact_id
    database["test_conversations"].insert_one(
        {"_id": ids["conversation_id"], **of_bot, "userId": person.user_id, "flowId": ids["flow_id"],
         "phoneNumber": "15550001", "name": mark, "usedAt": now}
    )  # fmt: skip
    store.stand_ins.put(
        ids["bot_id"],
        ids["flow_id"],
        StandIn(ids["node_id"], "HTTP", {"status": 200, "headers": {}, "body": mark}),
    )
    keys = KeyRing.from_setting(ENCRYPTION_KEYS)
    account = {"phoneNumberId": phone, "phoneNumber": phone, "businessAccountId": "1"}
    store.bots.ensure_account(ids["bot_id"], account, {"accessToken": f"{mark}-token"}, keys.encrypt)
    store.bots.ensure_openai(person.user_id, f"sk-{mark}-key", keys.encrypt)
    database["jobs"].insert_one(
        {"_id": ids["control_id"], **of_bot, "kind": "CONTROL", "state": "DONE", "lane": lane, "payload": "{}",
         "requestId": "r", "receivedAt": now, "doneAt": now, "attempts": 0, "seq": 1}
    )  # fmt: skip
    return ids
