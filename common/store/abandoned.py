"""Ending transactions whose process is gone or frozen.

MongoDB keeps such a transaction, with a lock on every document that it wrote, for 60 to 90 seconds
(`transactionLifetimeLimitSeconds`), and whoever wants to write one of them waits. A lane locked like that would
hold up every claim that includes it, and every webhook that wakes it.
"""

from __future__ import annotations

import structlog
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from common.store.database import APP_NAME_PREFIX, Document

log = structlog.get_logger()

# Ours never wait between two statements. An owner that was only slow is told so and begins again: no harm done.
_IDLE_SECONDS = 2.0


def end_abandoned_transactions(database: Database[Document]) -> int:
    """End our own transactions that have stood still; returns how many. Raises PyMongoError."""
    pipeline: list[Document] = [
        {"$currentOp": {"allUsers": False, "idleSessions": True}},
        {
            "$match": {
                "type": "idleSession",
                "appName": {"$regex": f"^{APP_NAME_PREFIX}"},
                "transaction.timeInactiveMicros": {"$gte": int(_IDLE_SECONDS * 1e6)},
            }
        },
        {"$project": {"lsid": 1}},
    ]
    admin = database.client.get_database("admin", read_concern=ReadConcern("local"))
    try:
        found = [{"id": operation["lsid"]["id"]} for operation in admin.aggregate(pipeline)]
        if found:
            admin.command("killSessions", found)
    except OperationFailure as error:
        if error.timeout:
            raise
        # Not allowed here: then they end by themselves, later.
        log.warning("transactions.cannot_be_ended", code=error.code)
        return 0
    if found:
        log.warning("transactions.ended", count=len(found))
    return len(found)
