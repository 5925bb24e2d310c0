"""Versions of flows: the history that saving leaves, and what was deployed. A version's flow never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.model.flow_content import content_hash, node_count
from common.store.database import Document
from common.store.paging import Page, read_page

# For versions that were stored without these figures, they are worked out where they are read.
_NODES: Final = {"$cond": [{"$isArray": "$flowData.nodes"}, {"$size": "$flowData.nodes"}, 0]}
_SHOWN: Final = {
    "flowId": 1,
    "botId": 1,
    "versionNumber": 1,
    "isDraft": 1,
    "isProduction": 1,
    "revision": 1,
    "note": 1,
    "createdBy": {"$ifNull": ["$createdBy", "$deployedBy"]},
    "createdAt": 1,
    "deployedBy": 1,
    "deployedAt": 1,
    "contentHash": 1,
    "nodeCount": {"$ifNull": ["$nodeCount", _NODES]},
}


def version_document(
    *, version_id: str, bot_id: str, flow_id: str, number: int, flow_data: Mapping[str, Any], by: str,
    at: datetime, revision: int, note: str = "",
) -> Document:  # fmt: skip
    """A version as history keeps it. One that goes live says so in `isDraft` and `isProduction`."""
    return {
        "_id": version_id,
        "botId": bot_id,
        "flowId": flow_id,
        "versionNumber": number,
        "revision": revision,
        "flowData": dict(flow_data),
        "contentHash": content_hash(flow_data),
        "nodeCount": node_count(flow_data),
        "isDraft": True,
        "isProduction": False,
        "note": note,
        "createdBy": by,
        "createdAt": at,
        "updatedAt": at,
    }


def next_number(database: Database[Document], flow_id: str, tx: ClientSession) -> int:
    """The number of the flow's next version.

    Two transactions get the same only if neither writes the flow's own document; whoever makes versions does.
    """
    last = database["flow_versions"].find_one(
        {"flowId": flow_id}, {"versionNumber": 1}, sort=[("versionNumber", -1)], session=tx
    )
    return last["versionNumber"] + 1 if last else 1


class FlowVersions:
    """The `flow_versions` collection, as people read it."""

    def __init__(self, database: Database[Document]) -> None:
        self._versions = database["flow_versions"]

    def page(
        self, bot_id: str, flow_id: str, *, limit: int, cursor: str | None, is_deployed: bool | None = None
    ) -> Page:
        """A flow's versions without their flows, the newest first. Raises BadCursor.

        `is_deployed`: only those that were live (True), or only saved ones (False).
        """
        is_draft = [False, True] if is_deployed is None else [not is_deployed]
        query = {"flowId": flow_id, "isDraft": {"$in": is_draft}, **_of_bot(bot_id)}
        return read_page(
            self._versions, query, sort="versionNumber", is_descending=True, limit=limit, cursor=cursor,
            fields=_SHOWN,
        )  # fmt: skip

    def find(self, bot_id: str, flow_id: str, version_id: str) -> Document | None:
        """One version, with its flow."""
        query = {"_id": version_id, "flowId": flow_id, **_of_bot(bot_id)}
        return self._versions.find_one(query, {**_SHOWN, "flowData": 1})

    def live(self, flow_ids: Sequence[str]) -> dict[str, Document]:
        """The live versions of these flows, by flow id, without their flows but with a content hash."""
        query = {"flowId": {"$in": list(flow_ids)}, "isProduction": True}
        found = {version["flowId"]: version for version in self._versions.find(query, _SHOWN)}
        unhashed = [version["_id"] for version in found.values() if "contentHash" not in version]
        if unhashed:
            for version in self._versions.find({"_id": {"$in": unhashed}}, {"flowId": 1, "flowData": 1}):
                found[version["flowId"]]["contentHash"] = content_hash(version.get("flowData", {}))
        return found

    def live_one(self, bot_id: str, flow_id: str) -> Document | None:
        """A flow's live version, with its flow."""
        query = {"flowId": flow_id, "isProduction": True, **_of_bot(bot_id)}
        return self._versions.find_one(query, {**_SHOWN, "flowData": 1})

    def set_note(self, bot_id: str, flow_id: str, version_id: str, note: str) -> Document | None:
        """Change what is written beside a version; None where there is no such version."""
        return self._versions.find_one_and_update(
            {"_id": version_id, "flowId": flow_id, **_of_bot(bot_id)},
            {"$set": {"note": note, "updatedAt": utc_now()}},
            _SHOWN,
            return_document=ReturnDocument.AFTER,
        )


def _of_bot(bot_id: str) -> Document:
    """Versions name their bot since drafts exist; those from before belong to their flow's bot."""
    return {"botId": {"$in": [bot_id, None]}}
