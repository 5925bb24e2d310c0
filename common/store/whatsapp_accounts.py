"""A bot's WhatsApp account as its owner connects it; what running conversations need of it is read by `bots`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from common.clock import utc_now
from common.store.database import Document
from common.store.transaction import in_transaction

_MOST_SECONDS = 5.0
# What was observed of one number says nothing about the next one.
_OF_THE_NUMBER = ("lastStatusAt", "lastWebhookAt", "health")


class NumberTaken(Exception):  # noqa: N818 - the state of things
    """Another bot is connected to this number. Whose it is, nobody learns."""


class AccountChanged(Exception):  # noqa: N818 - what happened
    """Somebody connected, changed or disconnected it meanwhile, or the bot is gone."""


class WhatsAppAccounts:
    """The `whatsapp_accounts` collection: at most one a bot, and one bot a number. Secrets come and go encrypted."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._accounts = database["whatsapp_accounts"]

    def find(self, bot_id: str) -> Document | None:
        """The account of this bot."""
        return self._accounts.find_one({"botId": bot_id})

    def save(
        self, bot_id: str, account_id: str, revision: int | None, fields: Mapping[str, Any], *, is_new: bool
    ) -> Document:
        """Connect the bot, or change its account, and start its sending; workers see it within a second.

        `fields` are all of the account: a field that is None is taken away. `account_id` and `revision` are those
        that the caller saw (its secrets are bound to the id); raises AccountChanged where they are not so any more,
        NumberTaken.
        """
        saved: list[Document] = []

        def write(tx: ClientSession) -> None:
            saved.clear()
            if not self._bot_changed(bot_id, tx):
                raise AccountChanged
            if is_new:
                saved.append(self._insert(bot_id, account_id, fields, tx))
            else:
                saved.append(self._update(bot_id, account_id, revision, fields, tx))

        try:
            in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        except DuplicateKeyError as error:
            pattern = (error.details or {}).get("keyPattern", {})
            if "botId" in pattern or "_id" in pattern:
                raise AccountChanged from error
            raise NumberTaken from error
        return saved[0]

    def _insert(self, bot_id: str, account_id: str, fields: Mapping[str, Any], tx: ClientSession) -> Document:
        now = utc_now()
        account = {
            "_id": account_id,
            "botId": bot_id,
            **{name: value for name, value in fields.items() if value is not None},
            "revision": 1,
            "connectedAt": now,
            "createdAt": now,
            "updatedAt": now,
        }
        self._accounts.insert_one(account, session=tx)
        return account

    def _update(
        self, bot_id: str, account_id: str, revision: int | None, fields: Mapping[str, Any], tx: ClientSession
    ) -> Document:
        key = {"_id": account_id, "botId": bot_id, "revision": revision}
        before = self._accounts.find_one(key, {"phoneNumberId": 1}, session=tx)
        if before is None:
            raise AccountChanged
        gone = {name for name, value in fields.items() if value is None} | {"stoppedAt"}
        if before["phoneNumberId"] != fields["phoneNumberId"]:
            gone |= {*_OF_THE_NUMBER} - {name for name, value in fields.items() if value is not None}
        now = utc_now()
        kept = {name: value for name, value in fields.items() if value is not None}
        account = self._accounts.find_one_and_update(
            key,
            {
                "$set": {**kept, "stoppedFor": None, "connectedAt": now, "updatedAt": now},
                "$unset": dict.fromkeys(sorted(gone), ""),
                "$inc": {"revision": 1},
            },
            return_document=ReturnDocument.AFTER,
            session=tx,
        )
        if account is None:
            raise AccountChanged
        return account

    def disconnect(self, bot_id: str) -> Document | None:
        """Take the account away, with its secrets; what the bot wanted to say stays queued. None: there was none."""
        removed: list[Document] = []

        def write(tx: ClientSession) -> None:
            removed.clear()
            account = self._accounts.find_one_and_delete({"botId": bot_id}, session=tx)
            if account is not None:
                removed.append(account)
                self._bot_changed(bot_id, tx)

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return removed[0] if removed else None

    def checked(self, bot_id: str, account_id: str, revision: int | None, seen: Mapping[str, Any]) -> None:
        """Keep what a check found, unless the account was changed meanwhile: it would be about another one."""
        self._accounts.update_one(
            {"_id": account_id, "botId": bot_id, "revision": revision}, {"$set": dict(seen)}
        )

    def heard(self, newest: Mapping[str, datetime]) -> None:
        """Remember when webhooks for these numbers last arrived."""
        if newest:
            self._accounts.bulk_write(
                [
                    UpdateOne({"phoneNumberId": number}, {"$max": {"lastWebhookAt": at}})
                    for number, at in newest.items()
                ],
                ordered=False,
            )

    def _bot_changed(self, bot_id: str, tx: ClientSession) -> bool:
        result = self._db["bots"].update_one({"_id": bot_id}, {"$inc": {"configRevision": 1}}, session=tx)
        return bool(result.matched_count)
