"""A conversation's state as JSON and back, so that nothing survives a turn but what is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.model.calls import ChatMessage
from common.model.session import Pace, Session, SessionStatus, Wait, WaitKind


def session_to_json(session: Session) -> dict[str, Any]:
    """The session as a JSON object with camelCase keys; times as ISO 8601 texts.

    The values of variables are not copied: whoever changes the result changes the session.
    """
    return {
        "sessionId": session.session_id,
        "botId": session.bot_id,
        "contactId": session.contact_id,
        "flowVersionId": session.flow_version_id,
        "status": session.status.value,
        "nodeId": session.node_id,
        "turn": session.turn,
        "wait": None if session.wait is None else wait_to_json(session.wait),
        "variables": dict(session.variables),
        "loops": dict(session.loops),
        "history": [{"role": said.role, "text": said.text} for said in session.history],
        "lastMessage": session.last_message,
        "lastReplyNodeId": session.last_reply_node_id,
        "held": list(session.held),
    }


def session_from_json(data: dict[str, Any]) -> Session:
    """The session that `session_to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    return Session(
        session_id=data["sessionId"],
        bot_id=data["botId"],
        contact_id=data["contactId"],
        flow_version_id=data["flowVersionId"],
        status=SessionStatus(data["status"]),
        node_id=data["nodeId"],
        turn=data["turn"],
        wait=None if data["wait"] is None else wait_from_json(data["wait"]),
        variables=dict(data["variables"]),
        loops=dict(data["loops"]),
        history=[ChatMessage(said["role"], said["text"]) for said in data["history"]],
        last_message=data["lastMessage"],
        last_reply_node_id=data["lastReplyNodeId"],
        held=list(data["held"]),
    )


def wait_to_json(wait: Wait) -> dict[str, Any]:
    """What a session waits for, as a JSON object."""
    return {
        "kind": wait.kind.value,
        "waitId": wait.wait_id,
        "at": None if wait.at is None else wait.at.isoformat(),
        "state": dict(wait.state),
        "request": wait.request,
        "answer": wait.answer,
        "pace": None if wait.pace is None else wait.pace.value,
    }


def wait_from_json(data: dict[str, Any]) -> Wait:
    """The wait that `wait_to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    return Wait(
        kind=WaitKind(data["kind"]),
        wait_id=data["waitId"],
        at=None if data["at"] is None else datetime.fromisoformat(data["at"]),
        state=dict(data["state"]),
        request=data["request"],
        answer=data["answer"],
        pace=None if data["pace"] is None else Pace(data["pace"]),
    )
