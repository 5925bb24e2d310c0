"""Flows: their names and their drafts, always within one bot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from common.clock import utc_now
from common.model.bot_parts import MOST_FLOWS
from common.model.flow_content import empty_flow, settings_of, stamped
from common.model.flow_settings import Trigger
from common.model.session import SessionStatus
from common.model.text_matching import folded
from common.model.triggers import Claimed, collision
from common.store.audit import Audit
from common.store.database import Document
from common.store.flow_drafts import (
    SAVING_SECONDS,
    FlowDrafts,
    NoSuchFlow,
    SavedDraft,
    StaleRevision,
    draft_figures,
    new_draft,
)
from common.store.flow_settings import trigger_document, triggers_of
from common.store.paging import Page, read_page
from common.store.transaction import in_transaction

Sort = Literal["name", "updatedAt", "createdAt"]
NAME_MOST: Final = 120
_DELETED_AT_ONCE: Final = 100
_SORTED_BY: Final[dict[Sort, str]] = {
    "name": "nameFolded",
    "updatedAt": "updatedAt",
    "createdAt": "createdAt",
}
_OPEN: Final = [status.value for status in SessionStatus if status.is_open]


class NameTaken(Exception):  # noqa: N818 - what the name is
    """Another flow of the bot has this name."""


class TooManyFlows(Exception):  # noqa: N818 - what the bot would have
    """The bot has as many flows as a bot can have."""


class FlowInUse(Exception):  # noqa: N818 - what the flow is
    """Customers would notice that it is gone. `fallback_of` are the names of flows that hand over to it."""

    def __init__(self, *, is_default: bool, fallback_of: list[str]) -> None:
        super().__init__("the flow is in use")
        self.is_default = is_default
        self.fallback_of = fallback_of


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion took away. `was_live`: new conversations could begin with it until now."""

    flow: Document
    was_live: bool


class Flows(FlowDrafts):
    """The `flows` collection and what hangs on a flow."""

    def __init__(self, database: Database[Document]) -> None:
        super().__init__(database)
        self._bots = database["bots"]
        self._sessions = database["sessions"]
        self._audit = Audit(database)

    def find(self, bot_id: str, flow_id: str) -> Document | None:
        """One flow of the bot."""
        return self._flows.find_one({"_id": flow_id, "botId": bot_id})

    def of_bot(self, bot_id: str) -> list[Document]:
        """All flows of the bot, by name; for what has to look at every one of them."""
        return list(self._flows.find({"botId": bot_id}).sort("nameFolded", 1))

    def page(
        self, bot_id: str, *, limit: int, cursor: str | None, sort: Sort = "updatedAt", is_descending: bool = True,
        text: str | None = None,
    ) -> Page:  # fmt: skip
        """Flows of the bot, those whose name holds `text` (however it is written). Raises BadCursor."""
        query: Document = {"botId": bot_id}
        if text:
            # A literal in an expression: neither a pattern nor a field's name, whatever it holds.
            place = {"$indexOfCP": [{"$ifNull": ["$nameFolded", ""]}, {"$literal": folded(text)}]}
            query["$expr"] = {"$gte": [place, 0]}
        return read_page(
            self._flows, query, sort=_SORTED_BY[sort], is_descending=is_descending, limit=limit, cursor=cursor
        )

    def create(
        self, bot_id: str, name: str, *, flow_id: str, by: str, description: str = "",
        flow_data: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None,
        triggers: Sequence[Trigger] = (),
    ) -> Document:  # fmt: skip
        """A new flow whose draft is this flow data, or a START node alone. Its history is empty.

        Of the triggers those that no other flow has. Repeated with the same id it is the same flow. Raises NameTaken
        and TooManyFlows.
        """
        now = utc_now()
        data = stamped(
            empty_flow() if flow_data is None else flow_data, flow_id=flow_id, bot_id=bot_id, name=name
        )
        draft = new_draft(flow_id, bot_id, data, by=by, at=now, is_kept=flow_data is None)
        flow = {
            "_id": flow_id,
            "botId": bot_id,
            "name": name,
            "nameFolded": folded(name),
            "description": description,
            "triggers": [],
            "settings": dict(settings or settings_of(data)),
            "draft": draft_figures(draft),
            "revision": 1,
            "createdBy": by,
            "updatedBy": by,
            "createdAt": now,
            "updatedAt": now,
        }

        def write(tx: ClientSession) -> None:
            # First: two that are made at once, or made while triggers are set, wait for each other.
            self._bots.update_one({"_id": bot_id}, {"$inc": {"flowsMade": 1}}, session=tx)
            if triggers:
                flow["triggers"] = self._free_triggers(bot_id, triggers, tx)
            self._flows.insert_one(flow, session=tx)
            if self._flows.count_documents({"botId": bot_id}, limit=MOST_FLOWS + 1, session=tx) > MOST_FLOWS:
                raise TooManyFlows(bot_id)
            self._drafts.insert_one(draft, session=tx)

        try:
            in_transaction(self._db, write, most_seconds=SAVING_SECONDS)
        except DuplicateKeyError:
            known = self.find(bot_id, flow_id)
            if known is None:
                raise NameTaken(name) from None
            return known
        return flow

    def _free_triggers(self, bot_id: str, triggers: Sequence[Trigger], tx: ClientSession) -> list[Document]:
        others = [
            Claimed(flow["_id"], flow["name"], triggers_of(flow))
            for flow in self._flows.find({"botId": bot_id}, {"name": 1, "triggers": 1}, session=tx)
        ]
        return [trigger_document(each) for each in triggers if collision([each], others) is None]

    def free_name(self, bot_id: str, name: str) -> str:
        """The name, or the first of "name (2)", "name (3)" … that no flow of the bot has."""
        taken = {flow["name"] for flow in self._flows.find({"botId": bot_id}, {"name": 1})}
        number, free = 1, name
        while free in taken:
            number += 1
            end = f" ({number})"
            free = name[: NAME_MOST - len(end)] + end
        return free

    def describe(
        self, bot_id: str, flow_id: str, *, revision: int, by: str, name: str | None = None,
        description: str | None = None,
    ) -> Document:  # fmt: skip
        """Change name or description (None: as it is). Raises NameTaken, StaleRevision, NoSuchFlow."""
        changes: Document = {"updatedAt": utc_now(), "updatedBy": by}
        if name is not None:
            changes |= {"name": name, "nameFolded": folded(name)}
        if description is not None:
            changes["description"] = description
        changed: list[Document | None] = []

        def write(tx: ClientSession) -> None:
            changed[:] = [
                self._flows.find_one_and_update(
                    {"_id": flow_id, "botId": bot_id, "revision": revision},
                    {"$set": changes, "$inc": {"revision": 1}},
                    return_document=ReturnDocument.AFTER,
                    session=tx,
                )
            ]
            if name is not None and changed[0] is not None:
                named = {"$set": {"flowData.flowName": name}}
                self._drafts.update_one({"_id": flow_id, "botId": bot_id}, named, session=tx)

        try:
            in_transaction(self._db, write, most_seconds=SAVING_SECONDS)
        except DuplicateKeyError:
            raise NameTaken(name) from None
        if changed[0] is not None:
            return changed[0]
        now = self.find(bot_id, flow_id)
        if now is None:
            raise NoSuchFlow(flow_id)
        raise StaleRevision(now.get("revision", 0), now.get("updatedBy"), now["updatedAt"])

    def ensure_draft(self, flow_id: str, *, by: str) -> bool:
        """Give a flow that has no draft one equal to its live version; True where it got one."""
        flow = self._flows.find_one({"_id": flow_id})
        if flow is None or self._drafts.find_one({"_id": flow_id}, {"_id": 1}) is not None:
            return False
        live = self._versions.find_one({"flowId": flow_id, "isProduction": True}, {"flowData": 1})
        data = live["flowData"] if live else empty_flow()
        data = stamped(data, flow_id=flow_id, bot_id=flow["botId"], name=flow["name"])
        draft = new_draft(flow_id, flow["botId"], data, by=by, at=utc_now(), is_kept=True)
        missing = {"nameFolded": folded(flow["name"]), "settings": settings_of(data), "revision": 1}
        changes = {key: value for key, value in missing.items() if key not in flow}

        def write(tx: ClientSession) -> None:
            self._drafts.insert_one(draft, session=tx)
            self._flows.update_one(
                {"_id": flow_id}, {"$set": {"draft": draft_figures(draft), **changes}}, session=tx
            )

        try:
            in_transaction(self._db, write, most_seconds=SAVING_SECONDS)
        except DuplicateKeyError:
            return False
        return True

    def delete(
        self, bot_id: str, flow_id: str, *, is_forced: bool = False, audit_entry: Document | None = None
    ) -> Deleted:
        """Delete a flow and its draft; `forget_history` does the rest. Raises FlowInUse and NoSuchFlow.

        The entry is written with the deletion or not at all, with the name of what was deleted.

        Versions that were deployed stay, no longer live: conversations that run on one can go on and their logs
        can be read. With `is_forced` also the bot's default flow goes, and one that others hand over to.
        """
        deleted: list[Deleted] = []

        def write(tx: ClientSession) -> None:
            deleted[:] = [self._delete(bot_id, flow_id, tx, is_forced=is_forced)]
            if audit_entry is not None:
                detail = {"name": deleted[0].flow["name"], "wasLive": deleted[0].was_live}
                self._audit.record({**audit_entry, "detail": detail}, session=tx)

        in_transaction(self._db, write, most_seconds=SAVING_SECONDS)
        return deleted[0]

    def _delete(self, bot_id: str, flow_id: str, tx: ClientSession, *, is_forced: bool) -> Deleted:
        flow = self._flows.find_one_and_delete({"_id": flow_id, "botId": bot_id}, session=tx)
        if flow is None:
            raise NoSuchFlow(flow_id)
        live = {"flowId": flow_id, "isProduction": True}
        was_live = self._versions.find_one(live, {"_id": 1}, session=tx) is not None
        default = {"_id": bot_id, "activeFlowId": flow_id}
        is_default = was_live and self._bots.find_one(default, {"_id": 1}, session=tx) is not None
        handed_over = {
            "botId": bot_id,
            "settings.restartPolicy": "FALLBACK_FLOW",
            "settings.fallbackFlowId": flow_id,
        }
        fallback_of = [other["name"] for other in self._flows.find(handed_over, {"name": 1}, session=tx)]
        if (is_default or fallback_of) and not is_forced:
            raise FlowInUse(is_default=is_default, fallback_of=sorted(fallback_of))
        self._drafts.delete_one({"_id": flow_id}, session=tx)
        self._db["stand_ins"].delete_many({"botId": bot_id, "flowId": flow_id}, session=tx)
        deployed = {"flowId": flow_id, "isDraft": False}
        retired = {"$set": {"isProduction": False, "botId": bot_id}}
        self._versions.update_many(deployed, retired, session=tx)
        self._bots.update_one(default, {"$unset": {"activeFlowId": ""}}, session=tx)
        self._bots.update_one({"_id": bot_id}, {"$inc": {"configRevision": 1}}, session=tx)
        return Deleted(flow, was_live)

    def forget_history(self, bot_id: str, flow_id: str) -> int:
        """Delete what was saved of a deleted flow; repeated, the rest of it. Says how many versions that were.

        Outside of transactions: it may be much.
        """
        forgotten = 0
        saved = {"flowId": flow_id, "isDraft": True, "botId": bot_id}
        while found := list(self._versions.find(saved, {"_id": 1}).limit(_DELETED_AT_ONCE)):
            these = {"_id": {"$in": [version["_id"] for version in found]}}
            forgotten += self._versions.delete_many(these).deleted_count
        return forgotten

    def open_sessions(self, bot_id: str, flow_id: str) -> Iterator[Document]:
        """Conversations that are on this flow, tests too, as {_id, contactId, channel}; those kept after their end too."""
        is_any = {"$in": [False, True]}  # names it for the index
        query = {"flowId": flow_id, "isTest": is_any, "status": {"$in": _OPEN}, "botId": bot_id}
        yield from self._sessions.find(query, {"contactId": 1, "channel": 1})

    def drafts_of(self, bot_id: str, *, after: str, limit: int) -> list[Document]:
        """Drafts of the bot's flows in the order of their ids, behind the id `after`, with their flows."""
        return list(self._drafts.find({"botId": bot_id, "_id": {"$gt": after}}).sort("_id", 1).limit(limit))

    def emails(self, user_ids: Sequence[str | None]) -> dict[str, str]:
        """The e-mail addresses of these users; of deleted ones there are none."""
        wanted = sorted({user_id for user_id in user_ids if user_id})
        found = self._db["users"].find({"_id": {"$in": wanted}}, {"email": 1}) if wanted else ()
        return {user["_id"]: user["email"] for user in found}


__all__ = ["FlowInUse", "Flows", "NameTaken", "NoSuchFlow", "SavedDraft", "StaleRevision", "TooManyFlows"]
