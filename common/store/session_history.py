"""Sessions as people look through them: lists by what was asked for, one with all that is known of it.

Every list goes by one index that begins with what was asked for and ends with the time, so that a page costs the
same whatever else there is. What no index can answer in a page's time is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.database import Database

from common.model.session import SessionStatus
from common.store.database import Document
from common.store.paging import Page, read_page

_LISTED = dict.fromkeys(
    (
        "botId", "contactId", "channel", "isTest", "userPhoneNumber", "flowId", "flowVersionId", "currentNodeId",
        "status", "isOpen", "turn", "wait.kind", "wait.at", "createdAt", "startedAt", "updatedAt", "closedAt",
    ),
    1,
)  # fmt: skip


class NotListed(ValueError):  # noqa: N818 - what it is
    """These filters do not go together; `fields` says which and why."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        super().__init__(str(fields))
        self.fields = fields


@dataclass(frozen=True, slots=True)
class SessionFilters:
    """What sessions are wanted; None: all the same. `since` counts in, `until` does not."""

    statuses: tuple[SessionStatus, ...] = ()
    flow_id: str | None = None
    version_id: str | None = None
    node_id: str | None = None
    contact_id: str | None = None
    is_test: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def check(self) -> None:
        """Raises NotListed for what no index answers."""
        wrong: dict[str, list[str]] = {}
        if self.node_id is not None and self.version_id is None and self.contact_id is None:
            wrong["nodeId"] = ["Say of which flow version, too: give versionId."]
        if self.version_id is not None and self.contact_id is None:
            if self.flow_id is not None:
                wrong["flowId"] = ["A version belongs to one flow: leave flowId out, or versionId."]
            if self.is_test is not None:
                wrong["isTest"] = ["A version has either tests or real conversations: leave isTest out."]
        if wrong:
            raise NotListed(wrong)

    def query(self, bot_id: str) -> Document:
        """The filter, with every field that its index has before the time."""
        statuses = self.statuses or tuple(SessionStatus)
        query: Document = {"botId": bot_id, "status": {"$in": [status.value for status in statuses]}}
        for name, value in (
            ("contactId", self.contact_id),
            ("flowVersionId", self.version_id),
            ("currentNodeId", self.node_id),
            ("flowId", self.flow_id),
        ):
            if value is not None:
                query[name] = value
        if self.contact_id is None and self.version_id is None:
            query["isTest"] = {"$in": [False, True] if self.is_test is None else [self.is_test]}
        elif self.is_test is not None:
            query["isTest"] = self.is_test
        span = {"$gte": self.since, "$lt": self.until}
        if bounds := {operator: at for operator, at in span.items() if at is not None}:
            query["createdAt"] = bounds
        return query

    @property
    def index(self) -> str:
        """The name of the index that answers. Named, since the planner sometimes takes to another one."""
        if self.contact_id is not None:
            return "contactId_1_createdAt_-1__id_-1"
        if self.version_id is not None:
            node = "currentNodeId_1_" if self.node_id is not None else ""
            return f"flowVersionId_1_{node}status_1_createdAt_-1__id_-1"
        first = "flowId" if self.flow_id is not None else "botId"
        return f"{first}_1_isTest_1_status_1_createdAt_-1__id_-1"


class SessionHistory:
    """Reads of `sessions` and what belongs to them."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database

    def page(self, bot_id: str, filters: SessionFilters, *, limit: int, cursor: str | None = None) -> Page:
        """Sessions of a bot, the newest first. Raises NotListed and BadCursor."""
        filters.check()
        return read_page(
            self._db["sessions"], filters.query(bot_id), sort="createdAt", is_descending=True, limit=limit,
            cursor=cursor, fields=_LISTED, hint=filters.index,
        )  # fmt: skip

    def find(self, bot_id: str, session_id: str) -> Document | None:
        """A session as it is stored."""
        return self._db["sessions"].find_one({"_id": session_id, "botId": bot_id})

    def variables(self, session_id: str) -> list[Document]:
        """The variables of an open session, by name."""
        found = self._db["session_variables"].find({"sessionId": session_id}, {"_id": 0})
        return list(found.sort("variableName", 1))

    def bot_variables(self, bot_id: str) -> list[Document]:
        """The bot's own variables, by name."""
        return list(self._db["bot_variables"].find({"botId": bot_id}, {"_id": 0}).sort("variableName", 1))

    def contact(self, bot_id: str, contact_id: str) -> Document | None:
        """Who the conversation is with."""
        return self._db["contacts"].find_one({"_id": contact_id, "botId": bot_id})

    def version(self, version_id: str) -> dict[str, Any] | None:
        """What people call a flow version: {versionNumber, note, createdAt, deployedAt, isDraft, flowId}."""
        fields = dict.fromkeys(("versionNumber", "note", "createdAt", "deployedAt", "isDraft", "flowId"), 1)
        return self._db["flow_versions"].find_one({"_id": version_id}, fields)

    def flow_name(self, bot_id: str, flow_id: str) -> str | None:
        """What people call a flow; None where it is gone."""
        flow = self._db["flows"].find_one({"_id": flow_id, "botId": bot_id}, {"name": 1})
        return flow["name"] if flow else None
