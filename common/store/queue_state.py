"""The queue as an operator sees it: how much waits, for how long, for what, and who is there to do it.

Every count stops at ten thousand: what is more than that is simply too much, and looking costs the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.database import Database

from common.model.jobs import JobState
from common.store.database import Document

MOST: Final = 10_000
_HAS_WORK: Final[Document] = {"dueAt": {"$exists": True}}


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process and the seconds since it was last seen."""

    kind: str
    owner: str
    host: str
    pid: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class QueueLook:
    """One look. Times in seconds, by the database's clock; 0 where nothing waits."""

    pending_jobs: int
    dead_jobs: int
    unrouted_jobs: int
    due_lanes: int
    leased_lanes: int
    oldest_due_seconds: float
    late_timers: int
    latest_timer_seconds: float
    parked_lanes: dict[str, int] = field(default_factory=dict)  # by reason
    unsent_messages: dict[str, int] = field(default_factory=dict)  # by state


class QueueState:
    """Jobs, lanes, timers, open messages and heartbeats, read only."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database

    def look(self) -> QueueLook:
        """How things stand. Seven bounded reads."""
        now = self._now()
        lanes = self._lanes(now)
        oldest = self._db["lanes"].find_one(
            {**_HAS_WORK, "$expr": {"$lte": ["$dueAt", "$$NOW"]}}, {"dueAt": 1}, sort=[("dueAt", 1)]
        )
        late = {"resumeAt": {"$exists": True, "$lte": now}}
        first = self._db["sessions"].find_one(late, {"resumeAt": 1}, sort=[("resumeAt", 1)])
        return QueueLook(
            pending_jobs=self._count("jobs", {"state": JobState.PENDING.value, "lane": {"$gt": ""}}),
            dead_jobs=self._count("jobs", {"state": JobState.DEAD.value}),
            unrouted_jobs=self._count("jobs", {"state": JobState.UNROUTED.value}),
            due_lanes=lanes.pop("due", 0),
            leased_lanes=lanes.pop("leased", 0),
            oldest_due_seconds=_seconds(now, oldest["dueAt"] if oldest else None),
            late_timers=self._count("sessions", late),
            latest_timer_seconds=_seconds(now, first["resumeAt"] if first else None),
            parked_lanes=lanes,
            unsent_messages=self._by("messages", {"lane": {"$gt": ""}, "open": True}, "$status"),
        )

    def heartbeats(self) -> list[Heartbeat]:
        """Every process that was seen within the hour, the longest silent last."""
        age = {"$dateDiff": {"startDate": "$at", "endDate": "$$NOW", "unit": "millisecond"}}
        found = self._db["heartbeats"].aggregate([{"$addFields": {"age": age}}, {"$sort": {"age": 1}}])
        return [
            Heartbeat(
                beat["kind"],
                beat["_id"],
                beat.get("host", ""),
                beat.get("pid", 0),
                max(beat["age"], 0) / 1000,
            )
            for beat in found
        ]

    def _now(self) -> datetime:
        now: datetime = self._db.client.admin.command("hello")["localTime"]
        return now.replace(tzinfo=UTC)

    def _count(self, collection: str, query: Document) -> int:
        return self._db[collection].count_documents(query, limit=MOST)

    def _lanes(self, now: datetime) -> dict[str, int]:
        is_leased = {"$ne": [{"$ifNull": ["$owner", None]}, None]}
        is_due = {"$lte": ["$dueAt", now]}
        state = {
            "$cond": [is_due, "due", {"$cond": [is_leased, "leased", {"$ifNull": ["$parkedFor", "later"]}]}]
        }
        return self._by("lanes", _HAS_WORK, state)

    def _by(self, collection: str, query: Document, key: Any) -> dict[str, int]:
        pipeline: list[Document] = [
            {"$match": query},
            {"$limit": MOST},
            {"$group": {"_id": key, "count": {"$sum": 1}}},
        ]
        return {group["_id"]: group["count"] for group in self._db[collection].aggregate(pipeline)}


def _seconds(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
