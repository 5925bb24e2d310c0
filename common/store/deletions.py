"""Deleting bots and contacts: a tombstone says at once that they are gone, and stays until everything of them is.

A bot's own document goes in the same transaction that sets its tombstone. Workers and web follow within seconds;
what they still write meanwhile is found by a second pass, when even the longest lease is over. What turns up later
still (a process that was frozen) calls the tombstone back. A contact is deleted by whoever holds their lanes, as a
worker would; messages that come afterwards begin a new contact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.ids import new_ulid
from common.model.contacts import Channel, contact_id_for, lane_for
from common.store.audit import Audit
from common.store.counter_folds import tombstone_of
from common.store.database import Document
from common.store.erasure import Erasure
from common.store.lanes import Lanes, after
from common.store.transaction import in_transaction

_MARKING_SECONDS: Final = 2.0
# Making a bot takes seconds; one that is not there after this time never will be.
_MAKING_SECONDS: Final = 600.0
_DUE: Final[Document] = {"dueAt": {"$exists": True}, "$expr": {"$lte": ["$dueAt", "$$NOW"]}}


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is to be deleted, while this process does it (`claim`)."""

    tombstone_id: str
    claim: str
    bot_id: str
    seq: Any
    is_settled: bool = False
    numbers: tuple[str, ...] = ()
    contact_id: str | None = None
    lanes: tuple[str, ...] = ()
    is_test: bool = False


class DeletionLost(Exception):  # noqa: N818 - as with leases
    """Somebody else has taken this deletion, or the contact's lane, meanwhile."""


class Deletions:
    """The `deletions` collection, and the work that it asks for."""

    def __init__(self, database: Database[Document], lanes: Lanes) -> None:
        self._db = database
        self._deletions = database["deletions"]
        self._audit = Audit(database)
        self._lanes = lanes
        self._erasure = Erasure(database)

    # Asking for it

    def ask_for_bot(self, bot_id: str, audit_entry: Document | None = None) -> bool:
        """The bot is gone, with its number free for another one; False where it was already.

        The entry is written with it or not at all.
        """
        is_there: list[bool] = []

        def write(tx: ClientSession) -> None:
            bot = self._db["bots"].find_one_and_delete({"_id": bot_id}, {"userId": 1}, session=tx)
            is_there[:] = [bot is not None]
            if bot is not None:
                account = self._db["whatsapp_accounts"].find_one_and_delete({"botId": bot_id}, session=tx)
                numbers = [account["phoneNumberId"]] if account else []
                fields = {"botId": bot_id, "userId": bot.get("userId"), "numbers": numbers}
                self._set(tombstone_of(bot_id), fields, tx)
                if audit_entry is not None:
                    self._audit.record(audit_entry, session=tx)

        in_transaction(self._db, write, most_seconds=_MARKING_SECONDS)
        return is_there[0]

    def remind(self, bot_id: str) -> None:
        """Something of a bot that does not exist has turned up: look for more."""
        kept = {"numbers": [], "isSettled": True, "requestedAt": "$$NOW", "dueAt": "$$NOW"}
        fields = {name: {"$ifNull": [f"${name}", value]} for name, value in kept.items()}
        update = [{"$set": {"botId": {"$literal": bot_id}, "isReminded": True, **fields}}]
        self._deletions.update_one({"_id": tombstone_of(bot_id)}, update, upsert=True)

    def begin_making(self, bot_id: str) -> None:
        """A bot is being made part by part; if it is never there, its parts go."""
        fields = {"botId": bot_id, "numbers": [], "isSettled": True, "requestedAt": "$$NOW"}
        update = [{"$set": {**fields, "dueAt": after(_MAKING_SECONDS)}}]
        self._deletions.update_one({"_id": tombstone_of(bot_id)}, update, upsert=True)
        for _ in self._erasure.configuration(bot_id):
            pass

    def made(self, bot_id: str, tx: ClientSession) -> bool:
        """It is there now, in this transaction; False where the parts may be gone."""
        return (
            self._deletions.delete_one({"_id": tombstone_of(bot_id), "claim": None}, session=tx).deleted_count
            == 1
        )

    def ask_for_contact(self, contact: Document) -> str:
        """All that is kept of this contact (as stored) shall go; returns the tombstone's id."""
        bot_id, contact_id = contact["botId"], contact["_id"]
        channel = Channel.SIMULATOR if contact.get("isTest") else Channel.WHATSAPP
        # A person of two ids may have written in the lane of the other one, too.
        ids = {contact_id, *(contact_id_for(bot_id, alias) for alias in contact["aliases"])}
        lanes = sorted(lane_for(channel, each) for each in ids)
        fields = {
            "botId": bot_id,
            "contactId": contact_id,
            "lanes": lanes,
            "isTest": bool(contact.get("isTest")),
        }
        self._set(_contact(contact_id), fields, None)
        return _contact(contact_id)

    def _set(self, tombstone_id: str, fields: Document, tx: ClientSession | None) -> None:
        self._deletions.update_one(
            {"_id": tombstone_id},
            {
                "$set": {**fields, "isSettled": False, "claim": None},
                "$unset": {"seizedAt": ""},
                "$currentDate": {"requestedAt": True, "dueAt": True, "seq": {"$type": "timestamp"}},
            },
            upsert=True,
            session=tx,
        )

    # Doing it

    def claim(self, lease_seconds: float, tombstone_id: str | None = None) -> Tombstone | None:
        """A deletion that is due (this one, if it is named), ours for a while."""
        query = _DUE if tombstone_id is None else {**_DUE, "_id": tombstone_id}
        update = [{"$set": {"claim": new_ulid(), "isReminded": False, "dueAt": after(lease_seconds)}}]
        found = self._deletions.find_one_and_update(
            query, update, sort=[("dueAt", 1)], return_document=ReturnDocument.AFTER
        )
        return _tombstone(found) if found else None

    def work(self, tombstone: Tombstone, *, lease_seconds: float, settle_seconds: float) -> Iterator[int]:
        """Do it, yielding how many documents went with each batch; ended early, it is due again after the lease.

        Raises DeletionLost and PyMongoError.
        """
        if tombstone.contact_id is not None:
            yield from self._work_on_contact(tombstone, lease_seconds)
            self._finish(tombstone)
            return
        if self._db["bots"].find_one({"_id": tombstone.bot_id}, {"_id": 1}) is not None:
            self._finish(tombstone)  # it was made after all
            return
        for gone in self._erasure.bot(tombstone.bot_id, tombstone.numbers):
            yield gone
            self._renew(tombstone, lease_seconds)
        if tombstone.is_settled:
            self._finish(tombstone)
        else:
            settled = [{"$set": {"isSettled": True, "dueAt": after(settle_seconds)}}]
            self._deletions.update_one(_ours(tombstone), settled)

    def let_go(self, tombstone: Tombstone) -> None:
        """Leave it to the next one, at once."""
        self._deletions.update_one(_ours(tombstone), [{"$set": {"dueAt": "$$NOW", "claim": None}}])

    def pending(self) -> int:
        """How many deletions are not complete."""
        return self._deletions.count_documents({})

    def _work_on_contact(self, tombstone: Tombstone, lease_seconds: float) -> Iterator[int]:
        leases = self._lanes.seize(tombstone.lanes, tombstone.tombstone_id, lease_seconds)
        seized_at = self._seized_at(tombstone)
        before: Document = {"seq": tombstone.seq, "lanesAt": seized_at}
        if not tombstone.is_test:
            before["at"] = seized_at
        for gone in self._erasure.contact(
            tombstone.bot_id, tombstone.contact_id or "", lanes=tombstone.lanes, before=before
        ):
            yield gone
            self._renew(tombstone, lease_seconds)
            if self._lanes.hold(leases, lease_seconds) != len(leases):
                raise DeletionLost(tombstone.tombstone_id)
        self._lanes.remove(leases)
        # Those that were woken meanwhile are still there: a new message waits.
        self._lanes.release(leases, has_more=frozenset(tombstone.lanes))

    def _seized_at(self, tombstone: Tombstone) -> datetime:
        """When the lanes were first taken: what was committed until then goes, what begins afterwards stays."""
        found = self._deletions.find_one_and_update(
            _ours(tombstone),
            [{"$set": {"seizedAt": {"$ifNull": ["$seizedAt", "$$NOW"]}}}],
            return_document=ReturnDocument.AFTER,
        )
        if found is None:
            raise DeletionLost(tombstone.tombstone_id)
        seized_at: datetime = found["seizedAt"]
        return seized_at

    def _renew(self, tombstone: Tombstone, lease_seconds: float) -> None:
        update = [{"$set": {"dueAt": after(lease_seconds)}}]
        if self._deletions.update_one(_ours(tombstone), update).matched_count != 1:
            raise DeletionLost(tombstone.tombstone_id)

    def _finish(self, tombstone: Tombstone) -> None:
        done = self._deletions.delete_one({**_ours(tombstone), "isReminded": False}).deleted_count
        if not done:  # something turned up behind our back: once more
            self.let_go(tombstone)


def _contact(contact_id: str) -> str:
    return f"contact:{contact_id}"


def _ours(tombstone: Tombstone) -> Document:
    return {"_id": tombstone.tombstone_id, "claim": tombstone.claim}


def _tombstone(document: Document) -> Tombstone:
    return Tombstone(
        tombstone_id=document["_id"],
        claim=document["claim"],
        bot_id=document["botId"],
        seq=document.get("seq"),
        is_settled=document["isSettled"],
        numbers=tuple(document.get("numbers", ())),
        contact_id=document.get("contactId"),
        lanes=tuple(document.get("lanes", ())),
        is_test=document.get("isTest", False),
    )


def settle_seconds(lease_seconds: float) -> float:
    """How long after a bot's end nobody can be left who began before it and has not heard."""
    return 2 * lease_seconds + 5
