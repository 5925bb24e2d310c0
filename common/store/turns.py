"""Committing turns: several lanes' turns in one transaction, each behind its fence, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.crashpoint import crashpoint
from common.model.contacts import Contact
from common.model.counters import Counted
from common.model.values import Value, type_of
from common.store.abandoned import end_abandoned_transactions
from common.store.contacts import upsert_contact
from common.store.counters import Counters
from common.store.database import Document
from common.store.jobs import Jobs
from common.store.lanes import Lanes, Lease
from common.store.transaction import in_transaction

# The whole transaction with its repetitions.
_MOST_SECONDS = 10.0


class LeaseLost(Exception):  # noqa: N818 - what happened, in the field's words
    """Somebody else has one of these lanes by now: what was computed for it must be forgotten."""


class Conflict(Exception):  # noqa: N818 - as above
    """A session or a job is not in the state that the turn started from."""


@dataclass(slots=True)
class TurnWrites:
    """All that one turn writes. `job_id` is None where the turn was caused by a call's answer."""

    lease: Lease
    job_id: str | None
    session: Document | None = None
    rev_before: int = 0
    variables_set: dict[str, Value] = field(default_factory=dict)
    variables_deleted: tuple[str, ...] = ()
    clears_variables: bool = False
    messages: list[Document] = field(default_factory=list)
    steps: list[Document] = field(default_factory=list)
    contact: Contact | None = None
    outcome: str | None = None
    outcome_reason: str | None = None
    counted: list[Counted] = field(default_factory=list)


class Turns:
    """The one place where a turn becomes durable."""

    def __init__(self, database: Database[Document], lanes: Lanes, jobs: Jobs, counters: Counters) -> None:
        self._database = database
        self._lanes = lanes
        self._jobs = jobs
        self._counters = counters

    def commit(self, turns: Sequence[TurnWrites], lease_seconds: float, now: datetime) -> None:
        """Write all of these turns, or none.

        Raises LeaseLost or Conflict where one of them may no longer be written (find out which by committing
        them one by one), PyMongoError where the outcome may be unknown.
        """
        if not turns:
            return

        def write(tx: ClientSession) -> None:
            self._write(turns, lease_seconds, now, tx)
            crashpoint("K3")

        in_transaction(self._database, write, most_seconds=min(lease_seconds / 2, _MOST_SECONDS))
        self._counters.settle()
        crashpoint("K4")

    def end_abandoned(self) -> int:
        """End the commits of processes that died or froze in the middle; returns how many."""
        return end_abandoned_transactions(self._database)

    def _write(
        self, turns: Sequence[TurnWrites], lease_seconds: float, now: datetime, tx: ClientSession
    ) -> None:
        leases = [turn.lease for turn in turns]
        if self._lanes.hold(leases, lease_seconds, tx) != len(leases):
            raise LeaseLost
        by_outcome: dict[tuple[str | None, str | None], list[str]] = {}
        for turn in turns:
            if turn.job_id is not None:
                by_outcome.setdefault((turn.outcome, turn.outcome_reason), []).append(turn.job_id)
        for (outcome, reason), job_ids in by_outcome.items():
            if self._jobs.finish(job_ids, tx, outcome=outcome, reason=reason) != len(job_ids):
                raise Conflict("a job was finished by somebody else")
        self._write_sessions(turns, tx)
        self._bulk("session_variables", [w for turn in turns for w in _variable_writes(turn, now)], tx)
        self._insert("messages", [message for turn in turns for message in turn.messages], tx)
        self._insert("execution_logs", [step for turn in turns for step in turn.steps], tx)
        self._bulk("contacts", [upsert_contact(turn.contact) for turn in turns if turn.contact], tx)
        self._counters.write((counted for turn in turns for counted in turn.counted), now, tx)

    def _write_sessions(self, turns: Sequence[TurnWrites], tx: ClientSession) -> None:
        writes: list[Any] = []
        replaced = 0
        for turn in turns:
            if turn.session is None:
                continue
            if turn.rev_before == 0:
                writes.append(InsertOne(turn.session))
            else:
                replaced += 1
                writes.append(ReplaceOne({"_id": turn.session["_id"], "rev": turn.rev_before}, turn.session))
        if writes:
            result = self._database["sessions"].bulk_write(writes, ordered=False, session=tx)
            if result.matched_count != replaced:
                raise Conflict("a session has moved on")

    def _bulk(self, collection: str, writes: list[Any], tx: ClientSession) -> None:
        if writes:
            self._database[collection].bulk_write(writes, ordered=False, session=tx)

    def _insert(self, collection: str, documents: list[Document], tx: ClientSession) -> None:
        if documents:
            self._database[collection].insert_many(documents, session=tx)


def _variable_writes(turn: TurnWrites, now: datetime) -> list[Any]:
    if turn.session is None:
        return []
    session_id = turn.session["_id"]
    if turn.clears_variables:
        return [DeleteMany({"sessionId": session_id})] if turn.rev_before else []
    writes: list[Any] = [
        DeleteOne({"sessionId": session_id, "variableName": name}) for name in turn.variables_deleted
    ]
    writes.extend(
        UpdateOne(
            {"sessionId": session_id, "variableName": name},
            {
                "$set": {
                    "variableValue": value,
                    "variableType": type_of(value).value,
                    "updatedAt": now,
                },
                "$setOnInsert": {"createdAt": now},
            },
            upsert=True,
        )
        for name, value in turn.variables_set.items()
    )
    return writes
