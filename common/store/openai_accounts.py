"""A user's OpenAI account: one key, which all their bots use."""

from __future__ import annotations

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from common.clock import utc_now
from common.store.database import Document
from common.store.transaction import in_transaction
from common.store.whatsapp_accounts import AccountChanged

_MOST_SECONDS = 5.0


class OpenAIAccounts:
    """The `openai_accounts` collection: at most one a user. The key comes and goes encrypted."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._accounts = database["openai_accounts"]

    def find(self, user_id: str) -> Document | None:
        """The account of this user."""
        return self._accounts.find_one({"userId": user_id})

    def save(self, user_id: str, account_id: str, api_key: str, *, is_new: bool) -> Document:
        """Keep the user's key; workers see it within a second, for each of their bots.

        `api_key` is encrypted for the account of this id. Raises AccountChanged where the user has another one by
        now.
        """
        saved: list[Document] = []
        now = utc_now()

        def write(tx: ClientSession) -> None:
            saved.clear()
            fresh = {"apiKey": api_key, "lastCheckedAt": now, "updatedAt": now}
            if is_new:
                account: Document | None = {"_id": account_id, "userId": user_id, **fresh, "createdAt": now}
                self._accounts.insert_one(account, session=tx)  # type: ignore[arg-type]  # not None here
            else:
                account = self._accounts.find_one_and_update(
                    {"_id": account_id, "userId": user_id},
                    {"$set": fresh},
                    return_document=ReturnDocument.AFTER,
                    session=tx,
                )
            if account is None:
                raise AccountChanged
            saved.append(account)
            self._bots_changed(user_id, tx)

        try:
            in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        except DuplicateKeyError as error:
            raise AccountChanged from error
        return saved[0]

    def checked(self, user_id: str, account_id: str, api_key: str) -> Document | None:
        """Note that the stored key (this ciphertext) was found good just now; None where it is another one by now."""
        return self._accounts.find_one_and_update(
            {"_id": account_id, "userId": user_id, "apiKey": api_key},
            {"$currentDate": {"lastCheckedAt": True}},
            return_document=ReturnDocument.AFTER,
        )

    def delete(self, user_id: str) -> str | None:
        """Forget the user's key; the id of the account, None where there was none."""
        removed: list[str] = []

        def write(tx: ClientSession) -> None:
            removed.clear()
            account = self._accounts.find_one_and_delete({"userId": user_id}, session=tx)
            if account is not None:
                removed.append(account["_id"])
                self._bots_changed(user_id, tx)

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return removed[0] if removed else None

    def _bots_changed(self, user_id: str, tx: ClientSession) -> None:
        self._db["bots"].update_many({"userId": user_id}, {"$inc": {"configRevision": 1}}, session=tx)
