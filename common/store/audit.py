"""Who did what, and when: logins, deploys, credentials, deletions. Only ever appended to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.ids import new_ulid
from common.store.database import Document
from common.store.paging import Page, read_page


def audit_entry(
    *, action: str, actor_id: str | None, actor_email: str | None, target_type: str, target_id: str,
    bot_id: str | None, ip: str, request_id: str, detail: dict[str, Any],
) -> Document:  # fmt: skip
    """An entry for `Audit.record`, or for a store's method that writes it in its own transaction."""
    return {
        "_id": new_ulid(),
        "at": utc_now(),
        "action": action,
        "actorId": actor_id,
        "actorEmail": actor_email,
        "targetType": target_type,
        "targetId": target_id,
        "botId": bot_id,
        "ip": ip,
        "requestId": request_id,
        "detail": detail,
    }


class Audit:
    """The `audit_logs` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._logs = database["audit_logs"]

    def record(self, entry: Document, *, session: ClientSession | None = None) -> None:
        """Write one entry; with the transaction of what it tells of, both are there or neither is."""
        self._logs.insert_one(entry, session=session)

    def page(
        self, *, limit: int, cursor: str | None, action: str | None = None, actor_id: str | None = None,
        bot_id: str | None = None, since: datetime | None = None, until: datetime | None = None,
    ) -> Page:  # fmt: skip
        """Entries, the newest first. Raises BadCursor."""
        query: Document = {
            key: value
            for key, value in (("action", action), ("actorId", actor_id), ("botId", bot_id))
            if value is not None
        }
        if since is not None or until is not None:
            bounds = (("$gte", since), ("$lt", until))
            query["at"] = {key: value for key, value in bounds if value is not None}
        return read_page(self._logs, query, sort="at", is_descending=True, limit=limit, cursor=cursor)
