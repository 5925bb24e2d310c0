"""A session's steps: the events and the way of every conversation; of a test also what went in and came out."""

from __future__ import annotations

import re
from typing import Any, Final

from api.history.record import SessionRecord, StepAgain, read_json, steps_again
from common.model.values import type_of
from common.store.database import Document
from common.store.paging import Page

# In lists, only this much is read of a call's answer.
_ANSWER: Final = re.compile(r'\{"turn":[0-9]+,"event":\{"kind":"answer","effectId":"([\w:.-]+)"')
_NO_EVENT: Final[Document] = dict.fromkeys(("text", "buttonId", "callId", "action", "by", "why"))


def steps_page(record: SessionRecord, *, limit: int, cursor: str | None, is_newest_first: bool) -> Page:
    """Steps of the log. Raises BadCursor."""
    page = record.store.execution_logs.page(
        record.session_id, limit=limit, cursor=cursor, is_newest_first=is_newest_first
    )
    return Page(shown_steps(record, page.items), page.next_cursor)


def shown_steps(record: SessionRecord, steps: list[Document]) -> list[Document]:
    """Steps for people."""
    if not steps:
        return []
    again: dict[tuple[int, int], StepAgain] = {}
    if record.session["isTest"]:
        ran, _ = record.run_again(max(step["turn"] for step in steps))
        wanted = {step["turn"] for step in steps}
        again = {
            (number, place): step
            for number, turn in ran.items()
            if number in wanted
            for place, step in enumerate(steps_again(turn))
        }
    return [_shown(record, step, again.get((step["turn"], step["place"]))) for step in steps]


def _shown(record: SessionRecord, step: Document, again: StepAgain | None) -> Document:
    is_test = record.session["isTest"]
    error = step.get("error")
    return {
        "turn": step["turn"],
        "place": step["place"],
        "at": step["executedAt"],
        "versionId": step.get("flowVersionId"),
        "nodeId": step["nodeId"],
        "nodeType": step["nodeType"],
        "nodeLabel": record.label(step),
        "handle": step.get("handle"),
        "nextNodeId": step.get("nextNodeId"),
        "durationMs": step.get("executionDuration", 0.0),
        "sent": step.get("sent", 0),
        "notes": step.get("notes", []),
        "error": None if error is None else {"code": error, "message": step.get("errorMessage") or ""},
        "event": event_of(step) if "cause" in step else None,
        "detail": _detail(step, is_test=bool(is_test)),
        "inputs": _inputs(record, step, again) if is_test else None,
        "outputs": read_json(step, "outputVariables") or {} if is_test else None,
        "deleted": step.get("deletedVariables", []) if is_test else None,
    }


def _detail(step: Document, *, is_test: bool) -> dict[str, Any]:
    detail = read_json(step, "detail")
    if not isinstance(detail, dict):
        return {}
    hidden = {"request"} if is_test else {"request", "saw"}  # calls have a list of their own
    return {name: value for name, value in detail.items() if name not in hidden}


def _inputs(record: SessionRecord, step: Document, again: StepAgain | None) -> dict[str, Any] | None:
    """The variables that the node reads, as they were before it; None where they cannot be told any more."""
    known = record.flow(step.get("flowVersionId"))
    node = known.node(step["nodeId"]) if known else None
    if again is None or node is None or node.settings is None:
        return None
    read = node.type.reads(node.settings)
    return {name: again.variables[name] for name in sorted(read) if name in again.variables}


def event_of(step: Document) -> Document | None:
    """What caused a turn, from its first step: a message, a timer, a call's answer, a person's control."""
    text = step.get("cause")
    answer = _ANSWER.match(text) if isinstance(text, str) else None
    if answer is not None:
        return {**_NO_EVENT, "kind": "ANSWER", "callId": answer[1]}
    cause = read_json(step, "cause")
    event = cause.get("event") if isinstance(cause, dict) else None
    if not isinstance(event, dict):
        return None
    shown: Document = {**_NO_EVENT, "kind": str(event.get("kind", "")).upper()}
    match event.get("kind"):
        case "message":
            shown |= {"buttonId": event.get("buttonId"), "text": event.get("text")}
        case "control":
            shown |= {name: event.get(name) for name in ("action", "by", "why")}
    return shown


def value_with_type(name: str, value: Any) -> Document:
    """A variable of a session that is over, as `variables` shows it."""
    return {
        "variableName": name,
        "variableType": type_of(value).value,
        "variableValue": value,
        "updatedAt": None,
    }
