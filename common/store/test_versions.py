"""Immutable copies of drafts, for test conversations to run on."""

from __future__ import annotations

from typing import Any, Final

from pymongo.database import Database

from common.model.bots import FlowVersion
from common.model.contacts import Channel
from common.store.database import Document

PREFIX: Final = "draft:"


def draft_version_id(flow_id: str, revision: int) -> str:
    """The id of the copy of a draft at one revision."""
    return f"{PREFIX}{flow_id}:{revision}"


class TestVersions:
    """The `test_versions` collection. What nobody used for three days goes."""

    __test__ = False  # pytest takes everything called Test… for one

    def __init__(self, database: Database[Document]) -> None:
        self._versions = database["test_versions"]
        self._drafts = database["flow_drafts"]
        self._sessions = database["sessions"]

    def draft_revision(self, bot_id: str, flow_id: str) -> int | None:
        """The revision that a flow's draft is at; None where the bot has no such flow."""
        draft = self._drafts.find_one({"_id": flow_id, "botId": bot_id}, {"revision": 1})
        return draft["revision"] if draft else None

    def keep(self, flow_id: str, revision: int, bot_id: str, flow_data: dict[str, Any]) -> str:
        """Make sure that there is a copy of the draft at this revision; returns its id. Never changes one."""
        version_id = draft_version_id(flow_id, revision)
        self._versions.update_one(
            {"_id": version_id},
            {
                "$setOnInsert": {
                    "flowId": flow_id,
                    "botId": bot_id,
                    "revision": revision,
                    "flowData": flow_data,
                },
                "$currentDate": {"usedAt": True},
            },
            upsert=True,
        )
        return version_id

    def use(self, version_id: str) -> bool:
        """Keep a copy for three more days; False where it is gone."""
        return (
            self._versions.update_one({"_id": version_id}, {"$currentDate": {"usedAt": True}}).matched_count
            == 1
        )

    def use_of(self, conversation_id: str) -> None:
        """Keep the copy that a test conversation is under way on, whichever the draft is at now."""
        query = {"contactId": conversation_id, "channel": Channel.SIMULATOR.value, "isOpen": True}
        session = self._sessions.find_one(query, {"flowVersionId": 1})
        if session is not None:
            self.use(session["flowVersionId"])

    def find(self, version_id: str) -> FlowVersion | None:
        """A copy."""
        document = self._versions.find_one({"_id": version_id}, {"flowId": 1, "flowData": 1})
        if document is None:
            return None
        return FlowVersion(document["_id"], document["flowId"], document["flowData"])
