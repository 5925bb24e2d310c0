"""Marks: what becomes of a message on its way out, each as one conditional write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from common.model.outbox import MessageStatus
from common.store.database import Document


@dataclass(frozen=True, slots=True)
class Mark:
    """A change of an outbound message's state, to be written together with others.

    `counts`: the figures (`common.store.deliveries`) are different afterwards.
    """

    message_id: str
    write: UpdateOne
    counts: bool = False


def mark_sending(message_id: str, attempt_id: str, at: datetime) -> Mark:
    """Before the POST: from here on the message may have been sent. Only one holder can do it."""
    return Mark(
        message_id,
        UpdateOne(
            {"_id": message_id, "status": MessageStatus.QUEUED.value},
            {
                "$set": {
                    "status": MessageStatus.SENDING.value,
                    "rank": MessageStatus.SENDING.rank,
                    "sendingAt": at,
                },
                "$push": {"attemptIds": attempt_id},
                "$inc": {"attempts": 1},
            },
        ),
    )


def mark_accepted(message_id: str, wamid: str) -> Mark:
    """Meta took it. A status may have said more already: then only what is missing is added."""
    accepted = MessageStatus.ACCEPTED
    fields = {
        "wamid": {"$ifNull": ["$wamid", {"$literal": wamid}]},
        "status": {"$cond": [{"$lt": ["$rank", accepted.rank]}, accepted.value, "$status"]},
        "rank": {"$max": ["$rank", accepted.rank]},
        "acceptedAt": "$$NOW",
        "open": "$$REMOVE",
    }
    return Mark(message_id, UpdateOne({"_id": message_id}, [{"$set": fields}]), counts=True)


def mark_requeued(message_id: str, reason: str, attempt_id: str | None = None) -> Mark:
    """Certainly not sent: it waits for another attempt.

    With `attempt_id`, only while that is the newest attempt: a holder that comes late knows nothing of later ones.
    A message that nobody waits for any more (finally unknown) stays as it was decided.
    """
    status = {"$in": [MessageStatus.SENDING.value, MessageStatus.UNKNOWN.value]}
    return Mark(
        message_id,
        UpdateOne(
            {"_id": message_id, "status": status, "open": True, **_newest(attempt_id)},
            {
                "$set": {
                    "status": MessageStatus.QUEUED.value,
                    "rank": MessageStatus.QUEUED.rank,
                    "lastError": reason,
                }
            },
        ),
    )


def mark_failed(message_id: str, code: int | str, reason: str, attempt_id: str | None = None) -> Mark:
    """It will not be sent; the conversation goes on. `attempt_id` as above."""
    failed = MessageStatus.FAILED
    error = {"code": code, "message": reason}
    update: dict[str, Any] = {
        "$set": {"status": failed.value, "rank": failed.rank, "error": error},
        "$unset": {"open": ""},
    }
    query = {"_id": message_id, "rank": {"$lt": MessageStatus.ACCEPTED.rank}, **_newest(attempt_id)}
    return Mark(message_id, UpdateOne(query, update), counts=True)


def mark_unknown(message_id: str, *, is_final: bool, attempt_id: str | None = None) -> Mark:
    """The outcome cannot be known. Final: no longer waited for; a late status still corrects it."""
    update: dict[str, Any] = {
        "$set": {"status": MessageStatus.UNKNOWN.value, "rank": MessageStatus.UNKNOWN.rank}
    }
    if is_final:
        update["$unset"] = {"open": ""}
    query = {"_id": message_id, "rank": {"$lt": MessageStatus.ACCEPTED.rank}, **_newest(attempt_id)}
    return Mark(message_id, UpdateOne(query, update), counts=is_final)


def _newest(attempt_id: str | None) -> Document:
    """The filter for a message whose last attempt is this one; without one, for any."""
    return {"$expr": {"$eq": [{"$last": "$attemptIds"}, {"$literal": attempt_id}]}} if attempt_id else {}
