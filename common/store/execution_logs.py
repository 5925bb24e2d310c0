"""The log of what ran, as it stands in the database."""

from __future__ import annotations

import json
from typing import Any

from pymongo.database import Database

from common.store.database import Document


class ExecutionLogs:
    """The `execution_logs` collection. It is only ever appended to."""

    def __init__(self, database: Database[Document]) -> None:
        self._logs = database["execution_logs"]

    def steps(self, session_id: str) -> list[Document]:
        """Every step of a session, in order."""
        return list(
            self._logs.find({"sessionId": session_id}).sort([("executedAt", 1), ("turn", 1), ("place", 1)])
        )

    def causes(self, session_id: str) -> list[dict[str, Any]]:
        """What each turn of a session was told, in order, as `LoggedTurn.from_json` reads it."""
        return [json.loads(step["cause"]) for step in self.steps(session_id) if "cause" in step]
