"""Hearing at once that a lane has work: a change stream, behind which a slow poll stays as the net."""

from __future__ import annotations

import time
from typing import Any

from pymongo.change_stream import CollectionChangeStream
from pymongo.database import Database
from pymongo.errors import PyMongoError

from common.store.database import Document

# A stream that was not listened to for so long has a backlog of old news: a new one is cheaper than reading it.
_STALE_SECONDS = 0.5

_WAKE_UPS: list[Document] = [
    {
        "$match": {
            "$or": [
                {"operationType": "insert"},
                {"updateDescription.updatedFields.wakes": {"$exists": True}},
                # Handed back with work left: the wake-up itself came while nobody could claim it.
                {
                    "updateDescription.updatedFields.owner": {"$type": "null"},
                    "updateDescription.updatedFields.dueAt": {"$exists": True},
                },
            ]
        }
    },
    {"$project": {"_id": 1, "operationType": 1}},
]


class Wakeups:
    """One listener. Not thread-safe; a lost wake-up costs at most `most_seconds` of a wait."""

    def __init__(self, database: Database[Document], most_seconds: float) -> None:
        self._lanes = database["lanes"]
        self._most_seconds = most_seconds
        self._stream: CollectionChangeStream[Any] | None = None
        self._heard_at = 0.0

    def wait(self) -> None:
        """Return when a lane was woken, or after `most_seconds`. Raises DatabaseError."""
        try:
            if self._stream is None or time.monotonic() - self._heard_at > _STALE_SECONDS:
                # Whoever waits must look once more after the stream is open, or what came between is missed.
                self._open()
                return
            self._stream.try_next()
            self._heard_at = time.monotonic()
        except PyMongoError:
            self.close()
            raise

    def _open(self) -> None:
        self.close()
        self._stream = self._lanes.watch(_WAKE_UPS, max_await_time_ms=int(self._most_seconds * 1000))
        self._heard_at = time.monotonic()

    def close(self) -> None:
        """Stop listening."""
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except PyMongoError:
                return
