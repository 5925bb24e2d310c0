"""What is left in a database of a bot, a contact or a conversation: every document of every collection is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymongo.database import Database

# Who did what stays, and what was answered to a request with a key, for a day. Neither holds anything of a customer.
_MEANT_TO_STAY = {"audit_logs", "idempotency_keys", "rate_limits", "rate_limit_windows", "system.profile"}


def remains(database: Database[dict[str, Any]], traces: Collection[str]) -> dict[str, list[str]]:
    """The documents, by collection, that hold any of these texts anywhere: as an id, inside one, or as a value."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(database.list_collection_names()) - _MEANT_TO_STAY):
        for document in database[name].find():
            text = repr(document)
            if any(trace in text for trace in traces):
                found.setdefault(name, []).append(str(document["_id"]))
    return found


def orphans(database: Database[dict[str, Any]]) -> dict[str, int]:
    """Parts of conversations that are not there (any more)."""
    sessions = {session["_id"] for session in database["sessions"].find({}, {"_id": 1})}
    found = {
        name: sum(
            one["sessionId"] is not None and one["sessionId"] not in sessions for one in database[name].find()
        )
        for name in ("session_variables", "execution_logs", "messages")
    }
    return {name: count for name, count in found.items() if count}
