"""Bots as their owners see them."""

from __future__ import annotations

from pymongo.database import Database

from common.store.database import Document


class BotRecords:
    """The `bots` collection, always with whose they are in the question."""

    def __init__(self, database: Database[Document]) -> None:
        self._bots = database["bots"]

    def find(self, bot_id: str, *, owner_id: str | None) -> Document | None:
        """This bot, if it is this user's; with `owner_id` None (an administrator looks), whoever's it is."""
        query: Document = {"_id": bot_id}
        if owner_id is not None:
            query["userId"] = owner_id
        return self._bots.find_one(query)
