"""What the tests of the store start from: a store with its indexes, jobs, and processes of their own."""

from __future__ import annotations

import contextlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from common.model.jobs import JobKind, NewJob
from common.store.database import connect
from common.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pymongo.database import Database


def new_job(job_id: str, lane: str | None = "wa:1", *, reason: str | None = None) -> NewJob:
    return NewJob(job_id, JobKind.MESSAGE, lane, '{"n":1}', f"request-{job_id}", "bot-1", "999", reason)


@contextlib.contextmanager
def store_at(uri: str, database: str) -> Iterator[Store]:
    """A store with a connection of its own, as a worker process opens it."""
    store = Store(connect(uri, database, "worker"))
    try:
        yield store
    finally:
        store.close()


def in_processes(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What the function returns in as many real processes, at the same time. It must stand at module level."""
    with ProcessPoolExecutor(len(arguments), mp_context=get_context("spawn")) as pool:
        return [future.result(60) for future in [pool.submit(function, *each) for each in arguments]]


def everything(database: Database[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """All documents of all collections, to compare before and after."""
    return {
        name: list(database[name].find().sort("_id", 1)) for name in sorted(database.list_collection_names())
    }
