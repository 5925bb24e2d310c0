"""Jobs: every accepted piece of work, from the 200 that Meta gets to its end.

`_id` is the deduplication key, so a duplicate falls away whenever it comes. `seq` is given by the database
itself (an empty timestamp is replaced by the replica set's logical clock on insert): later accepted means
greater, across web processes and fail-overs, without a counter to fight over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bson import Timestamp
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from common.model.jobs import Job, JobKind, JobState, NewJob
from common.store.database import Document

_DUPLICATE_KEY = 11000
_ASSIGNED_BY_THE_DATABASE = Timestamp(0, 0)
# Looking for lanes, so many jobs are read at a time: enough where each lane has one, few where one has thousands
# (a group over all of them would read the whole backlog).
_LOOK_AHEAD = 50


class Jobs:
    """The `jobs` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database["jobs"]

    def insert(self, jobs: Sequence[NewJob], now: datetime) -> int:
        """Store jobs in the given order; known ones fall away. Returns how many were new.

        One round trip. When this returns, a majority has them on disk. Raises PyMongoError otherwise: then
        some or all may be stored all the same, and storing them again does no harm.
        """
        if not jobs:
            return 0
        try:
            return len(
                self._jobs.insert_many([_to_document(job, now) for job in jobs], ordered=False).inserted_ids
            )
        except BulkWriteError as error:
            details = error.details or {}
            others = [e for e in details.get("writeErrors", []) if e["code"] != _DUPLICATE_KEY]
            if others or details.get("writeConcernErrors"):
                raise
            return int(details["nInserted"])

    def finish(
        self, job_ids: Iterable[str], session: ClientSession | None = None, *,
        outcome: str | None = None, reason: str | None = None,
    ) -> int:  # fmt: skip
        """Mark pending jobs done. Their payload goes; their key stays, to recognise duplicates."""
        fields: dict[str, Any] = {"state": JobState.DONE.value}
        if outcome:
            fields["outcome"] = outcome
        if reason:
            fields["outcomeReason"] = reason
        return self._jobs.update_many(
            {"_id": {"$in": list(job_ids)}, "state": JobState.PENDING.value},
            {"$set": fields, "$currentDate": {"doneAt": True}, "$unset": {"payload": ""}},
            session=session,
        ).matched_count

    def fail(self, job_id: str, reason: str, *, max_attempts: int) -> bool:
        """Count a failed attempt; True where that was the last one and the job is dead now."""
        document = self._jobs.find_one_and_update(
            {"_id": job_id, "state": JobState.PENDING.value},
            [
                {"$set": {"attempts": {"$add": ["$attempts", 1]}, "reason": {"$literal": reason}}},
                {
                    "$set": {
                        "state": {
                            "$cond": [
                                {"$gte": ["$attempts", max_attempts]},
                                JobState.DEAD.value,
                                JobState.PENDING.value,
                            ]
                        },
                        "deadAt": {"$cond": [{"$gte": ["$attempts", max_attempts]}, "$$NOW", "$$REMOVE"]},
                    }
                },
            ],
            return_document=True,
        )
        return document is not None and document["state"] == JobState.DEAD.value

    def reject(self, job_id: str, reason: str) -> None:
        """Keep a pending job as unrouted."""
        self._jobs.update_one(
            {"_id": job_id, "state": JobState.PENDING.value},
            {"$set": {"state": JobState.UNROUTED.value, "reason": reason}},
        )

    def move(self, job_ids: Sequence[str], lane: str) -> None:
        """Put pending jobs into another lane; they keep their place by `seq`."""
        self._jobs.update_many(
            {"_id": {"$in": list(job_ids)}, "state": JobState.PENDING.value},
            {"$set": {"lane": lane}, "$inc": {"attempts": 1}},
        )

    def route(self, job_id: str, bot_id: str, lane: str) -> None:
        """Give an unrouted job the lane that it lacked; it stays put aside until it is requeued."""
        self._jobs.update_one(
            {"_id": job_id, "state": JobState.UNROUTED.value, "lane": None},
            {"$set": {"botId": bot_id, "lane": lane}},
        )

    def requeue(self, job_ids: Sequence[str]) -> list[str]:
        """Give dead or unrouted jobs that have a lane another try, at the end of their lane.

        Returns the lanes to wake.
        """
        if not job_ids:
            return []
        query = {
            "_id": {"$in": list(job_ids)},
            "state": {"$in": [JobState.DEAD.value, JobState.UNROUTED.value]},
            "lane": {"$ne": None},
        }
        lanes = [document["lane"] for document in self._jobs.find(query, {"lane": 1})]
        self._jobs.bulk_write(
            [
                UpdateOne(
                    {**query, "_id": job_id},
                    {
                        "$set": {"state": JobState.PENDING.value, "attempts": 0},
                        "$currentDate": {"seq": {"$type": "timestamp"}},
                        "$unset": {"reason": "", "deadAt": ""},
                    },
                )
                for job_id in job_ids
            ]
        )
        return lanes

    def drop(self, job_ids: Sequence[str]) -> int:
        """Give up dead or unrouted jobs: they end as done, with the outcome `dropped`."""
        return self._jobs.update_many(
            {
                "_id": {"$in": list(job_ids)},
                "state": {"$in": [JobState.DEAD.value, JobState.UNROUTED.value]},
            },
            {
                "$set": {"state": JobState.DONE.value, "outcome": "dropped"},
                "$currentDate": {"doneAt": True},
                "$unset": {"payload": ""},
            },
        ).modified_count

    def find(self, job_id: str) -> Document | None:
        """One job as stored."""
        return self._jobs.find_one({"_id": job_id})

    def waiting(
        self, states: Sequence[JobState], *, limit: int = 50, bot_id: str | None = None
    ) -> list[Document]:
        """Jobs in these states, newest first."""
        query: Document = {"state": {"$in": [state.value for state in states]}}
        if bot_id is not None:
            query["botId"] = bot_id
        return list(self._jobs.find(query).sort("seq", -1).limit(limit))

    def lanes_with_controls(self, lanes: Sequence[str]) -> set[str]:
        """In which of these lanes a control waits."""
        query = {
            "kind": JobKind.CONTROL.value,
            "lane": {"$in": list(lanes)},
            "state": JobState.PENDING.value,
        }
        return {document["lane"] for document in self._jobs.find(query, {"lane": 1})}

    def pending(self, lane: str, limit: int) -> list[Document]:
        """The first pending jobs of a lane, in order."""
        query = {"lane": lane, "state": JobState.PENDING.value}
        return list(self._jobs.find(query).sort([("lane", 1), ("seq", 1)]).limit(limit))

    def oldest_pending_at(self) -> datetime | None:
        """When the pending job that has waited longest was accepted. Reads all pending ones."""
        pipeline: list[Document] = [
            {"$match": {"state": JobState.PENDING.value, "lane": {"$gt": ""}}},
            {"$group": {"_id": None, "at": {"$min": "$receivedAt"}}},
        ]
        found = list(self._jobs.aggregate(pipeline))
        return found[0]["at"] if found else None

    def count_dead(self) -> int:
        """How many dead jobs there are."""
        return self._jobs.count_documents({"state": JobState.DEAD.value})

    def lanes_with_pending(self, after: str, limit: int) -> list[str]:
        """Up to `limit` lanes that have pending jobs, in order of their name, behind `after`."""
        lanes: list[str] = []
        while len(lanes) < limit:
            query = {"state": JobState.PENDING.value, "lane": {"$gt": after}}
            found = self._jobs.find(query, {"lane": 1}).sort([("lane", 1), ("seq", 1)]).limit(_LOOK_AHEAD)
            page = list(dict.fromkeys(document["lane"] for document in found))
            if not page:
                break
            lanes += page
            after = page[-1]
        return lanes[:limit]


def _to_document(job: NewJob, now: datetime) -> Document:
    document: Document = {
        "_id": job.job_id,
        "kind": job.kind.value,
        "state": JobState.PENDING.value,
        "lane": job.lane,
        "seq": _ASSIGNED_BY_THE_DATABASE,
        "payload": job.payload,
        "requestId": job.request_id,
        "botId": job.bot_id,
        "phoneNumberId": job.phone_number_id,
        "receivedAt": now,
        "attempts": 0,
    }
    if job.reason is not None:
        document["state"] = JobState.UNROUTED.value
        document["reason"] = job.reason
    return document


def job_from_document(document: Document) -> Job:
    """A stored job as the worker sees it."""
    return Job(
        job_id=document["_id"],
        kind=JobKind(document["kind"]),
        lane=document["lane"],
        payload=document["payload"],
        request_id=document["requestId"],
        received_at=document["receivedAt"],
        attempts=document["attempts"],
        bot_id=document["botId"],
        phone_number_id=document["phoneNumberId"],
    )
