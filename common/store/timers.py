"""Timers: sessions whose time has come are turned into jobs, once, by however many timer processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne
from pymongo.database import Database

from common.model.jobs import JobKind, NewJob
from common.store.database import Document

_HAS_TIMER = {"resumeAt": {"$exists": True}}


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A session's wait that is over."""

    session_id: str
    lane: str
    bot_id: str
    wait_id: int
    due_at: datetime
    arms: int = 0  # how often it was set anew, after a pause of the bot

    @property
    def job_id(self) -> str:
        """The same for every timer process, and for no other wait: it can be queued only once."""
        again = f":{self.arms}" if self.arms else ""
        return f"t:{self.session_id}:{self.wait_id}{again}"

    def job(self) -> NewJob:
        """The job that fires it."""
        payload = {"sessionId": self.session_id, "waitId": self.wait_id, "dueAt": self.due_at.isoformat()}
        return NewJob(
            job_id=self.job_id,
            kind=JobKind.TIMER,
            lane=self.lane,
            payload=json.dumps(payload),
            request_id=self.job_id,
            bot_id=self.bot_id,
        )


class Timers:
    """Timers stand on the sessions themselves, as `resumeAt`."""

    def __init__(self, database: Database[Document]) -> None:
        self._sessions = database["sessions"]

    def due(self, limit: int) -> list[DueTimer]:
        """Sessions whose time has come by the database's clock, the longest due first."""
        # A session that waits for nothing has no timer, whatever its `resumeAt` says.
        query = {
            **_HAS_TIMER,
            "wait.waitId": {"$exists": True},
            "$expr": {"$lte": ["$resumeAt", "$$NOW"]},
        }
        fields = {"lane": 1, "botId": 1, "wait.waitId": 1, "resumeAt": 1, "timerArms": 1}
        return [
            DueTimer(
                session_id=document["_id"],
                lane=document["lane"],
                bot_id=document["botId"],
                wait_id=document["wait"]["waitId"],
                due_at=document["resumeAt"],
                arms=document.get("timerArms", 0),
            )
            for document in self._sessions.find(query, fields).sort("resumeAt", 1).limit(limit)
        ]

    def clear(self, timers: Sequence[DueTimer]) -> None:
        """Take timers off their sessions, once their jobs are stored; a newer wait keeps its own."""
        if not timers:
            return
        self._sessions.bulk_write(
            [
                UpdateOne(
                    {"_id": timer.session_id, "wait.waitId": timer.wait_id, "resumeAt": timer.due_at},
                    {"$unset": {"resumeAt": ""}},
                )
                for timer in timers
            ],
            ordered=False,
        )

    def seconds_to_next(self) -> float | None:
        """How long until the next timer is due, by the database's clock; None where none waits."""
        found = list(
            self._sessions.aggregate(
                [
                    {"$match": _HAS_TIMER},
                    {"$sort": {"resumeAt": 1}},
                    {"$limit": 1},
                    {
                        "$project": {
                            "milliseconds": {
                                "$dateDiff": {
                                    "startDate": "$$NOW",
                                    "endDate": "$resumeAt",
                                    "unit": "millisecond",
                                }
                            }
                        }
                    },
                ]
            )
        )
        return found[0]["milliseconds"] / 1000 if found else None
