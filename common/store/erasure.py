"""Taking things out of the database for good, a batch at a time. Each batch can be cut off anywhere and done again.

Two rules make that safe beside workers in the middle of a turn. A lane goes before what leads to it: whoever holds
it can commit nothing any more. And a session moves on before its log goes: a turn that was computed on it fits no
longer. What names the others (a job its lane, a session its log) goes last, so that nothing is ever out of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pymongo.collection import Collection
from pymongo.database import Database

from common.crashpoint import crashpoint
from common.model.contacts import Channel, is_status_lane, lane_for, status_lane_prefix
from common.model.outbox import STATUS_BY_NAME
from common.store.counter_folds import CounterFolds
from common.store.database import Document

_BATCH: Final = 500
_PARENTS: Final = 100  # whose children are found together
_OF_A_SESSION: Final = ("session_variables", "execution_logs", "messages")
# Found by the bot's id alone; whatever leads to something else goes before.
OF_A_BOT: Final = (
    "flow_versions",
    "flow_drafts",
    "test_versions",
    "bot_variables",
    "whatsapp_accounts",
    "stand_ins",
    "test_conversations",
)
_FIGURES: Final = ("counter_hours", "counter_days")
_NOBODY_WAITS: Final = {"dueAt": {"$exists": False}}


class Erasure:
    """Each method yields how many documents went with the batch just done."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._folds = CounterFolds(database)

    def bot(self, bot_id: str, numbers: Sequence[str] = ()) -> Iterator[int]:
        """All that hangs on a bot, which is not there itself any more. `numbers` are its phone number ids."""
        yield from self._jobs(bot_id)
        yield from self._contacts(bot_id)
        yield from self.sessions({"botId": bot_id})
        yield from self._flows(bot_id)
        for name in OF_A_BOT:
            yield from self.drain(name, {"botId": bot_id})
        while folded := self._folds.fold_bot(bot_id):  # its owner and the platform keep what it counted
            yield folded
        for name in _FIGURES:
            yield from self.drain(name, {"owner": bot_id})
        for number in numbers:
            yield from self.drain("lanes", {"_id": _prefixed(status_lane_prefix(number)), **_NOBODY_WAITS})

    def configuration(self, bot_id: str) -> Iterator[int]:
        """What is left of an attempt to make a bot: flows and variables. It has had no conversations."""
        yield from self._flows(bot_id)
        for name in OF_A_BOT:
            yield from self.drain(name, {"botId": bot_id})

    def contact(
        self, bot_id: str, contact_id: str, *, lanes: Sequence[str], before: Document
    ) -> Iterator[int]:
        """All that is kept of one contact. The caller holds their lanes.

        `before` bounds it: {"seq", "lanesAt", "at"}: jobs accepted before the deletion was asked for, and what was written
        before the lanes were taken. In a test, which has a clock of its own, `at` is missing: then all of it goes.
        The contact stays where a conversation has begun since: its messages are numbered on.
        """
        of_lanes = {"botId": bot_id, "lane": {"$in": list(lanes)}}
        yield from self.drain("jobs", {**of_lanes, "seq": {"$lt": before["seq"]}})
        yield from self.drain("jobs", {**of_lanes, "state": "DONE", "doneAt": {"$lte": before["lanesAt"]}})
        older = {"createdAt": {"$lte": before["at"]}} if "at" in before else {}
        yield from self._status_jobs({"contactId": contact_id, "botId": bot_id, **older})
        yield from self.sessions({"contactId": contact_id, "botId": bot_id, **older}, ends_lanes=False)
        yield from self.drain("messages", {"contactId": contact_id, "botId": bot_id, **older})
        theirs = {"contactId": contact_id, "botId": bot_id}
        if not any(self._db[name].find_one(theirs, {"_id": 1}) for name in ("sessions", "messages")):
            yield self._db["contacts"].delete_one({"_id": contact_id, "botId": bot_id, **older}).deleted_count

    def sessions(self, query: Document, *, ends_lanes: bool = True) -> Iterator[int]:
        """These sessions, with their variables, their log and their messages."""
        sessions = self._db["sessions"]
        while batch := list(sessions.find(query, {"lane": 1}).limit(_PARENTS)):
            ids = [session["_id"] for session in batch]
            if ends_lanes:
                self._end_lanes(session["lane"] for session in batch)
            sessions.update_many(
                {"_id": {"$in": ids}},
                {"$set": {"isOpen": False}, "$inc": {"rev": 1}, "$unset": {"resumeAt": "", "runsFor": ""}},
            )
            for name in _OF_A_SESSION:
                yield from self.drain(name, {"sessionId": {"$in": ids}})
            crashpoint("R1")
            yield sessions.delete_many({"_id": {"$in": ids}}).deleted_count

    def drain(self, name: str, query: Document) -> Iterator[int]:
        """What the query finds in a collection."""
        collection = self._db[name]
        while ids := _ids(collection, query):
            yield collection.delete_many({"_id": {"$in": ids}}).deleted_count
            if len(ids) < _BATCH:
                return

    def _jobs(self, bot_id: str) -> Iterator[int]:
        jobs = self._db["jobs"]
        while batch := list(jobs.find({"botId": bot_id}, {"lane": 1}).limit(_BATCH)):
            self._end_lanes(job["lane"] for job in batch if job["lane"])
            yield jobs.delete_many({"_id": {"$in": [job["_id"] for job in batch]}}).deleted_count

    def _contacts(self, bot_id: str) -> Iterator[int]:
        contacts = self._db["contacts"]
        while ids := _ids(contacts, {"botId": bot_id}, _PARENTS):
            self._end_lanes(lane_for(channel, contact_id) for contact_id in ids for channel in Channel)
            yield from self.sessions({"contactId": {"$in": ids}, "botId": bot_id})
            yield from self.drain("messages", {"contactId": {"$in": ids}})  # those that belong to no session
            yield contacts.delete_many({"_id": {"$in": ids}}).deleted_count

    def _flows(self, bot_id: str) -> Iterator[int]:
        flows = self._db["flows"]
        while ids := _ids(flows, {"botId": bot_id}, _PARENTS):
            # Versions from before drafts existed do not name their bot.
            yield from self.drain("flow_versions", {"flowId": {"$in": ids}})
            yield flows.delete_many({"_id": {"$in": ids}}).deleted_count

    def _status_jobs(self, query: Document) -> Iterator[int]:
        """The jobs that told what became of these messages: their ids hold the message's, and that holds a number."""
        last, fields = -1, {"wamid": 1, "phoneNumberId": 1, "seq": 1}
        found = self._db["messages"].find
        while batch := list(found({**query, "seq": {"$gt": last}}, fields).sort("seq", 1).limit(_PARENTS)):
            last = batch[-1]["seq"]
            heads = [f"{m['phoneNumberId']}:{m['wamid']}" for m in batch if m.get("wamid")]
            ids = [f"{head}:{status}" for head in heads for status in STATUS_BY_NAME]
            yield self._db["jobs"].delete_many({"_id": {"$in": ids}}).deleted_count

    def _end_lanes(self, lanes: Iterable[str]) -> None:
        """Take conversations' lanes from whoever holds them. One of statuses, which a number keeps, only if idle."""
        names = set(lanes)
        statuses = {name for name in names if is_status_lane(name)}
        if names - statuses:
            self._db["lanes"].delete_many({"_id": {"$in": sorted(names - statuses)}})
        if statuses:
            self._db["lanes"].delete_many({"_id": {"$in": sorted(statuses)}, **_NOBODY_WAITS})


def _ids(collection: Collection[Document], query: Document, most: int = _BATCH) -> list[Any]:
    return [document["_id"] for document in collection.find(query, {"_id": 1}).limit(most)]


def _prefixed(prefix: str) -> Document:
    """All texts that begin like this."""
    return {"$gte": prefix, "$lt": prefix[:-1] + chr(ord(prefix[-1]) + 1)}
