"""Deleting what a bot's owner wants to keep for less time than the installation does, and what nobody else deletes.

What is kept as long as the installation says goes by TTL indexes. Here go, for bots with times of their own, older
messages, log entries and ended conversations; and for all: jobs that were put aside and never looked at again, and
testers who have not come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from bson import Timestamp
from pymongo.database import Database

from common.model.retention import KeptDays, kept_days
from common.model.session import SessionStatus
from common.store.database import Document
from common.store.deletions import Deletions
from common.store.erasure import Erasure
from common.store.lanes import after
from common.store.paging import read_page

_EVERY_SECONDS: Final = 3600.0
_PAGE: Final = 100
_TESTERS: Final = 500  # in one go
TESTERS_KEPT: Final = timedelta(days=3)
_PUT_ASIDE: Final[Document] = {"state": {"$in": ["DEAD", "UNROUTED"]}}
_SETTLED: Final[Document] = {"open": {"$ne": True}}  # of messages: what waits to be sent may still be
_DUE: Final[Document] = {"retentionDueAt": {"$exists": True}, "$expr": {"$lte": ["$retentionDueAt", "$$NOW"]}}


class Retentions:
    """`most` is what the installation keeps. What is done is told as a count for each kind of thing, in steps."""

    def __init__(self, database: Database[Document], deletions: Deletions) -> None:
        self._db = database
        self._deletions = deletions
        self._erasure = Erasure(database)

    def claim(self, lease_seconds: float) -> Document | None:
        """A bot whose turn it is; ours for a while. `finish` it, or it is due again after the lease."""
        update = [{"$set": {"retentionDueAt": after(lease_seconds)}}]
        return self._db["bots"].find_one_and_update(
            _DUE, update, {"settings": 1}, sort=[("retentionDueAt", 1)]
        )

    def renew(self, bot_id: str, lease_seconds: float) -> None:
        """It takes longer."""
        self._postpone(bot_id, lease_seconds)

    def finish(self, bot_id: str) -> None:
        """Done with it for an hour, unless its times have changed meanwhile."""
        self._postpone(bot_id, _EVERY_SECONDS)

    def _postpone(self, bot_id: str, seconds: float) -> None:
        """Not where the time has been set anew: to the past, because its owner has just shortened it."""
        later = {"$gt": ["$retentionDueAt", "$$NOW"]}
        self._db["bots"].update_one(
            {"_id": bot_id, "retentionDueAt": {"$exists": True}, "$expr": later},
            [{"$set": {"retentionDueAt": after(seconds)}}],
        )

    def bots(self) -> Iterator[Document]:
        """Every bot with times of its own."""
        yield from self._db["bots"].find({"retentionDueAt": {"$exists": True}}, {"settings": 1, "name": 1})

    def apply(
        self, bot: Document, most: KeptDays, now: datetime, *, is_dry: bool = False
    ) -> Iterator[Counter[str]]:
        """Delete (dry: count) what this bot has kept for longer than it should."""
        kept = kept_days((bot.get("settings") or {}).get("retention"), most)
        said_before, ran_before = kept.messages_before(now), kept.logs_before(now)
        bot_id = bot["_id"]
        for sessions in self._sessions(bot_id, max(said_before, ran_before)):
            ids = [session["_id"] for session in sessions]
            of_these = {"sessionId": {"$in": ids}}
            too_old = {"sentAt": {"$lt": said_before}, **_SETTLED}
            yield from self._drain("messages", {**of_these, **too_old}, is_dry)
            yield from self._drain("execution_logs", {**of_these, "executedAt": {"$lt": ran_before}}, is_dry)
            ended = [
                each["_id"] for each in sessions if each.get("closedAt") and each["closedAt"] < said_before
            ]
            open_ones = {"sessionId": {"$in": ended}, "open": True}
            unsent = set(self._db["messages"].distinct("sessionId", open_ones))
            yield from self._end([each for each in ended if each not in unsent], is_dry)
        without_session = {"botId": bot_id, "sessionId": {"$type": "null"}, "sentAt": {"$lt": said_before}}
        yield from self._drain("messages", {**without_session, **_SETTLED}, is_dry)
        yield from self._drain("jobs", {**_PUT_ASIDE, "seq": _before(said_before), "botId": bot_id}, is_dry)

    def leftovers(self, most: KeptDays, now: datetime, *, is_dry: bool = False) -> Iterator[Counter[str]]:
        """Delete (dry: count) what is put aside for longer than messages are kept, and testers who are gone."""
        yield from self._drain("jobs", {**_PUT_ASIDE, "seq": _before(most.messages_before(now))}, is_dry)
        gone = {"isTest": True, "updatedAt": {"$lt": now - TESTERS_KEPT}}
        testers = list(
            self._db["contacts"].find(gone, {"botId": 1, "aliases": 1, "isTest": 1}).limit(_TESTERS)
        )
        if not is_dry:
            for tester in testers:
                self._deletions.ask_for_contact(tester)
        yield Counter({"testers": len(testers)})

    def _sessions(self, bot_id: str, begun_before: datetime) -> Iterator[list[Document]]:
        """Conversations with customers that may have something so old."""
        for status in SessionStatus:
            query: Document = {"botId": bot_id, "isTest": False, "status": status.value}
            query["createdAt"] = {"$lt": begun_before}
            cursor, is_more = None, True
            while is_more:
                page = read_page(
                    self._db["sessions"], query, sort="createdAt", is_descending=True, limit=_PAGE,
                    cursor=cursor, fields={"createdAt": 1, "closedAt": 1},
                )  # fmt: skip
                yield page.items
                cursor, is_more = page.next_cursor, page.next_cursor is not None

    def _end(self, session_ids: list[str], is_dry: bool) -> Iterator[Counter[str]]:  # noqa: FBT001 - private
        if session_ids and is_dry:
            yield Counter({"sessions": len(session_ids)})
        elif session_ids:
            # They are closed: no worker looks at them, and their lanes belong to whatever came after.
            for gone in self._erasure.sessions({"_id": {"$in": session_ids}}, ends_lanes=False):
                yield Counter({"sessions and what was theirs": gone})

    def _drain(self, name: str, query: dict[str, Any], is_dry: bool) -> Iterator[Counter[str]]:  # noqa: FBT001 - as above
        if is_dry:
            yield Counter({name: self._db[name].count_documents(query)})
            return
        for gone in self._erasure.drain(name, query):
            yield Counter({name: gone})


def _before(moment: datetime) -> Document:
    """Of jobs, which carry the database's own time as their place."""
    return {"$lt": Timestamp(int(moment.timestamp()), 0)}
