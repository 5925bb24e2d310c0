"""Contacts as a bot's owner looks them up, and all that is kept of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from pymongo.collection import Collection
from pymongo.database import Database

from common.clock import utc_now
from common.model.text_matching import folded
from common.store.database import Document
from common.store.paging import Page, read_page

_PAGE: Final = 500
_BEYOND: Final = "\U0010ffff"  # no text that begins as another one comes behind this
_SHOWN: Final[Document] = {"paceLevel": 0, "paceAt": 0, "inboundCount": 0, "inboundSince": 0, "test": 0}


class ContactRecords:
    """The `contacts` collection, and what hangs on a contact; customers only, not those who try a flow out."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._contacts = database["contacts"]

    def find(self, bot_id: str, contact_id: str) -> Document | None:
        """One contact of the bot."""
        return self._contacts.find_one({"_id": contact_id, "botId": bot_id}, _SHOWN)

    def page(
        self, bot_id: str, *, limit: int, cursor: str | None, phone: str | None = None, name: str | None = None,
        is_paused: bool | None = None,
    ) -> Page:  # fmt: skip
        """Contacts, the newest first; by number or name where one is looked for. Raises BadCursor.

        `phone` and `name` are what they begin with. Those for whom the bot is paused: the one paused last first.
        """
        query: Document = {"botId": bot_id, "isTest": {"$ne": True}}
        sort, is_descending = "createdAt", True
        if is_paused is True:
            query |= {"botPausedAt": {"$type": "date"}, **_goes_on(utc_now())}
            sort = "botPausedAt"
        elif is_paused is False:
            query["$nor"] = [{"botPausedAt": {"$type": "date"}, **_goes_on(utc_now())}]
        if name:
            query["nameFolded"] = _begins_with(folded(name))
            sort, is_descending = ("nameFolded", False) if is_paused is not True else (sort, is_descending)
        if phone:
            query["waId"] = _begins_with(phone)
            sort, is_descending = ("waId", False) if is_paused is not True else (sort, is_descending)
        return read_page(
            self._contacts, query, sort=sort, is_descending=is_descending, limit=limit, cursor=cursor,
            fields=_SHOWN,
        )  # fmt: skip

    def sessions(self, bot_id: str, contact_id: str) -> Iterator[Document]:
        """All conversations of a contact, the newest first."""
        query = {"contactId": contact_id, "botId": bot_id}
        yield from _all(self._db["sessions"], query, "createdAt", is_descending=True)

    def messages(self, bot_id: str, contact_id: str) -> Iterator[Document]:
        """All messages of a contact, both ways, in order."""
        yield from _all(self._db["messages"], {"contactId": contact_id, "botId": bot_id}, "seq")

    def variables(self, session_id: str) -> Iterator[Document]:
        """What a conversation remembers."""
        yield from self._db["session_variables"].find({"sessionId": session_id}).sort("variableName", 1)

    def steps(self, session_id: str) -> Iterator[Document]:
        """All that ran in a conversation, in order."""
        yield from _all(self._db["execution_logs"], {"sessionId": session_id}, "turn", "place")


def is_paused(contact: Document, now: datetime) -> bool:
    """Whether a person has taken a contact (as stored) over. A pause that has run out stays stored until a turn."""
    until = contact.get("pausedUntil")
    return contact.get("botPausedAt") is not None and (until is None or until > now)


def _goes_on(now: datetime) -> Document:
    """Of pauses: those that have not run out, as `is_paused` says it."""
    return {"$or": [{"pausedUntil": None}, {"pausedUntil": {"$gt": now}}]}


def _all(
    collection: Collection[Document],
    query: Document,
    sort: str,
    then: str = "_id",
    *,
    is_descending: bool = False,
) -> Iterator[Document]:
    """Everything that a query finds, page by page: no single read takes long, however much it is."""
    direction = -1 if is_descending else 1
    beyond = "$lt" if is_descending else "$gt"
    behind: Document = {}
    while True:
        found = collection.find({**query, **behind}).sort([(sort, direction), (then, direction)])
        page = list(found.limit(_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]
        behind = {"$or": [{sort: {beyond: last[sort]}}, {sort: last[sort], then: {beyond: last[then]}}]}


def _begins_with(text: str) -> Document:
    return {"$gte": text, "$lt": text + _BEYOND}
