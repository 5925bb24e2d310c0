"""How a conversation stands just now, from what the database holds. Pure."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from api.live.happenings import Place
from common.model.control import CallMode
from common.model.reply_window import is_window_open, window_expires_at
from common.store.contact_records import is_paused
from common.store.database import Document
from common.store.live import Sight

# The places of what is no part of a turn's log but says how things stand after it.
WAITING_PLACE: Final = 999_999
STATE_PLACE: Final = 1_000_000


def last_place(number: int) -> Place:
    """The place behind all that a turn can bring."""
    return Place(number, STATE_PLACE)


def test_state(conversation: Document, sight: Sight, now: datetime) -> Document:
    """A test conversation for `ConversationView`."""
    contact = sight.contact or {}
    test = contact.get("test") or {}
    offset = test.get("clockOffsetSeconds", 0.0)
    virtual_now = now + timedelta(seconds=offset)
    inbound_at = contact.get("lastInboundAt")
    return {
        "_id": conversation["_id"],
        "flowId": conversation["flowId"],
        "phoneNumber": conversation["phoneNumber"],
        "name": conversation["name"],
        "clock": {"offsetSeconds": offset, "now": virtual_now},
        "calls": test.get("calls", CallMode.REAL.value),
        "breakpoints": test.get("breakpoints", []),
        "stepMode": test.get("stepMode", False),
        "isBotPaused": is_paused(contact, now),
        "window": {
            "isOpen": is_window_open(inbound_at, virtual_now),
            "closesAt": window_expires_at(inbound_at) if inbound_at else None,
        },
        "session": _session(sight) if sight.session else None,
        "lastEventId": str(last_place(sight.number)),
    }


def _session(sight: Sight) -> Document:
    session = sight.session or {}
    return {
        **session,
        "wait": waiting(session),
        "heldMessages": len(json.loads(session["held"])) if session.get("held") else 0,
        "variables": [
            {
                "name": variable["variableName"],
                "type": variable["variableType"],
                "value": variable["variableValue"],
                "updatedAt": variable["updatedAt"],
            }
            for variable in sight.variables
        ],
    }


def waiting(session: Document | None) -> Document | None:
    """What a session waits for: {kind, nodeId, dueAt by its own clock, firesAt by the real one}."""
    wait = session.get("wait") if session else None
    if session is None or not wait:
        return None
    return {
        "kind": wait["kind"],
        "nodeId": session["currentNodeId"],
        "dueAt": wait["at"],
        "firesAt": session.get("resumeAt"),
    }


def session_state(session: Document) -> dict[str, Any]:
    """A real conversation for `SessionStateView`: where it stands, and nothing that the customer said."""
    return {**session, "wait": waiting(session)}
