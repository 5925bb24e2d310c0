"""All that is kept of one contact, as JSON text in pieces: it may be long, and is never in memory as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from api.history.masking import mask_value
from api.rest.schemas import Moment
from common.store.contact_records import ContactRecords
from common.store.database import Document

FORMAT: Final = "whatsapp-flow-builder/contact"
FORMAT_VERSION: Final = 1
_MOMENT: Final = Moment()
_CONTACT: Final = (
    "_id", "waId", "bsuid", "aliases", "profileName", "lastInboundAt", "botPausedAt", "botPausedBy", "pausedUntil",
    "createdAt", "updatedAt",
)  # fmt: skip
_SESSION: Final = (
    "_id", "channel", "status", "flowId", "flowVersionId", "currentNodeId", "lastMessage", "history", "createdAt",
    "startedAt", "updatedAt", "closedAt", "resumeAt",
)  # fmt: skip
_VARIABLE: Final = ("variableName", "variableType", "variableValue", "updatedAt")
_MESSAGE: Final = (
    "_id", "sessionId", "direction", "messageType", "messageContent", "buttons", "buttonId", "status", "reachedAt",
    "error", "note", "nodeId", "wamid", "sentAt", "createdAt",
)  # fmt: skip
_STEP: Final = (
    "turn", "place", "nodeId", "nodeType", "handle", "nextNodeId", "executedAt", "executionDuration", "notes",
    "error", "errorMessage", "deletedVariables",
)  # fmt: skip
# Kept as JSON text; what APIs were sent and answered is in them, so secrets are masked.
_STEP_TEXTS: Final = ("cause", "detail", "outputVariables")


def contact_file(records: ContactRecords, contact: Document) -> Iterator[str]:
    """The pieces of the file."""
    bot_id, contact_id = contact["botId"], contact["_id"]
    head = {"format": FORMAT, "formatVersion": FORMAT_VERSION, "contact": _some(contact, _CONTACT)}
    yield json.dumps(head, ensure_ascii=False)[:-1]
    yield ', "sessions": ['
    for place, session in enumerate(records.sessions(bot_id, contact_id)):
        yield ",\n" if place else "\n"
        yield from _session(records, session)
    yield '], "messages": ['
    yield from _listed(_some(message, _MESSAGE) for message in records.messages(bot_id, contact_id))
    yield "]}\n"


def _session(records: ContactRecords, session: Document) -> Iterator[str]:
    yield json.dumps(_some(session, _SESSION), ensure_ascii=False)[:-1]
    yield ', "variables": ['
    yield from _listed(_some(variable, _VARIABLE) for variable in records.variables(session["_id"]))
    yield '], "steps": ['
    yield from _listed(_step(step) for step in records.steps(session["_id"]))
    yield "]}"


def _step(step: Document) -> Document:
    texts = {name: mask_value(json.loads(step[name])) for name in _STEP_TEXTS if step.get(name)}
    return {**_some(step, _STEP), **texts}


def _listed(documents: Iterable[Document]) -> Iterator[str]:
    for place, document in enumerate(documents):
        yield (",\n" if place else "\n") + json.dumps(document, ensure_ascii=False)


def _some(document: Document, names: tuple[str, ...]) -> Document:
    return {name.lstrip("_"): _plain(document[name]) for name in names if name in document}


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, datetime):
        return _MOMENT.serialize("at", {"at": value})
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
