"""What there is, counted and listed across bots: for a user's dashboard and for administrators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pymongo.database import Database

from common.store.database import Document
from common.store.paging import Page, read_page

_USER: Final[Document] = {
    "email": 1, "role": 1, "mustChangePassword": 1, "createdAt": 1, "lastLoginAt": 1,
}  # fmt: skip
_BOT: Final[Document] = {
    "userId": 1, "name": 1, "activeFlowId": 1, "createdAt": 1, "updatedAt": 1,
}  # fmt: skip


class Overview:
    """Several collections, read only."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database

    def bots_of(self, user_id: str) -> dict[str, str]:
        """A user's bots: their names by id."""
        return {bot["_id"]: bot["name"] for bot in self._db["bots"].find({"userId": user_id}, {"name": 1})}

    def count_flows(self, bot_ids: Sequence[str]) -> int:
        """How many flows these bots have."""
        return self._db["flows"].count_documents({"botId": {"$in": list(bot_ids)}})

    def flow_names(self, flow_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The bot and the name of each of these flows; deleted ones are missing."""
        found = self._db["flows"].find({"_id": {"$in": list(flow_ids)}}, {"botId": 1, "name": 1})
        return {flow["_id"]: (flow["botId"], flow["name"]) for flow in found}

    def deployed_versions(self, flow_id: str) -> dict[str, int]:
        """The numbers of a flow's versions that are or were live, by id: customers run on no other."""
        found = self._db["flow_versions"].find({"flowId": flow_id, "isDraft": False}, {"versionNumber": 1})
        return {version["_id"]: version["versionNumber"] for version in found}

    def counts(self) -> dict[str, int]:
        """How much of everything there is on the platform."""
        database = self._db
        return {
            "users": database["users"].count_documents({"role": "USER"}),
            "administrators": database["users"].count_documents({"role": "ADMIN"}),
            "bots": database["bots"].estimated_document_count(),
            "connectedNumbers": database["whatsapp_accounts"].estimated_document_count(),
            "stoppedNumbers": database["whatsapp_accounts"].count_documents({"stoppedFor": {"$ne": None}}),
            "flows": database["flows"].estimated_document_count(),
            "liveFlows": database["flow_versions"].count_documents({"isProduction": True}),
            "contacts": database["contacts"].estimated_document_count(),
            "sessions": database["sessions"].estimated_document_count(),
        }

    def users(self, *, limit: int, cursor: str | None, email: str | None) -> Page:
        """Users with the number of their bots, the newest first; by the beginning of their address in its order."""
        query = {"email": _begins_with(email)} if email else {}
        page = read_page(
            self._db["users"],
            query,
            sort="email" if email else "createdAt",
            is_descending=not email,
            limit=limit,
            cursor=cursor,
            fields=_USER,
        )
        counts = self._count_by("bots", "userId", [user["_id"] for user in page.items])
        for user in page.items:
            user["botCount"] = counts.get(user["_id"], 0)
        return page

    def bots(self, *, limit: int, cursor: str | None, owner_email: str | None) -> Page:
        """Bots with their owner's address and what they have, the newest first. `owner_email`: only of this user."""
        query: Document = {}
        if owner_email is not None:
            owner = self._db["users"].find_one({"email": owner_email.strip().lower()}, {"_id": 1})
            query["userId"] = owner["_id"] if owner else ""
        page = read_page(
            self._db["bots"], query, sort="_id", is_descending=True, limit=limit, cursor=cursor, fields=_BOT
        )
        ids = [bot["_id"] for bot in page.items]
        owners = self._db["users"].find({"_id": {"$in": [bot["userId"] for bot in page.items]}}, {"email": 1})
        emails = {user["_id"]: user["email"] for user in owners}
        flows = self._count_by("flows", "botId", ids)
        active = self._count_by("sessions", "runsFor", ids)
        accounts = {
            account["botId"]: account.get("stoppedFor")
            for account in self._db["whatsapp_accounts"].find({"botId": {"$in": ids}}, {"botId": 1, "stoppedFor": 1})
        }  # fmt: skip
        for bot in page.items:
            bot["ownerEmail"] = emails.get(bot["userId"])
            bot["flowCount"] = flows.get(bot["_id"], 0)
            bot["activeSessions"] = active.get(bot["_id"], 0)
            bot["isConnected"] = bot["_id"] in accounts
            bot["isStopped"] = accounts.get(bot["_id"]) is not None
        return page

    def _count_by(self, collection: str, key: str, values: Sequence[str]) -> dict[str, int]:
        pipeline: list[dict[str, Any]] = [
            {"$match": {key: {"$in": list(values)}}},
            {"$group": {"_id": f"${key}", "count": {"$sum": 1}}},
        ]
        return {group["_id"]: group["count"] for group in self._db[collection].aggregate(pipeline)}


def _begins_with(text: str) -> dict[str, str]:
    return {"$regex": f"^{re.escape(text.strip().lower())}"}
