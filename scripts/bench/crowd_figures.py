"""The figures of a large installation: hours of the last week and days of the last three months, as folding leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from pymongo import WriteConcern

from common.clock import utc_now
from common.model.periods import DAY, HOUR, floor_to
from common.store.counter_folds import (
    PLATFORM,
    Scope,
    bot_scope,
    document_id,
    flow_scope,
    user_scope,
    version_scope,
)
from common.store.database import Document
from common.store.store import Store

_HOURS: Final = 8 * 24
_DAYS: Final = 90
_DAYS_OF_OTHERS: Final = 30  # of flows that nobody looks at in the measurement
_CHUNK: Final = 1_000
_TOTALS: Final = (
    "sessions", "starts", "completed", "failed", "turns", "visits", "errors", "durations", "durationMs", "messagesIn",
    "queued", "accepted", "sent", "delivered", "read", "apiCalls", "apiFailures",
)  # fmt: skip
_NODES: Final = ("start", "end", *(f"n{place}" for place in range(30)))


def fill_figures(
    store: Store, owners: dict[str, str], flows: dict[str, list[tuple[str, str]]], looked_at: str
) -> None:
    """Store them. `owners`: bot → user; `flows`: bot → its (flow, version); `looked_at`: the bot with all its past."""
    now = utc_now()
    _write(store, "counter_hours", _documents(owners, flows, looked_at, floor_to(now, HOUR), HOUR))
    _write(store, "counter_days", _documents(owners, flows, looked_at, floor_to(now, DAY), DAY))


def _documents(
    owners: dict[str, str],
    flows: dict[str, list[tuple[str, str]]],
    looked_at: str,
    now: datetime,
    length: timedelta,
) -> Iterator[Document]:
    often = _HOURS if length == HOUR else _DAYS
    yield from _past(PLATFORM, now, length, often)
    for user_id in set(owners.values()):
        theirs = [flow for bot, user in owners.items() if user == user_id for flow, _ in flows[bot]]
        by_flow = {flow: {"s": 3, "c": 2} for flow in theirs}
        yield from _past(user_scope(user_id), now, length, often, flows=by_flow)
    for bot_id in owners:
        yield from _past(bot_scope(bot_id), now, length, often)
        seldom = often if bot_id == looked_at else (0 if length == HOUR else _DAYS_OF_OTHERS)
        for flow_id, version_id in flows[bot_id]:
            yield from _past(flow_scope(bot_id, flow_id), now, length, seldom)
            nodes = {node: {"v": 3, "x": {"output": 2}, "f": 1} for node in _NODES}
            yield from _past(version_scope(bot_id, version_id), now, length, seldom, nodes=nodes)


def _past(scope: Scope, now: datetime, length: timedelta, often: int, **more: Document) -> Iterator[Document]:
    totals = dict.fromkeys(_TOTALS, 3)
    for place in range(often):
        at = now - place * length
        key = {"_id": document_id(scope, at), "owner": scope.owner, "scope": scope.name, "at": at}
        yield {**key, "n": totals, "h": {"3": 2}, "e": {"api%2Etimeout": 1}, **more}


def _write(store: Store, collection: str, documents: Iterator[Document]) -> None:
    target = store.database[collection].with_options(write_concern=WriteConcern(w=1, j=False))
    chunk: list[Document] = []
    for document in documents:
        chunk.append(document)
        if len(chunk) == _CHUNK:
            target.insert_many(chunk, ordered=False)
            chunk = []
    if chunk:
        target.insert_many(chunk, ordered=False)
