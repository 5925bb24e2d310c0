"""Bots as their owners see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from common.clock import utc_now
from common.model.text_matching import folded
from common.store.database import Document
from common.store.paging import Page, read_page

Sort = Literal["name", "createdAt", "updatedAt"]
_SORTED_BY: Final[dict[Sort, str]] = {
    "name": "nameFolded",
    "createdAt": "createdAt",
    "updatedAt": "updatedAt",
}
# What a bot has set for itself is no part of its name and description.
KEEPS_LIKE_THE_INSTALLATION: Final[Document] = {"messageDays": None, "executionLogDays": None}


class BotRecords:
    """The `bots` collection, always with whose they are in the question."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._bots = database["bots"]

    def find(self, bot_id: str, *, owner_id: str | None) -> Document | None:
        """The bot, if it is this user's; with `owner_id` None (an administrator looks), whoever's it is."""
        query: Document = {"_id": bot_id}
        if owner_id is not None:
            query["userId"] = owner_id
        return self._bots.find_one(query)

    def page(
        self, owner_id: str, *, limit: int, cursor: str | None, sort: Sort = "updatedAt",
        is_descending: bool = True, text: str | None = None,
    ) -> Page:  # fmt: skip
        """A user's bots, those whose name holds `text` (however it is written). Raises BadCursor."""
        query: Document = {"userId": owner_id}
        if text:
            # A literal in an expression: neither a pattern nor a field's name, whatever it holds.
            place = {"$indexOfCP": [{"$ifNull": ["$nameFolded", ""]}, {"$literal": folded(text)}]}
            query["$expr"] = {"$gte": [place, 0]}
        return read_page(
            self._bots, query, sort=_SORTED_BY[sort], is_descending=is_descending, limit=limit, cursor=cursor
        )

    def create(self, bot_id: str, owner_id: str, name: str, description: str) -> Document:
        """A new bot, without flows and without a number. Repeated with the same id it is the same bot."""
        bot = new_bot(bot_id, owner_id, name, description)
        try:
            self._bots.insert_one(bot)
        except DuplicateKeyError:
            return self.find(bot_id, owner_id=owner_id) or bot
        return bot

    def change(
        self, bot_id: str, owner_id: str, *, revision: int, name: str | None = None,
        description: str | None = None, retention: Mapping[str, Any] | None = None,
    ) -> Document | None:  # fmt: skip
        """Change what is given; the bot as it is then, or None where it is not at this revision any more."""
        fields: Document = {"updatedAt": utc_now(), "updatedBy": owner_id}
        update: Document = {"$set": fields, "$inc": {"revision": 1, "configRevision": 1}}
        if name is not None:
            fields |= {"name": name, "nameFolded": folded(name)}
        if description is not None:
            fields["description"] = description
        if retention is not None:
            fields["settings.retention"] = dict(retention)
            if has_own_times(retention):
                update["$currentDate"] = {"retentionDueAt": True}  # what is too old by now goes at once
            else:
                update["$unset"] = {"retentionDueAt": ""}
        query = {"_id": bot_id, "userId": owner_id, "revision": revision}
        return self._bots.find_one_and_update(query, update, return_document=ReturnDocument.AFTER)

    def overviews(self, bot_ids: Sequence[str]) -> dict[str, Document]:
        """For each of these bots: how many of its flows are live, and how it is connected."""
        of_these = {"botId": {"$in": list(bot_ids)}}
        flows = {flow["_id"]: flow["botId"] for flow in self._db["flows"].find(of_these, {"botId": 1})}
        live = self._db["flow_versions"].find(
            {"flowId": {"$in": list(flows)}, "isProduction": True}, {"_id": 0, "flowId": 1}
        )
        found: dict[str, Document] = {
            bot_id: {"flowCount": 0, "liveFlowCount": 0, "whatsapp": _NOT_CONNECTED} for bot_id in bot_ids
        }
        for bot_id in flows.values():
            found[bot_id]["flowCount"] += 1
        for version in live:
            found[flows[version["flowId"]]]["liveFlowCount"] += 1
        for account in self._db["whatsapp_accounts"].find(of_these, _OF_AN_ACCOUNT):
            stopped_for = account.get("stoppedFor")
            found[account["botId"]]["whatsapp"] = {
                "isConnected": True,
                "isStopped": stopped_for is not None,
                "phoneNumber": account.get("phoneNumber"),
                "stoppedFor": stopped_for,
            }
        return found


_NOT_CONNECTED: Final[Document] = {
    "isConnected": False, "isStopped": False, "phoneNumber": None, "stoppedFor": None,
}  # fmt: skip
_OF_AN_ACCOUNT: Final = {"botId": 1, "phoneNumber": 1, "stoppedFor": 1}


def new_bot(
    bot_id: str, owner_id: str, name: str, description: str, retention: Mapping[str, Any] | None = None
) -> Document:
    """A bot's document."""
    now = utc_now()
    kept = dict(retention or KEEPS_LIKE_THE_INSTALLATION)
    bot: Document = {
        "_id": bot_id,
        "userId": owner_id,
        "name": name,
        "nameFolded": folded(name),
        "description": description,
        "settings": {"retention": kept},
        "configRevision": 1,
        "revision": 1,
        "updatedBy": owner_id,
        "createdAt": now,
        "updatedAt": now,
    }
    if has_own_times(kept):
        bot["retentionDueAt"] = now
    return bot


def has_own_times(retention: Mapping[str, Any]) -> bool:
    """Whether a bot keeps anything for another time than the installation does."""
    return any(retention.get(name) is not None for name in KEEPS_LIKE_THE_INSTALLATION)
