"""Lanes: one document a conversation, leased as a whole, so that its jobs run in order and one at a time.

`dueAt` is the whole state machine. No `dueAt`: nothing to do. In the past: anybody may claim it. In the future:
leased (then `owner` is set and `dueAt` is when the lease ends) or parked (then `parkedFor` says why). A worker
that dies needs no cleaning up: its lanes simply become due. All times are the database's (`$$NOW`).

Every claim adds one to `fence` and writes a `claim` token of its own; each later write of the holder is
conditional on both, so that a holder that lost its lease changes nothing, even after a fail-over.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import DeleteOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from common.ids import new_ulid
from common.model.parking import ParkedFor
from common.store.abandoned import end_abandoned_transactions
from common.store.database import Document, time_limit

# A claim takes milliseconds. One that takes this long waits for a lane that somebody's transaction has locked.
_CLAIM_SECONDS = 1.0
_CLAIM_ONE_SECONDS = 0.2
# A lane that was found locked is left alone for a while, so that it does not hold up the others again.
_LOCKED_SECONDS = 2.0

_DUE = {"dueAt": {"$exists": True}, "$expr": {"$lte": ["$dueAt", "$$NOW"]}}


# Nobody holds it, and there is a time at which somebody will: whoever claims it sees all jobs stored until then.
# Waking it changes nothing, and a write that changes nothing costs next to nothing.
_WAITS_ALREADY = {
    "$and": [
        {"$eq": [{"$ifNull": ["$owner", None]}, None]},
        {"$ne": [{"$type": "$dueAt"}, "missing"]},
    ]
}


_WAITS_FOR_NEWS = frozenset({ParkedFor.UNKNOWN_SEND, ParkedFor.BOT_STOPPED, ParkedFor.BOT_PAUSED})
# Only what it would send is held; its jobs are not.
_IS_PAUSED = {"$eq": ["$parkedFor", ParkedFor.BOT_PAUSED.value]}


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed lane. `was_interrupted`: the last holder died or parked it, so its outbox may hold something."""

    lane: str
    fence: int
    claim: str
    wakes: int
    was_interrupted: bool
    interruptions: int
    jobs: tuple[Document, ...] = ()


def after(seconds: float) -> dict[str, Any]:
    """So many seconds from now, by the database's clock, in the pipeline of an update."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": round(seconds * 1000)}}


class Lanes:
    """The `lanes` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._lanes = database["lanes"]
        self._locked: dict[str, float] = {}
        self._pick = random.Random()  # noqa: S311 - spreads contention, guards nothing

    def wake(self, lanes: Iterable[str], *, delay_seconds: float = 0) -> None:
        """Say that these lanes have work. A leased or parked one keeps its time but will look again.

        One that is parked because a person has taken over is due now: it has only its messages held.
        """
        due = after(delay_seconds) if delay_seconds else "$$NOW"
        update = [
            {
                "$set": {
                    "wakes": {"$add": [{"$ifNull": ["$wakes", 0]}, {"$cond": [_WAITS_ALREADY, 0, 1]}]},
                    "dueAt": {"$cond": [_IS_PAUSED, due, {"$ifNull": ["$dueAt", due]}]},
                    "fence": {"$ifNull": ["$fence", 0]},
                }
            }
        ]
        operations = [UpdateOne({"_id": lane}, update, upsert=True) for lane in dict.fromkeys(lanes)]
        if operations:
            self._lanes.bulk_write(operations, ordered=False)

    def hear(self, lanes: Iterable[str], *parked_for: ParkedFor) -> None:
        """News for these lanes: one that is parked for such a reason is due now, one that is held will look again."""
        reasons = [reason.value for reason in parked_for]
        self._lanes.update_many(
            {"_id": {"$in": list(lanes)}},
            [
                {
                    "$set": {
                        "wakes": {"$add": ["$wakes", 1]},
                        "dueAt": {
                            "$cond": [{"$in": ["$parkedFor", reasons]}, "$$NOW", "$dueAt"],
                        },
                    }
                }
            ],
        )

    def unpark_all(self, lanes: Iterable[str], parked_for: ParkedFor) -> int:
        """Make the lanes that are parked for this reason due now; returns how many were."""
        return self._lanes.update_many(
            {"_id": {"$in": list(lanes)}, "parkedFor": parked_for.value}, [{"$set": {"dueAt": "$$NOW"}}]
        ).modified_count

    def claim(
        self, owner: str, limit: int, lease_seconds: float, jobs_each: int
    ) -> tuple[list[Lease], datetime | None]:
        """Lease up to `limit` due lanes, oldest first, each with its first `jobs_each` pending jobs.

        Returns the leases and the database's time at the claim (None where nothing was due). Three round trips
        for the whole batch; the cost does not depend on how many lanes or jobs are waiting.
        """
        # Twice as many candidates as wanted: workers that look at the same moment seldom take the same ones.
        found = list(self._lanes.find(self._claimable(), {"_id": 1}).sort("dueAt", 1).limit(limit * 2))
        if not found:
            return [], None
        candidates = [document["_id"] for document in found]
        if len(candidates) > limit:
            candidates = self._pick.sample(candidates, limit)
        token = new_ulid()
        self._take(candidates, _claim_update(owner, token, lease_seconds))
        try:
            won = self._won(candidates, token, jobs_each)
        except PyMongoError:
            # Claimed, but nobody here knows what: without this they would wait for their leases to end.
            self._give_up(candidates, token)
            raise
        now = max((lane["claimedAt"] for lane in won), default=None)
        leases = [
            Lease(
                lane=lane["_id"],
                fence=lane["fence"],
                claim=token,
                wakes=lane["wakes"],
                was_interrupted=lane["interrupted"],
                interruptions=lane["interruptions"],
                jobs=tuple(lane["jobs"]),
            )
            for lane in won
        ]
        return leases, now

    def _won(self, candidates: Sequence[str], token: str, jobs_each: int) -> list[Document]:
        """The lanes that this claim got, each with its first jobs."""
        won = self._lanes.aggregate(
            [
                {"$match": {"_id": {"$in": candidates}, "claim": token}},
                {
                    "$lookup": {
                        "from": "jobs",
                        "localField": "_id",
                        "foreignField": "lane",
                        "pipeline": [
                            {"$match": {"state": "PENDING"}},
                            {"$sort": {"lane": 1, "seq": 1}},
                            {"$limit": jobs_each},
                        ],
                        "as": "jobs",
                    }
                },
            ]
        )
        return list(won)

    def _give_up(self, candidates: Sequence[str], token: str) -> None:
        """Hand back what a claim got that failed half-way, if the database lets us."""
        update = {"owner": None, "claim": None, "dueAt": "$$NOW", "parkedFor": ParkedFor.INTERRUPTED.value}
        try:
            self._lanes.update_many({"_id": {"$in": list(candidates)}, "claim": token}, [{"$set": update}])
        except PyMongoError:
            return  # then their leases end

    def _claimable(self) -> Document:
        now = time.monotonic()
        self._locked = {lane: until for lane, until in self._locked.items() if until > now}
        return {**_DUE, "_id": {"$nin": list(self._locked)}} if self._locked else _DUE

    def _take(self, candidates: Sequence[str], update: list[Document]) -> None:
        """Write the claim to those of the candidates that are still due, in one go if nothing is in the way."""
        try:
            with time_limit(_CLAIM_SECONDS):
                self._lanes.update_many({"_id": {"$in": list(candidates)}, **_DUE}, update)
        except PyMongoError as error:
            if not error.timeout:
                raise
        else:
            return
        # One of them is locked by a transaction that does not end: its process died or froze in the middle.
        end_abandoned_transactions(self._database)
        for lane in candidates:
            try:
                with time_limit(_CLAIM_ONE_SECONDS):
                    self._lanes.update_many({"_id": lane, **_DUE}, update)
            except PyMongoError as error:
                if not error.timeout:
                    raise
                self._locked[lane] = time.monotonic() + _LOCKED_SECONDS

    def hold(
        self, leases: Sequence[Lease], lease_seconds: float, session: ClientSession | None = None
    ) -> int:
        """Renew these leases; returns how many are still ours. Inside a transaction this is the fence."""
        if not leases:
            return 0
        result = self._lanes.update_many(
            still_held(leases), [{"$set": {"dueAt": after(lease_seconds)}}], session=session
        )
        return result.matched_count

    def held(self, leases: Sequence[Lease]) -> set[str]:
        """Which of these leases are still ours."""
        if not leases:
            return set()
        return {document["_id"] for document in self._lanes.find(still_held(leases), {"_id": 1})}

    def release(self, leases: Sequence[Lease], *, has_more: frozenset[str] = frozenset()) -> None:
        """Hand lanes back. One that was woken since its jobs were read, or has more, is due again at once."""
        operations = [
            UpdateOne(
                {"_id": lease.lane, "claim": lease.claim, "fence": lease.fence},
                [
                    {
                        "$set": {
                            "owner": None,
                            "claim": None,
                            "interruptions": 0,
                            "dueAt": "$$NOW"
                            if lease.lane in has_more
                            else {"$cond": [{"$eq": ["$wakes", lease.wakes]}, "$$REMOVE", "$$NOW"]},
                        }
                    }
                ],
            )
            for lease in leases
        ]
        if operations:
            self._lanes.bulk_write(operations, ordered=False)

    def seize(self, lanes: Sequence[str], owner: str, lease_seconds: float) -> list[Lease]:
        """Lease these lanes, whoever holds them now, and whether they exist or not: their holders have lost them."""
        token = new_ulid()
        (update,) = _claim_update(owner, token, lease_seconds)
        missing = {name: {"$ifNull": [f"${name}", 0]} for name in ("wakes", "fence")}
        self._lanes.bulk_write(
            [UpdateOne({"_id": lane}, [{"$set": missing}, update], upsert=True) for lane in lanes]
        )
        seized = self._lanes.find({"_id": {"$in": list(lanes)}, "claim": token})
        return [
            Lease(lane["_id"], lane["fence"], token, lane["wakes"], was_interrupted=True, interruptions=0)
            for lane in seized
        ]

    def remove(self, leases: Sequence[Lease]) -> None:
        """Remove lanes that nobody will need, but for those that were woken since: there is work for them."""
        operations = [
            DeleteOne({"_id": lease.lane, "claim": lease.claim, "fence": lease.fence, "wakes": lease.wakes})
            for lease in leases
        ]
        if operations:
            self._lanes.bulk_write(operations, ordered=False)

    def park(self, parked: Sequence[tuple[Lease, float, ParkedFor]]) -> None:
        """Hand lanes back, not to be claimed for so many seconds, each with the reason.

        One that waits for news and was woken since its claim is due again at once: it may have come. Nothing
        cuts a back-off short, also not an impatient customer.
        """
        operations = [
            UpdateOne(
                {"_id": lease.lane, "claim": lease.claim, "fence": lease.fence},
                [
                    {
                        "$set": {
                            "owner": None,
                            "claim": None,
                            "interruptions": 0,
                            "dueAt": {"$cond": [{"$eq": ["$wakes", lease.wakes]}, after(seconds), "$$NOW"]}
                            if reason in _WAITS_FOR_NEWS
                            else after(seconds),
                            "parkedFor": reason.value,
                        }
                    }
                ],
            )
            for lease, seconds, reason in parked
        ]
        if operations:
            self._lanes.bulk_write(operations, ordered=False)

    def forgive(self, lease: Lease) -> None:
        """Count interruptions from 0 again: what they were laid to is out of the lane."""
        self._lanes.update_one(still_held([lease]), {"$set": {"interruptions": 0}})

    def asleep(self, lanes: Sequence[str]) -> list[str]:
        """Which of these lanes wait for nothing: no time at which anybody would claim them."""
        awake = self._lanes.find({"_id": {"$in": list(lanes)}, "dueAt": {"$exists": True}}, {"_id": 1})
        seen = {document["_id"] for document in awake}
        return [lane for lane in lanes if lane not in seen]

    def oldest_due_at(self) -> datetime | None:
        """Since when the lane that has waited longest could have been claimed; None where nothing waits."""
        document = self._lanes.find_one(_DUE, {"dueAt": 1}, sort=[("dueAt", 1)])
        return document["dueAt"] if document else None


def _claim_update(owner: str, token: str, lease_seconds: float) -> list[Document]:
    return [
        {
            "$set": {
                "owner": owner,
                "claim": token,
                "fence": {"$add": ["$fence", 1]},
                "dueAt": after(lease_seconds),
                "claimedAt": "$$NOW",
                "interrupted": {
                    "$or": [
                        {"$ne": [{"$ifNull": ["$owner", None]}, None]},
                        {"$ne": [{"$ifNull": ["$parkedFor", None]}, None]},
                    ]
                },
                # Only a holder that vanished counts: parking is an orderly thing.
                "interruptions": {
                    "$cond": [
                        {"$ne": [{"$ifNull": ["$owner", None]}, None]},
                        {"$add": [{"$ifNull": ["$interruptions", 0]}, 1]},
                        {"$ifNull": ["$interruptions", 0]},
                    ]
                },
                "parkedFor": "$$REMOVE",
            }
        }
    ]


def still_held(leases: Sequence[Lease]) -> Document:
    """The filter that matches exactly these leases while they are ours.

    A claim token is written together with a new fence and never again, so lane and token prove the fence; that
    keeps the filter to one clause a claim, not one a lane.
    """
    by_claim: dict[str, list[str]] = {}
    for lease in leases:
        by_claim.setdefault(lease.claim, []).append(lease.lane)
    return {"$or": [{"_id": {"$in": lanes}, "claim": claim} for claim, lanes in by_claim.items()]}
