"""Messages, both ways: the transcript, and the outbox that sends are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne
from pymongo.database import Database

from common.model.events import InboundMessage
from common.model.outbox import STATUS_BY_NAME, MessageStatus, StatusUpdate
from common.model.turn_records import OutboundMessage, ReplyButton
from common.store.database import Document
from common.store.marks import Mark


@dataclass(slots=True)
class OutboxMessage:
    """A message to send, with what is known of earlier attempts."""

    message_id: str
    seq: int
    message: OutboundMessage
    status: MessageStatus
    request_id: str
    attempts: int = 0
    attempt_id: str | None = None
    sending_at: datetime | None = None


def inbound_document(
    *, message_id: str, session_id: str | None, lane: str, bot_id: str, contact_id: str, seq: int,
    message: InboundMessage, phone_number_id: str | None, request_id: str, note: str | None, now: datetime,
) -> Document:  # fmt: skip
    """A customer's message as it is stored."""
    document: Document = {
        "_id": message_id,
        "sessionId": session_id,
        "lane": lane,
        "botId": bot_id,
        "contactId": contact_id,
        "seq": seq,
        "sender": "USER",
        "direction": "IN",
        "messageType": _inbound_type(message),
        "messageContent": message.text,
        "wamid": message.message_id,
        "whatsappType": message.type,
        "phoneNumberId": phone_number_id,
        "status": MessageStatus.RECEIVED.value,
        "rank": MessageStatus.RECEIVED.rank,
        "requestId": request_id,
        "sentAt": message.sent_at,
        "createdAt": now,
    }
    if message.button_id is not None:
        document["buttonId"] = message.button_id
    if note is not None:
        document["note"] = note
    return document


def _inbound_type(message: InboundMessage) -> str:
    if message.kind.value == "BUTTON":
        return "BUTTON"
    return {"image": "IMAGE", "document": "DOCUMENT"}.get(message.type, "TEXT")


def outbound_document(
    *, message_id: str, session_id: str, lane: str, bot_id: str, contact_id: str, seq: int,
    message: OutboundMessage, phone_number_id: str | None, request_id: str, is_open: bool, now: datetime,
    flow_id: str | None = None, version_id: str | None = None,
) -> Document:  # fmt: skip
    """A message to send as it is stored: QUEUED, with its place in the conversation."""
    status = MessageStatus.QUEUED if is_open else MessageStatus.ACCEPTED
    document: Document = {
        "_id": message_id,
        "sessionId": session_id,
        "lane": lane,
        "botId": bot_id,
        "contactId": contact_id,
        "seq": seq,
        "sender": "BOT",
        "direction": "OUT",
        "messageType": "BUTTON" if message.buttons else "TEXT",
        "messageContent": message.text,
        "nodeId": message.node_id,
        "flowId": flow_id,
        "flowVersionId": version_id,
        "phoneNumberId": phone_number_id,
        "status": status.value,
        "rank": status.rank,
        "attempts": 0,
        "requestId": request_id,
        "sentAt": now,
        "createdAt": now,
    }
    if is_open:
        document["open"] = True
    if message.buttons:
        document["buttons"] = [
            {"buttonId": button.button_id, "title": button.title} for button in message.buttons
        ]
    return document


def outbox_message(document: Document) -> OutboxMessage:
    """A stored message as the outbox sees it."""
    return OutboxMessage(
        message_id=document["_id"],
        seq=document["seq"],
        message=OutboundMessage(
            node_id=document["nodeId"],
            text=document["messageContent"],
            buttons=tuple(
                ReplyButton(button["buttonId"], button["title"]) for button in document.get("buttons", ())
            ),
        ),
        status=MessageStatus(document["status"]),
        request_id=document["requestId"],
        attempts=document["attempts"],
        attempt_id=(document.get("attemptIds") or [None])[-1],
        sending_at=document.get("sendingAt"),
    )


class Messages:
    """The `messages` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._messages = database["messages"]

    def open_in(self, lanes: Sequence[str]) -> dict[str, list[OutboxMessage]]:
        """What these lanes still have to send, in order."""
        found: dict[str, list[OutboxMessage]] = {}
        for document in self._messages.find({"lane": {"$in": list(lanes)}, "open": True}).sort(
            [("lane", 1), ("seq", 1)]
        ):
            found.setdefault(document["lane"], []).append(outbox_message(document))
        return found

    def lanes_with_open(self, bot_id: str) -> set[str]:
        """The lanes in which this bot has something to send. Reads all that is unsent: not for hot paths."""
        query = {"lane": {"$gt": ""}, "open": True, "botId": bot_id}
        return {document["lane"] for document in self._messages.find(query, {"lane": 1})}

    def write(self, marks: Sequence[Mark]) -> int:
        """Write marks in one round trip; returns how many applied."""
        if not marks:
            return 0
        return self._messages.bulk_write([mark.write for mark in marks], ordered=False).matched_count

    def sending(self, attempt_ids: Sequence[str]) -> set[str]:
        """Which of these attempts are written down as begun."""
        query = {"attemptIds": {"$in": list(attempt_ids)}, "status": MessageStatus.SENDING.value}
        return {document["attemptIds"][-1] for document in self._messages.find(query, {"attemptIds": 1})}

    def apply_statuses(self, updates: Sequence[StatusUpdate]) -> set[str]:
        """Move messages forward. Returns the lanes that were waiting to hear of one of them."""
        attempts = {u.attempt_id: u.phone_number_id for u in updates if u.attempt_id}
        waiting: set[str] = set()
        if attempts:
            query = {"attemptIds": {"$in": list(attempts)}, "open": True}
            for document in self._messages.find(query, {"lane": 1, "attemptIds": 1, "phoneNumberId": 1}):
                if document["phoneNumberId"] in {attempts.get(a) for a in document["attemptIds"]}:
                    waiting.add(document["lane"])
        writes = [write for update in updates if (write := _status_write(update)) is not None]
        if writes:
            self._messages.bulk_write(writes, ordered=False)
        return waiting

    def unmatched(self, updates: Sequence[StatusUpdate]) -> set[str]:
        """The message ids among these that belong to no message known here."""
        wamids = {update.wamid for update in updates}
        known = self._messages.find({"wamid": {"$in": list(wamids)}}, {"wamid": 1})
        return wamids - {document["wamid"] for document in known}


def _status_write(update: StatusUpdate) -> UpdateOne | None:
    status = STATUS_BY_NAME.get(update.status)
    if status is None:
        return None
    # By the echoed attempt id where there is one (it is known before the POST's own answer), else by wamid.
    key: Document = {"attemptIds": update.attempt_id} if update.attempt_id else {"wamid": update.wamid}
    is_news = {"$lt": ["$rank", status.rank]}
    error = {"$literal": update.error} if update.error is not None else "$$REMOVE"
    fields: Document = {
        "status": {"$cond": [is_news, status.value, "$status"]},
        "rank": {"$max": ["$rank", status.rank]},
        "wamid": {"$ifNull": ["$wamid", {"$literal": update.wamid}]},
        "error": {"$cond": [is_news, error, "$error"]},
        "open": "$$REMOVE",
    }
    # When it got so far, by Meta's clock: kept for each status, also for one that comes late.
    at = "$$NOW" if update.at is None else update.at
    fields[f"reachedAt.{status.value}"] = {"$min": [f"$reachedAt.{status.value}", at]}
    return UpdateOne({**key, "phoneNumberId": update.phone_number_id, "direction": "OUT"}, [{"$set": fields}])
