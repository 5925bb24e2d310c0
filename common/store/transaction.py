"""One transaction: majority, journalled, from one snapshot, repeated as MongoDB prescribes, and never for long."""

from __future__ import annotations

from collections.abc import Callable

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.store.database import MAJORITY, SNAPSHOT, Document, time_limit

# A commit that takes longer than this is given up; well below any lease.
_MAX_COMMIT_MS = 5_000


def in_transaction(
    database: Database[Document], write: Callable[[ClientSession], None], *, most_seconds: float
) -> None:
    """Run `write`, perhaps more than once, and commit. Raises what it raises, or PyMongoError.

    The driver alone would go on trying for two minutes: longer than any lease.
    """
    with time_limit(most_seconds), database.client.start_session() as session:
        session.with_transaction(
            write, read_concern=SNAPSHOT, write_concern=MAJORITY, max_commit_time_ms=_MAX_COMMIT_MS
        )
