"""Sessions and their variables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.database import Database

from common.model.calls import ChatMessage
from common.model.contacts import Channel
from common.model.session import Pace, Session, SessionStatus, Wait, WaitKind
from common.model.values import Value
from common.store.database import Document


@dataclass(slots=True)
class StoredSession:
    """A session with what only the store cares about. `rev` is 0 while it is not stored."""

    session: Session
    channel: Channel
    flow_id: str
    created_at: datetime
    rev: int = 0
    call_starts: int = 0  # how often the call that it waits for has been begun
    timer_arms: int = 0  # how often a timer was set anew for a wait: each one is a job of its own
    started_at: datetime | None = None  # when the flow was last begun from START; None: with the session


class Sessions:
    """The `sessions` and `session_variables` collections."""

    def __init__(self, database: Database[Document]) -> None:
        self._sessions = database["sessions"]
        self._variables = database["session_variables"]

    def load_open(self, contact_ids: Sequence[str], channel: Channel) -> dict[str, StoredSession]:
        """The open sessions of these contacts, by contact id. Two round trips for all."""
        documents = list(
            self._sessions.find(
                {"contactId": {"$in": list(contact_ids)}, "channel": channel.value, "isOpen": True}
            )
        )
        if not documents:
            return {}
        variables: dict[str, dict[str, Value]] = {document["_id"]: {} for document in documents}
        for variable in self._variables.find(
            {"sessionId": {"$in": list(variables)}}, {"sessionId": 1, "variableName": 1, "variableValue": 1}
        ):
            variables[variable["sessionId"]][variable["variableName"]] = variable["variableValue"]
        return {
            document["contactId"]: _from_document(document, variables[document["_id"]])
            for document in documents
        }

    def begin_call(self, session_id: str, rev: int) -> bool:
        """Write down that a call is about to be made; False where the session has moved on."""
        return (
            self._sessions.update_one(
                {"_id": session_id, "rev": rev}, {"$inc": {"callStarts": 1}}
            ).matched_count
            == 1
        )


def session_document(
    stored: StoredSession, now: datetime, phone: str | None, lane: str, *, resume_at: datetime | None
) -> Document:
    """A session as it is stored. `resume_at` is when its timer is due, by the real clock."""
    session = stored.session
    wait = session.wait
    document: Document = {
        "_id": session.session_id,
        "botId": session.bot_id,
        "contactId": session.contact_id,
        "channel": stored.channel.value,
        "lane": lane,
        "userPhoneNumber": phone,
        "flowId": stored.flow_id,
        "flowVersionId": session.flow_version_id,
        "currentNodeId": session.node_id,
        "status": session.status.value,
        "isOpen": session.status.is_open,
        "isTest": stored.channel is Channel.SIMULATOR,
        "turn": session.turn,
        "wait": _wait_document(wait) if wait else None,
        "loops": [{"nodeId": node_id, "count": count} for node_id, count in session.loops.items()],
        "history": [{"role": message.role, "text": message.text} for message in session.history],
        "lastMessage": session.last_message,
        "lastReplyNodeId": session.last_reply_node_id,
        "rev": stored.rev + 1,
        "callStarts": stored.call_starts,
        "timerArms": stored.timer_arms,
        "createdAt": stored.created_at,
        "startedAt": stored.started_at or stored.created_at,
        "updatedAt": now,
    }
    if session.held:
        document["held"] = json.dumps(session.held)
    if resume_at is not None:
        document["resumeAt"] = resume_at
    if not session.status.is_open:
        document["closedAt"] = now
    elif session.status is not SessionStatus.COMPLETED and stored.channel is Channel.WHATSAPP:
        document["runsFor"] = session.bot_id  # under way, for the figures: their index has nothing else
    return document


def _wait_document(wait: Wait) -> Document:
    return {
        "kind": wait.kind.value,
        "waitId": wait.wait_id,
        "at": wait.at,
        # JSON text: a node's memory and a call may hold what BSON cannot.
        "state": json.dumps(wait.state),
        "request": json.dumps(wait.request) if wait.request is not None else None,
        "answer": json.dumps(wait.answer) if wait.answer is not None else None,
        "pace": wait.pace.value if wait.pace is not None else None,
    }


def _from_document(document: Document, variables: dict[str, Value]) -> StoredSession:
    return StoredSession(
        session=Session(
            session_id=document["_id"],
            bot_id=document["botId"],
            contact_id=document["contactId"],
            flow_version_id=document["flowVersionId"],
            status=SessionStatus(document["status"]),
            node_id=document["currentNodeId"],
            turn=document["turn"],
            wait=_wait(document["wait"]) if document["wait"] else None,
            variables=variables,
            loops={loop["nodeId"]: loop["count"] for loop in document["loops"]},
            history=[ChatMessage(message["role"], message["text"]) for message in document["history"]],
            last_message=document["lastMessage"],
            last_reply_node_id=document["lastReplyNodeId"],
            held=json.loads(document["held"]) if document.get("held") else [],
        ),
        channel=Channel(document["channel"]),
        flow_id=document["flowId"],
        created_at=document["createdAt"],
        rev=document["rev"],
        call_starts=document["callStarts"],
        timer_arms=document.get("timerArms", 0),
        started_at=document.get("startedAt"),
    )


def _wait(document: dict[str, Any]) -> Wait:
    return Wait(
        kind=WaitKind(document["kind"]),
        wait_id=document["waitId"],
        at=document["at"],
        state=json.loads(document["state"]),
        request=json.loads(document["request"]) if document["request"] is not None else None,
        answer=json.loads(document["answer"]) if document.get("answer") else None,
        pace=Pace(document["pace"]) if document.get("pace") else None,
    )
