"""Every stored secret, whatever record it is in, for the rotation of keys."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.model.encrypted_fields import EncryptedField
from common.store.database import Document
from common.store.transaction import in_transaction

_MOST_SECONDS = 10.0


class EncryptedRecords:
    """Reads and replaces ciphertexts; never decrypts."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database

    def each(self, field: EncryptedField) -> Iterator[tuple[str, object]]:
        """(record id, ciphertext) of every record that has this field."""
        found = self._db[field.collection].find({field.name: {"$exists": True, "$ne": None}}, {field.name: 1})
        for document in found.sort("_id", 1):
            yield document["_id"], document[field.name]

    def find(self, field: EncryptedField, record_id: str) -> object | None:
        """The ciphertext that the record has now; None where record or field are gone."""
        document = self._db[field.collection].find_one({"_id": record_id}, {field.name: 1})
        return document.get(field.name) if document else None

    def replace(self, field: EncryptedField, record_id: str, old: str, new: str) -> bool:
        """Put `new` where `old` still stands, and have workers read it again; False where it does not stand there.

        So a secret that somebody saves meanwhile is never overwritten with the one before.
        """
        replaced: list[bool] = []

        def write(tx: ClientSession) -> None:
            document = self._db[field.collection].find_one_and_update(
                {"_id": record_id, field.name: old}, {"$set": {field.name: new}}, {field.owner: 1}, session=tx
            )
            replaced[:] = [document is not None]
            if document is not None:
                owner = document[field.owner]
                bots = {"_id": owner} if field.owner == "botId" else {field.owner: owner}
                self._db["bots"].update_many(bots, {"$inc": {"configRevision": 1}}, session=tx)

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return replaced[0]
