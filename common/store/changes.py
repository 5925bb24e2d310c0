"""Hearing of conversations that changed: one change stream, for whichever of them somebody watches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pymongo.change_stream import DatabaseChangeStream
from pymongo.database import Database
from pymongo.errors import PyMongoError

from common.store.database import Document


@dataclass(frozen=True, slots=True)
class Watched:
    """A document whose change is news: a contact of a test, or a session."""

    collection: str
    document_id: str


class Changes:
    """One listener. Not thread-safe."""

    def __init__(self, database: Database[Document], most_seconds: float) -> None:
        self._database = database
        self._most_seconds = most_seconds
        self._stream: DatabaseChangeStream[Any] | None = None

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    def open(self, watched: Collection[Watched]) -> None:
        """Listen for these, in place of others. What changed before must be looked at. Raises DatabaseError."""
        by_collection: dict[str, list[str]] = {}
        for one in watched:
            by_collection.setdefault(one.collection, []).append(one.document_id)
        news: list[Document] = [
            {
                "$match": {
                    "$or": [
                        {"ns.coll": collection, "documentKey._id": {"$in": ids}}
                        for collection, ids in by_collection.items()
                    ]
                }
            },
            {"$project": {"ns": 1, "documentKey": 1}},
        ]
        self.close()
        self._stream = self._database.watch(news, max_await_time_ms=int(self._most_seconds * 1000))

    def next(self) -> Watched | None:
        """What changed, or None after a while. Raises DatabaseError; then it is closed."""
        if self._stream is None:
            return None
        try:
            change = self._stream.try_next()
        except PyMongoError:
            self.close()
            raise
        if change is None:
            if not self._stream.alive:
                self.close()
            return None
        return Watched(change["ns"]["coll"], change["documentKey"]["_id"])

    def close(self) -> None:
        """Stop listening."""
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except PyMongoError:
                return
