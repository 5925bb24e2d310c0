"""The answer to a save that started from what is no longer there: 409, with who saved meanwhile and when."""

from __future__ import annotations

from datetime import datetime

from api.rest.call import Call, conflict
from api.rest.schemas import Moment
from common.errors import AppError, ErrorCode


def stale_save(call: Call, revision: int, saved_by: str | None, saved_at: datetime | None) -> AppError:
    """409 `revision_conflict`. `saved_by` is a user's id; the answer shows their address."""
    return conflict(
        ErrorCode.REVISION_CONFLICT,
        "This was saved somewhere else meanwhile, perhaps in another window. Load it again before you save.",
        {
            "revision": revision,
            "savedBy": call.store.flows.emails([saved_by]).get(saved_by or ""),
            "savedAt": Moment().serialize("at", {"at": saved_at}),
        },
    )
