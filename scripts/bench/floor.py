"""The floor: the database writes that one message cannot do without, in a bare loop, with no HTTP and no engine.

One message is: insert the job; wake its lane; claim a lane (findOneAndUpdate on the oldest due one); one
transaction that fences the lane, finishes the job, replaces the session, upserts its variable, inserts the
message and the reply, inserts three steps of the execution log and updates the contact; mark the reply as being
sent; mark it as accepted; release the lane. Fourteen round trips, all majority and journalled. The documents are
the product's own, in a fresh database with its indexes.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any, Final

from bson import Timestamp
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from common.clock import utc_now
from common.ids import new_ulid
from common.store.database import MAJORITY, SNAPSHOT
from common.store.store import Store
from scripts.bench.figures import Findings, summary
from scripts.bench.ground import Ground
from scripts.bench.templates import Document, Templates, make_templates
from scripts.bench.threads import Rate, repeat

CLIENTS: Final = (1, 4, 16)
CUSTOMERS: Final = 500
STATEMENT: Final = __doc__.partition("\n\n")[2].strip()
_LEASE: Final = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": 30_000}}
_DUE: Final = {"dueAt": {"$exists": True}, "$expr": {"$lte": ["$dueAt", "$$NOW"]}}
_WAKE: Final[list[Document]] = [
    {"$set": {"wakes": {"$add": [{"$ifNull": ["$wakes", 0]}, 1]}, "dueAt": {"$ifNull": ["$dueAt", "$$NOW"]}}}
]
_ACCEPTED: Final[list[Document]] = [
    {"$set": {"wamid": "wamid.x", "status": "ACCEPTED", "rank": 3, "acceptedAt": "$$NOW", "open": "$$REMOVE"}}
]
_RELEASE: Final[list[Document]] = [
    {
        "$set": {
            "owner": None,
            "claim": None,
            "dueAt": {"$cond": [{"$eq": ["$wakes", -1]}, "$$NOW", "$$REMOVE"]},
        }
    }
]


class Floor:
    """The bare loop over one database. Threads share it; a lane is held by one of them at a time."""

    def __init__(self, store: Store, templates: Templates) -> None:
        self._client = store.database.client
        self._db = store.database
        self._shape = templates
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}
        self._revs = dict.fromkeys(range(CUSTOMERS), 1)
        self._lanes = {f"wa:floor{number:024d}": number for number in range(CUSTOMERS)}
        self._names = list(self._lanes)
        self._fill()

    def _fill(self) -> None:
        """Customers that have written before: a lane, a contact and an open session each."""
        shape = self._shape
        lanes, contacts, sessions = [], [], []
        for name, number in self._lanes.items():
            lanes.append({**shape.lane, "_id": name})
            aliases = [f"wa:floor{number}"]
            contacts.append({**shape.contact, "_id": f"floor{number}", "aliases": aliases})
            sessions.append(self._session(number, 1))
        self._db["lanes"].insert_many(lanes)
        self._db["contacts"].insert_many(contacts)
        self._db["sessions"].insert_many(sessions)

    def _session(self, number: int, rev: int) -> Document:
        return {**self._shape.session, "_id": f"s{number}", "contactId": f"floor{number}", "rev": rev}

    def one_message(self, _thread: int) -> None:
        """Everything that one message needs."""
        number = next(self._numbers) % CUSTOMERS
        lane, job_id = self._names[number], new_ulid()
        self._waiting[lane] = job_id
        self._db["jobs"].insert_one({**self._shape.job, "_id": job_id, "lane": lane, "seq": Timestamp(0, 0)})
        self._db["lanes"].update_one({"_id": lane}, _WAKE, upsert=True)
        held = self._claim()
        number = self._lanes[held["_id"]]
        key = new_ulid()
        with self._client.start_session() as session:
            session.with_transaction(
                lambda tx: self._turn(held, number, key, tx), read_concern=SNAPSHOT, write_concern=MAJORITY
            )
        self._revs[number] += 1
        self._send(key)
        self._db["lanes"].update_one({"_id": held["_id"], "claim": held["claim"]}, _RELEASE)

    def _claim(self) -> Document:
        token = new_ulid()
        update = [
            {
                "$set": {
                    "owner": "bench",
                    "claim": token,
                    "fence": {"$add": ["$fence", 1]},
                    "dueAt": _LEASE,
                    "claimedAt": "$$NOW",
                }
            }
        ]
        while True:  # every thread claims once for each lane it woke, so there is one for it
            held: Document | None = self._db["lanes"].find_one_and_update(
                _DUE, update, sort=[("dueAt", 1)], return_document=ReturnDocument.AFTER
            )
            if held is not None:
                return held

    def _turn(self, held: Document, number: int, key: str, tx: ClientSession) -> None:
        database, shape, rev, now = self._db, self._shape, self._revs[number], utc_now()
        fence = {"_id": held["_id"], "claim": held["claim"]}
        database["lanes"].update_one(fence, [{"$set": {"dueAt": _LEASE}}], session=tx)
        database["jobs"].update_one(
            {"_id": self._waiting[held["_id"]], "state": "PENDING"},
            {"$set": {"state": "DONE"}, "$currentDate": {"doneAt": True}, "$unset": {"payload": ""}},
            session=tx,
        )
        database["sessions"].replace_one(
            {"_id": f"s{number}", "rev": rev}, self._session(number, rev + 1), session=tx
        )
        database["session_variables"].update_one(
            {"sessionId": f"s{number}", "variableName": "answer"},
            {
                "$set": {"variableValue": key, "variableType": "STRING", "updatedAt": now},
                "$setOnInsert": {"createdAt": now},
            },
            upsert=True,
            session=tx,
        )
        messages = [
            {**shape.inbound, "_id": f"{key}:in", "sentAt": now},
            {**shape.outbound, "_id": key, "lane": held["_id"], "sentAt": now},
        ]
        database["messages"].insert_many(messages, session=tx)
        steps = [
            {**step, "_id": f"{key}:{place}", "executedAt": now} for place, step in enumerate(shape.steps)
        ]
        database["execution_logs"].insert_many(steps, session=tx)
        database["contacts"].update_one({"_id": f"floor{number}"}, self._contact(number), session=tx)

    def _contact(self, number: int) -> Document:
        fields = {**self._shape.contact, "aliases": [f"wa:floor{number}"]}
        last_inbound_at = fields.pop("lastInboundAt")
        for name in ("_id", "updatedAt"):
            fields.pop(name)
        return {
            "$set": fields,
            "$currentDate": {"updatedAt": True},
            "$max": {"lastInboundAt": last_inbound_at},
        }

    def _send(self, key: str) -> None:
        messages = self._db["messages"]
        begun: dict[str, Any] = {
            "$set": {"status": "SENDING", "rank": 2, "sendingAt": utc_now()},
            "$push": {"attemptIds": new_ulid()},
            "$inc": {"attempts": 1},
        }
        messages.update_one({"_id": key, "status": "QUEUED"}, begun)
        messages.update_one({"_id": key}, _ACCEPTED)


def measure_floor(ground: Ground, clients: tuple[int, ...] = CLIENTS) -> list[Rate]:
    """The floor with so many client threads each, in a fresh database."""
    store = ground.fresh_store("floor")
    try:
        floor = Floor(store, make_templates(store))
        repeat(4, 0.3, floor.one_message)
        return [repeat(number, ground.quick_or(1, 5), floor.one_message) for number in clients]
    finally:
        ground.drop(store)


def measure(ground: Ground) -> Findings:
    """The section `floor`."""
    rates = measure_floor(ground)
    best = max(rates, key=lambda rate: rate.per_second)
    figures = {f"floor.clients_{rate.clients}": rate.per_second for rate in rates}
    figures |= {"floor.per_second": best.per_second, "floor.clients": best.clients}
    samples = {f"{rate.clients} clients": summary(rate.seconds_each) for rate in rates}
    return Findings(figures, {"floor": samples})
