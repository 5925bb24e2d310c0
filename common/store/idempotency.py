"""What was answered to requests that carry an Idempotency-Key, so that a repeated one changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from common.clock import utc_now
from common.store.database import Document

# A request that has run for longer was cut off: its process died. It may then be repeated.
_RUNNING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a key. With `answer`, the request was answered before, with this JSON and `status`."""

    new_id: str
    is_running: bool = False
    is_other: bool = False
    answer: str | None = None
    status: int = 0


class Idempotency:
    """The `idempotency_keys` collection; entries last a day."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["idempotency_keys"]

    def begin(self, record_id: str, fingerprint: str, new_id: str) -> Begun:
        """Take the key for this request, or say what became of the one that has it."""
        now = utc_now()
        record = {"_id": record_id, "fingerprint": fingerprint, "newId": new_id, "startedAt": now, "at": now}
        try:
            self._keys.insert_one(record)
        except DuplicateKeyError:
            return self._known(record_id, fingerprint, new_id)
        return Begun(new_id)

    def _known(self, record_id: str, fingerprint: str, new_id: str) -> Begun:
        record = self._keys.find_one({"_id": record_id})
        if record is None:  # it has just been forgotten
            return Begun(new_id, is_running=True)
        if record["fingerprint"] != fingerprint:
            return Begun(new_id, is_other=True)
        if "answer" in record:
            return Begun(record["newId"], answer=record["answer"], status=record["status"])
        now = utc_now()
        taken = self._keys.update_one(
            {"_id": record_id, "startedAt": {"$lte": now - _RUNNING}}, {"$set": {"startedAt": now}}
        )
        return Begun(record["newId"], is_running=taken.matched_count == 0)

    def finish(self, record_id: str, status: int, answer: str) -> None:
        """It was answered with this."""
        self._keys.update_one({"_id": record_id}, {"$set": {"status": status, "answer": answer}})

    def forget(self, record_id: str) -> None:
        """It was refused: the key is free again."""
        self._keys.delete_one({"_id": record_id})

    def let_repeat(self, record_id: str) -> None:
        """It broke off; whoever repeats it goes on, with the same new id."""
        self._keys.update_one({"_id": record_id}, {"$set": {"startedAt": utc_now() - _RUNNING}})
