"""Counters, on the way: each thread adds to documents of its own, inside the transaction of what it counts.

`counters` holds what came in the last minutes: one document a version, a span of five minutes and a thread, so
that no two transactions ever meet on one. The timer process folds finished spans into hours and days, for every
version, flow, bot, owner and the whole platform, and deletes them, in one transaction: an amount is always in
exactly one place. A transaction that ends after its span was folded only makes a new document for the next fold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.ids import new_ulid
from common.model.counters import Counted, CountKey, merge
from common.store.database import Document

SPAN: Final = timedelta(minutes=5)


class _OfThread(threading.local):
    """Which documents this thread writes, and whether its last attempt came to an end."""

    name = ""
    is_open = False


class Counters:
    """The `counters` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._counters = database["counters"]
        self._mine = _OfThread()

    def write(self, counted: Iterable[Counted], now: datetime, tx: ClientSession) -> None:
        """Add amounts within a transaction, in one write. Call `settle` when it is committed.

        A transaction whose end is unknown may hold its documents for a while. After one that did not settle, also
        where the driver tries again, this thread therefore takes new ones.
        """
        merged = merge(list(counted))
        if not merged:
            return
        mine = self._mine
        if mine.is_open or not mine.name:
            mine.name = new_ulid()
        mine.is_open = True
        span = span_of(now)
        self._counters.bulk_write(
            [_increment(key, amounts, span, mine.name) for key, amounts in merged.items()],
            ordered=False,
            session=tx,
        )

    def settle(self) -> None:
        """The transaction of this thread's last `write` is committed."""
        self._mine.is_open = False

    def pending(self) -> list[Document]:
        """What is not folded yet."""
        return list(self._counters.find())


def span_of(now: datetime) -> datetime:
    """The beginning of the span that a moment belongs to."""
    now = now.astimezone(UTC)
    return now.replace(minute=now.minute - now.minute % (SPAN.seconds // 60), second=0, microsecond=0)


def _increment(key: CountKey, amounts: dict[str, int], span: datetime, writer: str) -> UpdateOne:
    fields: dict[str, Any] = {
        "botId": key.bot_id,
        "flowId": key.flow_id,
        "versionId": key.version_id,
        "at": span,
    }
    document_id = f"{key.version_id or key.bot_id}:{span:%Y%m%d%H%M}:{writer}"
    return UpdateOne({"_id": document_id}, {"$inc": amounts, "$setOnInsert": fields}, upsert=True)
