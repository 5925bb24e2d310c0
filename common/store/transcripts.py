"""Messages as people read them: what was said in a conversation, and what did not arrive.

A conversation's messages are numbered both ways by `seq`. Some belong to no session: they came while a person had
taken over, say, or when no flow was live. They are read where they stand, among those of the session before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo.database import Database

from common.model.outbox import MessageStatus
from common.store.database import Document
from common.store.paging import Page, read_page

TROUBLED: Final = (MessageStatus.FAILED, MessageStatus.UNKNOWN)
_REAL: Final = {"$regex": "^wa:"}  # what a test's conversation was refused is no trouble


class Transcripts:
    """Reads of `messages`."""

    def __init__(self, database: Database[Document]) -> None:
        self._messages = database["messages"]

    def find(self, bot_id: str, message_id: str) -> Document | None:
        """A message."""
        return self._messages.find_one({"_id": message_id, "botId": bot_id})

    def of_session(
        self, session: Document, *, limit: int, cursor: str | None = None, is_newest_first: bool = False
    ) -> Page:
        """What was said in a session and until the next one began. Raises BadCursor."""
        query = self._span(session)
        if query is None:
            return Page([], None)
        return self._page(query, limit, cursor, is_newest_first=is_newest_first)

    def of_contact(
        self, bot_id: str, contact_id: str, *, limit: int, cursor: str | None = None,
        is_newest_first: bool = False,
    ) -> Page:  # fmt: skip
        """All that was said with a contact. Raises BadCursor."""
        query = {"contactId": contact_id, "botId": bot_id}
        return self._page(query, limit, cursor, is_newest_first=is_newest_first)

    def troubled(
        self, bot_id: str, statuses: Sequence[MessageStatus], *, since: datetime | None,
        until: datetime | None, limit: int, cursor: str | None = None,
    ) -> Page:  # fmt: skip
        """Messages to customers that FAILED or are UNKNOWN, the newest first. Raises BadCursor."""
        query: Document = {
            "botId": bot_id,
            "status": {"$in": [status.value for status in statuses]},
            "lane": _REAL,
        }
        span = {"$gte": since, "$lt": until}
        if bounds := {operator: at for operator, at in span.items() if at is not None}:
            query["createdAt"] = bounds
        return read_page(
            self._messages, query, sort="createdAt", is_descending=True, limit=limit, cursor=cursor,
            hint="botId_1_status_1_createdAt_-1__id_-1",
        )  # fmt: skip

    def between(
        self, session: Document, since: datetime | None, until: datetime | None, *, most: int
    ) -> list[Document]:
        """What was said in a session in a span of time, both ends included, in order; the first `most` of it."""
        query = self._span(session)
        if query is None:
            return []
        bounds = {operator: at for operator, at in (("$gte", since), ("$lte", until)) if at is not None}
        if bounds:
            query["createdAt"] = bounds
        return list(self._messages.find(query).sort("seq", 1).limit(most))

    def _page(self, query: Document, limit: int, cursor: str | None, *, is_newest_first: bool) -> Page:
        return read_page(
            self._messages, query, sort="seq", is_descending=is_newest_first, limit=limit, cursor=cursor
        )

    def _span(self, session: Document) -> Document | None:
        """The filter for a session's messages and the unclaimed ones behind them; None where there are none."""
        mine = {"sessionId": session["_id"]}
        first = self._messages.find_one(mine, {"seq": 1}, sort=[("seq", 1)])
        last = self._messages.find_one(mine, {"seq": 1}, sort=[("seq", -1)])
        if first is None or last is None:
            return None
        behind = {"contactId": session["contactId"], "seq": {"$gt": last["seq"]}, "sessionId": {"$ne": None}}
        following = self._messages.find_one(behind, {"seq": 1}, sort=[("seq", 1)])
        places = {"$gte": first["seq"]} | ({"$lt": following["seq"]} if following else {})
        return {"contactId": session["contactId"], "botId": session["botId"], "seq": places}
