"""Why a customer got a message: from the message back to what happened, by the turn that made it.

Values are not kept in the log of real conversations. The turn is run again from its cause, here and now, and what
the conditions saw is shown to the bot's owner; nothing of it is stored.
"""

from __future__ import annotations

from typing import Any, Final

from api.history.calls import calls_of
from api.history.known_flow import KnownFlow, tests_of
from api.history.record import SessionRecord, StepAgain, read_json, steps_again
from api.history.steps import event_of
from api.history.why_words import sentences_of
from common.flow.definition import Node
from common.flow.turn import Turn
from common.model.contacts import Channel, channel_of
from common.store.database import Document

_STAGES: Final = ("SENT", "DELIVERED", "READ", "FAILED")
LOG_EXPIRED: Final = "The log of this turn is not kept any more, so the way to this message cannot be shown."


def why_of(record: SessionRecord, message: Document) -> Document:
    """The reasons of a message of the bot's, as `WhyView` shows them."""
    _, turn_number, place = _origin(message)
    steps = record.store.execution_logs.turn(record.session_id, turn_number)
    ran, why_not = record.run_again(turn_number) if steps else ({}, LOG_EXPIRED)
    again = steps_again(ran[turn_number]) if turn_number in ran else []
    turn = ran[turn_number].turn if turn_number in ran else None
    until = _sending_step(steps, message, place)
    shown = [
        _step(record, step, again[index] if index < len(again) else None)
        for index, step in enumerate(steps[: until + 1])
    ]
    why: Document = {
        "messageId": message["_id"],
        "sessionId": record.session_id,
        "turn": turn_number,
        "isComplete": why_not is None,
        "missing": why_not,
        "message": message,
        "event": _event(record, steps, turn_number),
        "heard": _heard(record, steps, turn_number),
        "flow": _flow(record, message),
        "steps": shown,
        "node": _node(record, message, turn, place),
        "send": _send(message),
    }
    return why | {"sentences": sentences_of(why)}


def _origin(message: Document) -> tuple[str, int, int]:
    """Session, turn and place among its messages: they are the id of every message that a turn wrote."""
    session_id, turn, place = str(message["_id"]).rsplit(":", 2)
    return session_id, int(turn), int(place)


def has_origin(message: Document) -> bool:
    """Whether the message was written by a turn of a session."""
    parts = str(message["_id"]).rsplit(":", 2)
    return len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal()  # noqa: PLR2004 - see _origin


def _sending_step(steps: list[Document], message: Document, place: int) -> int:
    """Which of the steps sent the message: the counts say it, or (older entries have none) the node does."""
    sent = 0
    for index, step in enumerate(steps):
        sent += step.get("sent", 0)
        if sent > place:
            return index
    nodes = [index for index, step in enumerate(steps) if step["nodeId"] == message.get("nodeId")]
    return nodes[0] if nodes else len(steps) - 1


def _event(record: SessionRecord, steps: list[Document], turn: int) -> Document | None:
    event = event_of(steps[0]) if steps else None
    if event is None:
        return None
    at = steps[0]["executedAt"]
    call = None
    if event["kind"] == "ANSWER":
        asked = str(event["callId"]).rpartition(":")[2]
        asking = record.store.execution_logs.turn(record.session_id, int(asked)) if asked.isdecimal() else []
        call = next(iter(calls_of(record, asking).values()), None)
    waited = record.label(steps[0]) if event["kind"] in ("TIMER", "ANSWER") else None
    return {**event, "at": at, "turn": turn, "call": call, "waitingNode": waited}


def _heard(record: SessionRecord, steps: list[Document], turn: int) -> Document | None:
    """What the customer had last said, where something else caused the turn."""
    event = event_of(steps[0]) if steps else None
    if event is None or event["kind"] == "MESSAGE":
        return None
    step = record.store.execution_logs.last_heard(record.session_id, turn)
    heard = event_of(step) if step else None
    if step is None or heard is None:
        return None
    return {**heard, "at": step["executedAt"], "turn": step["turn"], "call": None, "waitingNode": None}


def _flow(record: SessionRecord, message: Document) -> Document:
    flow_id = message.get("flowId") or record.session["flowId"]
    version_id = message.get("flowVersionId") or record.session["flowVersionId"]
    version = record.store.session_history.version(version_id) or {}
    return {
        "flowId": flow_id,
        "name": record.store.session_history.flow_name(record.session["botId"], flow_id),
        "versionId": version_id,
        "versionNumber": version.get("versionNumber"),
        "isTest": bool(record.session["isTest"]),
    }


def _step(record: SessionRecord, step: Document, again: StepAgain | None) -> Document:
    known = record.flow(step.get("flowVersionId"))
    node = known.node(step["nodeId"]) if known else None
    detail = again.step.detail if again else read_json(step, "detail") or {}
    exits = {each.handle: each.label for each in known.exits(step["nodeId"])} if known else {}
    handle = step.get("handle")
    error = step.get("error")
    return {
        "place": step["place"],
        "nodeId": step["nodeId"],
        "nodeType": step["nodeType"],
        "nodeLabel": record.label(step),
        "handle": handle,
        "exitLabel": exits.get(handle, handle) if handle is not None else None,
        "nextNodeId": step.get("nextNodeId"),
        "saw": _seen(detail, is_again=again is not None),
        "conditions": _conditions(node, handle, detail) if node and handle is not None else [],
        "notes": step.get("notes", []),
        "error": None if error is None else {"code": error, "message": step.get("errorMessage") or ""},
    }


def _seen(detail: dict[str, Any], *, is_again: bool) -> list[Document] | None:
    """The values that a condition saw; None where they are not known."""
    saw = detail.get("saw")
    if not isinstance(saw, dict):
        return [] if is_again else None
    return [{"place": name, "value": value} for name, value in saw.items()]


def _conditions(node: Node, handle: str, detail: dict[str, Any]) -> list[Document]:
    """Each condition that was tried, in order, until one held; those behind it were not looked at."""
    shown: list[Document] = []
    is_decided = False
    decided_by_condition = detail.get("stoppedBy", "condition") == "condition"
    for test, text in tests_of(node):
        holds = test.handle == handle and decided_by_condition
        shown.append(
            {
                "handle": test.handle,
                "label": test.label or test.handle or "",
                "text": text,
                "held": None if is_decided else holds,
            }
        )
        is_decided = is_decided or holds
    return shown


def _node(record: SessionRecord, message: Document, turn: Turn | None, place: int) -> Document:
    version_id = message.get("flowVersionId") or record.session["flowVersionId"]
    known = record.flow(version_id)
    node = known.node(message.get("nodeId")) if known else None
    made = turn.messages[place].text if turn is not None and place < len(turn.messages) else None
    return {
        "nodeId": message.get("nodeId"),
        "nodeType": node.type.kind if node else None,
        "nodeLabel": _label(known, message),
        "templates": _templates(node) if node else [],
        "isSameText": None if made is None else made == message["messageContent"],
    }


def _label(known: KnownFlow | None, message: Document) -> str:
    return known.label(message.get("nodeId")) if known else str(message.get("nodeId") or "")


def _templates(node: Node) -> list[Document]:
    """The texts that the node can say, as they stand in its settings."""
    if node.settings is None:
        return []
    return [
        {
            "field": said.field,
            "label": said.label,
            "template": said.template.source if said.template else None,
        }
        for said in node.type.says(node.settings)
    ]


def _send(message: Document) -> Document:
    """How the message got to WhatsApp, and what was heard of it."""
    reached = message.get("reachedAt") or {}
    error = message.get("error")
    is_test = channel_of(message["lane"]) is Channel.SIMULATOR
    return {
        "status": message["status"],
        "isWaiting": bool(message.get("open")),
        "isSimulated": is_test,
        "attempts": message.get("attempts", 0),
        "attemptIds": list(message.get("attemptIds", ())),
        "lastAttemptAt": message.get("sendingAt"),
        "lastError": message.get("lastError"),
        "acceptedAt": message.get("acceptedAt"),
        "wamid": message.get("wamid"),
        "stages": [{"status": stage, "at": reached[stage]} for stage in _STAGES if stage in reached],
        "error": error_of(error),
    }


def error_of(error: Any) -> Document | None:
    """Why a message failed: our own reason, or Meta's error object."""
    if not isinstance(error, dict):
        return None
    details = error.get("error_data")
    more = details.get("details") if isinstance(details, dict) else None
    message = more or error.get("message") or error.get("title") or ""
    return {"code": str(error.get("code", "")), "message": str(message)}
