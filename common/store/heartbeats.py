"""Signs of life: who is running, since when, and when they were last seen."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from common.store.database import Document


class Heartbeats:
    """The `heartbeats` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._heartbeats = database["heartbeats"]

    def beat(self, owner: str, kind: str, details: dict[str, Any]) -> None:
        """Say that this process is alive."""
        self._heartbeats.update_one(
            {"_id": owner}, {"$set": {"kind": kind, **details}, "$currentDate": {"at": True}}, upsert=True
        )

    def stop(self, owner: str) -> None:
        """Say goodbye."""
        self._heartbeats.delete_one({"_id": owner})

    def seconds_since(self) -> dict[str, float]:
        """For each kind of process, the seconds since any of them was last seen."""
        pipeline: list[Document] = [
            {
                "$group": {
                    "_id": "$kind",
                    "age": {
                        "$min": {"$dateDiff": {"startDate": "$at", "endDate": "$$NOW", "unit": "millisecond"}}
                    },
                }
            }
        ]
        return {document["_id"]: document["age"] / 1000 for document in self._heartbeats.aggregate(pipeline)}
