"""What becomes of our messages, counted: each message once in each state, whatever is told twice or out of order.

A message keeps what was counted of it (`counted`). Counting compares that with how it stands now, and writes the
difference and the new `counted` in one transaction: done twice, it finds nothing. So it needs no place in the way of a
message: whoever changed some says which, and they are counted soon. What a process that died did not get to is found
by `sweep`, which looks at every message a few times in its life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pymongo import UpdateMany
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.model.counters import Amounts, Counted, CountKey, Total
from common.model.outbox import MessageStatus
from common.store.counters import Counters
from common.store.database import Document
from common.store.transaction import in_transaction

_MOST_SECONDS: Final = 5.0
_MOST_MESSAGES: Final = 500
# How old messages are when they are looked at once more. Meta reports for a week.
_SWEPT_AT: Final = (timedelta(minutes=10), timedelta(hours=1), timedelta(days=1), timedelta(days=8))
_SWEPT_TOGETHER: Final = timedelta(minutes=5)
_MOST_SWEPT: Final = timedelta(hours=1)
# A message that got so far has been in all the states before it, also where nobody told us so.
_STAGES: Final = (Total.ACCEPTED, Total.SENT, Total.DELIVERED, Total.READ)
_STAGE_BITS: Final = 7
# Beside its stage, how a message stands, with what it counts as when that begins and when it is put right.
_STANDINGS: Final = (
    (8, Total.SEND_FAILED, Total.FAILED_CORRECTED),
    (16, Total.SEND_UNKNOWN, Total.UNKNOWN_CORRECTED),
)
_FAILED, _LEFT_UNKNOWN = (bit for bit, _, _ in _STANDINGS)
_READ: Final = dict.fromkeys(
    ("open", "status", "reachedAt", "acceptedAt", "counted", "botId", "flowId", "flowVersionId"), 1
)
# `standing`, as the database reckons it.
_STANDING: Final[Document] = {
    "$add": [
        {
            "$switch": {
                "branches": [
                    {"case": {"$gt": ["$reachedAt.READ", None]}, "then": 4},
                    {"case": {"$gt": ["$reachedAt.DELIVERED", None]}, "then": 3},
                    {"case": {"$gt": ["$reachedAt.SENT", None]}, "then": 2},
                    {"case": {"$gt": ["$acceptedAt", None]}, "then": 1},
                    {"case": {"$gt": ["$reachedAt.FAILED", None]}, "then": 1},
                ],
                "default": 0,
            }
        },
        {"$cond": [{"$eq": ["$status", "FAILED"]}, _FAILED, 0]},
        {"$cond": [{"$and": [{"$eq": ["$status", "UNKNOWN"]}, {"$ne": ["$open", True]}]}, _LEFT_UNKNOWN, 0]},
    ]
}


class MessageRef(StrEnum):
    """What a message is known by, as the field is called."""

    ID = "_id"
    ATTEMPT = "attemptIds"
    WAMID = "wamid"


class News(NamedTuple):
    """There is something new of this message."""

    ref: MessageRef
    value: str


class Deliveries:
    """Counting messages' states."""

    def __init__(self, database: Database[Document], counters: Counters) -> None:
        self._database = database
        self._messages = database["messages"]
        self._sweeps = database["counter_sweeps"]
        self._counters = counters

    def count(self, news: Iterable[News]) -> int:
        """Count what is new of these messages; returns how many had something new."""
        return sum(self._count(query) for query in _queries(list(dict.fromkeys(news))))

    def sweep(self, since: datetime, until: datetime) -> int:
        """Count what was missed of the messages written in this time; returns how many there were."""
        query = {
            "sentAt": {"$gte": since, "$lt": until},
            "direction": "OUT",
            "lane": {"$regex": "^wa:"},
            "flowVersionId": {"$exists": True},
            "$expr": {"$ne": [{"$ifNull": ["$counted", 0]}, _STANDING]},
        }
        swept = 0
        while missed := [
            each["_id"] for each in self._messages.find(query, {"_id": 1}).limit(_MOST_MESSAGES)
        ]:
            counted = self._count({"_id": {"$in": missed}})
            if not counted:
                break  # they look missed to the database and not to us: it would find them again, without end
            swept += counted
        return swept

    def sweep_due(self, now: datetime) -> int:
        """Sweep the messages that have reached one of the ages at which they are looked at; returns how many were missed.

        How far each age has come is kept, so that no span is left out however long nobody swept.
        """
        swept = 0
        for age in _SWEPT_AT:
            until = now - age
            key = {"_id": f"{age.total_seconds():.0f}"}
            done = self._sweeps.find_one(key)
            since = done["until"] if done else until - _SWEPT_TOGETHER
            if until - since < _SWEPT_TOGETHER:
                continue
            until = min(until, since + _MOST_SWEPT)
            swept += self.sweep(since, until)
            self._sweeps.update_one(key, {"$set": {"until": until}}, upsert=True)
        return swept

    def _count(self, query: Document) -> int:
        changed = [0]

        def write(tx: ClientSession) -> None:
            found = list(self._messages.find({**query, "direction": "OUT"}, _READ, session=tx))
            changed[0] = self._write(found, tx)

        self._in_transaction(write)
        return changed[0]

    def _write(self, messages: Sequence[Document], tx: ClientSession) -> int:
        changes: dict[int, list[str]] = {}
        counted: list[Counted] = []
        for message in messages:
            before, now = message.get("counted", 0), standing(message)
            if (
                before != now and "flowVersionId" in message
            ):  # older ones were written before there were figures
                changes.setdefault(now, []).append(message["_id"])
                key = CountKey(message["botId"], message["flowId"], message["flowVersionId"])
                counted.append((key, _amounts(before, now)))
        if changes:
            writes: list[Any] = [
                UpdateMany({"_id": {"$in": ids}}, {"$set": {"counted": now}}) for now, ids in changes.items()
            ]
            self._messages.bulk_write(writes, ordered=False, session=tx)
            self._counters.write(counted, utc_now(), tx)
        return len(counted)

    def _in_transaction(self, write: Callable[[ClientSession], None]) -> None:
        in_transaction(self._database, write, most_seconds=_MOST_SECONDS)
        self._counters.settle()


def _queries(news: Sequence[News]) -> Iterator[Document]:
    for start in range(0, len(news), _MOST_MESSAGES):
        by_ref: dict[str, list[str]] = {}
        for ref, value in news[start : start + _MOST_MESSAGES]:
            by_ref.setdefault(ref.value, []).append(value)
        yield {"$or": [{name: {"$in": values}} for name, values in by_ref.items()]}


def standing(message: Document) -> int:
    """How a message stands, by all that was ever told of it: its stage, and whether it has failed or is unknown."""
    reached = message.get("reachedAt") or {}
    if MessageStatus.READ in reached:
        stage = 4
    elif MessageStatus.DELIVERED in reached:
        stage = 3
    elif MessageStatus.SENT in reached:
        stage = 2
    else:
        # A status that says "failed" comes from Meta: it had taken the message.
        stage = 1 if "acceptedAt" in message or MessageStatus.FAILED in reached else 0
    if message["status"] == MessageStatus.FAILED:
        return stage + _FAILED
    is_left_unknown = message["status"] == MessageStatus.UNKNOWN and not message.get("open")
    return stage + _LEFT_UNKNOWN if is_left_unknown else stage


def _amounts(before: int, now: int) -> Amounts:
    """What a message adds that stood so when it was last counted, and so now."""
    amounts = {total.path: 1 for total in _STAGES[before & _STAGE_BITS : now & _STAGE_BITS]}
    for bit, total, corrected in _STANDINGS:
        if (before ^ now) & bit:
            amounts[(total if now & bit else corrected).path] = 1
    return amounts
