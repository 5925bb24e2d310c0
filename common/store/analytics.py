"""Reading figures: sums and series over a period, from days, hours at its edges, and what is not folded yet.

All parts are read from one snapshot, so that an amount that is being folded is seen exactly once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

from common.model.counters import Amounts, add, flatten
from common.model.periods import Bucket, Period, floor_to
from common.store.counter_folds import (
    PLATFORM,
    Scope,
    bot_scope,
    flow_scope,
    shares,
    user_scope,
    version_scope,
)
from common.store.database import Document

T = TypeVar("T")
# A collection or index that was just made cannot be read from a snapshot for a moment.
_SNAPSHOT_UNAVAILABLE: Final = 246
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 0.05
_TOTALS_ONLY: Final = {"nodes": 0, "flows": 0}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose figures are asked for, and the bots (None: all) of which something may not be folded yet."""

    scope: Scope
    bot_ids: tuple[str, ...] | None
    user_id: str = ""


def of_bot(bot_id: str) -> Subject:
    return Subject(bot_scope(bot_id), (bot_id,))


def of_flow(bot_id: str, flow_id: str) -> Subject:
    return Subject(flow_scope(bot_id, flow_id), (bot_id,))


def of_version(bot_id: str, version_id: str) -> Subject:
    return Subject(version_scope(bot_id, version_id), (bot_id,))


def of_user(user_id: str, bot_ids: Sequence[str]) -> Subject:
    return Subject(user_scope(user_id), tuple(bot_ids), user_id)


OF_PLATFORM: Final = Subject(PLATFORM, None)


@dataclass(slots=True)
class Standing:
    """Runs that stand at a node now, and those among them in which nothing has happened for long."""

    waiting: int = 0
    silent: int = 0
    silent_in_period: int = field(default=0)


class Analytics:
    """Figures, to be read."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._sessions = database["sessions"]

    def totals(self, subject: Subject, period: Period, *, in_detail: bool = False) -> Amounts:
        """The sum over a period; with `in_detail` by node or by flow, too, where these are kept."""
        total: Amounts = {}
        for _, amounts in self._read(subject, period, Bucket.DAY, in_detail=in_detail):
            add(total, amounts)
        return total

    def series(self, subject: Subject, period: Period, bucket: Bucket) -> dict[datetime, Amounts]:
        """The sums of every hour or day of a period, in order; empty where nothing happened."""
        series: dict[datetime, Amounts] = {at: {} for at in period.buckets(bucket)}
        for at, amounts in self._read(subject, period, bucket, in_detail=False):
            add(series[floor_to(at, bucket.length)], amounts)
        return series

    def _read(
        self, subject: Subject, period: Period, bucket: Bucket, *, in_detail: bool
    ) -> list[tuple[datetime, Amounts]]:
        def read(session: ClientSession) -> list[tuple[datetime, Amounts]]:
            folded = self._folded(subject.scope, period, bucket, session, in_detail=in_detail)
            return [(document["at"], flatten(document)) for document in folded] + self._pending(
                subject, period, session, in_detail=in_detail
            )

        return self._in_snapshot(read)

    def _folded(
        self, scope: Scope, period: Period, bucket: Bucket, session: ClientSession, *, in_detail: bool
    ) -> list[Document]:
        query = {"owner": scope.owner, "scope": scope.name}
        fields = {} if in_detail else _TOTALS_ONLY
        days = period.whole_days if bucket is Bucket.DAY else None
        hours = [(period.since, period.until)]
        found: list[Document] = []
        if days is not None:
            found += self._database["counter_days"].find(
                {**query, "at": {"$gte": days[0], "$lt": days[1]}}, fields, session=session
            )
            hours = [(period.since, days[0]), (days[1], period.until)]
        edges = [{"at": {"$gte": since, "$lt": until}} for since, until in hours if since < until]
        if edges:
            found += self._database["counter_hours"].find({**query, "$or": edges}, fields, session=session)
        return found

    def _pending(
        self, subject: Subject, period: Period, session: ClientSession, *, in_detail: bool
    ) -> list[tuple[datetime, Amounts]]:
        query: Document = {"at": {"$gte": period.since, "$lt": period.until}}
        if subject.bot_ids is not None:
            query["botId"] = {"$in": list(subject.bot_ids)}
        needs_nodes = in_detail and subject.scope.name.startswith("v:")
        found = self._database["counters"].find(query, {} if needs_nodes else {"nodes": 0}, session=session)
        return [
            (span["at"], _totals(amounts) if not in_detail else amounts)
            for span in found
            for scope, amounts in shares(span, subject.user_id)
            if scope == subject.scope
        ]

    def _in_snapshot(self, read: Callable[[ClientSession], T]) -> T:
        for tries_left in reversed(range(_TRIES)):
            try:
                with self._database.client.start_session(snapshot=True) as session:
                    return read(session)
            except OperationFailure as error:
                if error.code != _SNAPSHOT_UNAVAILABLE or not tries_left:
                    raise
            time.sleep(_PAUSE_SECONDS)
        raise AssertionError("unreachable")

    def active(self, bot_ids: Sequence[str] | None = None) -> int:
        """Runs under way, of these bots or of all."""
        whose = {"$gt": ""} if bot_ids is None else {"$in": list(bot_ids)}
        return self._sessions.count_documents({"runsFor": whose})

    def active_in(self, bot_id: str, version_ids: Sequence[str]) -> dict[str, int]:
        """Runs under way in each of these versions of a bot, counted in one look at an index."""
        pipeline: list[Mapping[str, object]] = [
            {"$match": {"runsFor": bot_id, "flowVersionId": {"$in": list(version_ids)}}},
            {"$group": {"_id": "$flowVersionId", "count": {"$sum": 1}}},
        ]
        return dict.fromkeys(version_ids, 0) | {
            group["_id"]: group["count"] for group in self._sessions.aggregate(pipeline)
        }

    def standing(
        self, bot_id: str, version_id: str, period: Period, silent_since: datetime
    ) -> dict[str, Standing]:
        """By node, the runs of a version that stand there now. Reads an index and nothing else."""
        is_silent = {"$lt": ["$updatedAt", silent_since]}
        in_period = [{"$gte": ["$updatedAt", period.since]}, {"$lt": ["$updatedAt", period.until]}]
        pipeline: list[Mapping[str, object]] = [
            {"$match": {"runsFor": bot_id, "flowVersionId": version_id}},
            {
                "$group": {
                    "_id": "$currentNodeId",
                    "waiting": {"$sum": 1},
                    "silent": {"$sum": {"$cond": [is_silent, 1, 0]}},
                    "inPeriod": {"$sum": {"$cond": [{"$and": [is_silent, *in_period]}, 1, 0]}},
                }
            },
        ]
        return {
            group["_id"]: Standing(group["waiting"], group["silent"], group["inPeriod"])
            for group in self._sessions.aggregate(pipeline)
        }


def _totals(amounts: Amounts) -> Amounts:
    return {path: amount for path, amount in amounts.items() if not path.startswith(("nodes.", "flows."))}
