"""Storing accepted work: jobs first, then the wake-up of their lanes, shared by requests that arrive together."""

from __future__ import annotations

from api.metrics import count_jobs
from common.clock import utc_now
from common.crashpoint import crashpoint
from common.group_commit import GroupCommit
from common.model.jobs import NewJob
from common.store.database import TIMEOUT_SECONDS, time_limit
from common.store.store import DatabaseError, Store

# Jobs of all requests in one write; a thousand-message webhook is one request and stays whole.
_MOST_REQUESTS = 64


class Intake:
    """Takes jobs in. Thread-safe; concurrent callers share round trips (group commit)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._commit = GroupCommit(self._write, lambda e: isinstance(e, DatabaseError), most=_MOST_REQUESTS)

    def accept(self, jobs: list[NewJob]) -> None:
        """Return when a majority has these jobs on disk and their lanes are awake.

        Raises DatabaseError within the web's time limit. Then any of the jobs may or may not be stored, and the
        sender must send again: their ids make that harmless.
        """
        if jobs:
            self._commit.submit(jobs)

    def _write(self, groups: list[list[NewJob]]) -> None:
        jobs = [job for group in groups for job in group]
        with time_limit(TIMEOUT_SECONDS["web"]):
            count_jobs(len(jobs), self._store.jobs.insert(jobs, utc_now()))
            crashpoint("W3")
            # Duplicates wake too: the first one's wake-up may have died with its process.
            self._store.lanes.wake(job.lane for job in jobs if job.lane is not None)
        crashpoint("W2")
