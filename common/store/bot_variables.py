"""Bot variables as their owners keep them; workers follow each change within a second."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.ids import new_ulid
from common.model.values import Value, VariableType
from common.store.database import Document
from common.store.paging import Page, read_page
from common.store.transaction import in_transaction

MOST_VARIABLES: Final = 500
_MOST_SECONDS: Final = 2.5
# Those that were seeded lack some fields.
_SHOWN: Final[Document] = {
    "botId": 1,
    "variableName": 1,
    "variableValue": 1,
    "variableType": 1,
    "description": {"$ifNull": ["$description", ""]},
    "revision": {"$ifNull": ["$revision", 1]},
    "updatedBy": {"$ifNull": ["$updatedBy", None]},
    "createdAt": 1,
    "updatedAt": 1,
}


class StaleVariable(Exception):  # noqa: N818 - what the save is
    """The variable is not at the revision that the save started from (0: there is none)."""

    def __init__(self, revision: int, saved_by: str | None, saved_at: datetime | None) -> None:
        super().__init__(f"it is at revision {revision} now")
        self.revision = revision
        self.saved_by = saved_by
        self.saved_at = saved_at


class TooManyVariables(Exception):  # noqa: N818 - what there are
    """A bot has so many variables and no more."""


class BotGone(Exception):  # noqa: N818 - what happened
    """The bot was deleted meanwhile."""


class BotVariables:
    """The `bot_variables` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._bots = database["bots"]
        self._variables = database["bot_variables"]

    def page(self, bot_id: str, *, limit: int, cursor: str | None, prefix: str | None = None) -> Page:
        """A bot's variables by name, those whose name begins with `prefix`. Raises BadCursor."""
        query: Document = {"botId": bot_id}
        if prefix:
            query["variableName"] = {"$gte": prefix, "$lt": prefix + "\U0010ffff"}
        return read_page(
            self._variables, query, sort="variableName", is_descending=False, limit=limit, cursor=cursor,
            fields=_SHOWN,
        )  # fmt: skip

    def of_bot(self, bot_id: str) -> list[Document]:
        """All of a bot's variables, by name."""
        return list(self._variables.find({"botId": bot_id}, _SHOWN).sort("variableName", 1))

    def find(self, bot_id: str, name: str) -> Document | None:
        """One of them."""
        return self._variables.find_one({"botId": bot_id, "variableName": name}, _SHOWN)

    def put(
        self, bot_id: str, name: str, value: Value, kind: VariableType, *, by: str, new_id: str,
        description: str | None = None, revision: int | None = None,
    ) -> Document:  # fmt: skip
        """Set a variable, made if there is none. `revision`: only if it is at that one (0: only if there is none).

        Raises StaleVariable, TooManyVariables and BotGone.
        """
        saved: list[Document] = []

        def write(tx: ClientSession) -> None:
            known = self._variables.find_one({"botId": bot_id, "variableName": name}, session=tx)
            _check(known, revision)
            self._tell_workers(bot_id, tx)
            if known is None and self._count(bot_id, tx) >= MOST_VARIABLES:
                raise TooManyVariables
            variable = variable_document(known or {"_id": new_id}, bot_id, name, value, kind, by=by)
            if description is not None:
                variable["description"] = description
            # As a whole: a value may have keys that mean something in an update.
            if known is None:
                self._variables.insert_one(variable, session=tx)
            else:
                self._variables.replace_one({"_id": known["_id"]}, variable, session=tx)
            saved[:] = [variable]

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return saved[0]

    def delete(self, bot_id: str, name: str, *, revision: int | None = None) -> bool:
        """Take a variable away; False where there is none. Raises StaleVariable and BotGone."""
        deleted: list[bool] = []

        def write(tx: ClientSession) -> None:
            known = self._variables.find_one({"botId": bot_id, "variableName": name}, session=tx)
            deleted[:] = [known is not None]
            if known is not None:
                _check(known, revision)
                self._tell_workers(bot_id, tx)
                self._variables.delete_one({"_id": known["_id"]}, session=tx)

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return deleted[0]

    def _tell_workers(self, bot_id: str, tx: ClientSession) -> None:
        """Of two who change this bot's variables at the same time one begins again, and then sees the other's."""
        told = self._bots.update_one({"_id": bot_id}, {"$inc": {"configRevision": 1}}, session=tx)
        if told.matched_count != 1:
            raise BotGone(bot_id)

    def _count(self, bot_id: str, tx: ClientSession) -> int:
        return self._variables.count_documents({"botId": bot_id}, limit=MOST_VARIABLES, session=tx)


def variable_document(
    known: Document, bot_id: str, name: str, value: Value, kind: VariableType, *, by: str
) -> Document:
    """A variable as it is stored, after `known`, which may be no more than its id."""
    now = utc_now()
    return {
        "_id": known.get("_id") or new_ulid(),
        "botId": bot_id,
        "variableName": name,
        "variableValue": value,
        "variableType": kind.value,
        "description": known.get("description", ""),
        "revision": known.get("revision", 1 if "variableName" in known else 0) + 1,
        "updatedBy": by,
        "createdAt": known.get("createdAt", now),
        "updatedAt": now,
    }


def _check(known: Document | None, revision: int | None) -> None:
    if revision is None:
        return
    current = known.get("revision", 1) if known else 0
    if current != revision:
        raise StaleVariable(
            current, known.get("updatedBy") if known else None, known.get("updatedAt") if known else None
        )
