"""Deploys: a flow's live version is exchanged in one transaction, and every version that ever was live is kept.

A version never changes and its number only grows. Going back to an old one is a deploy, too: its flow goes live once
more as a new version, which says whose copy it is. So a version was live for one stretch of time, the figures that are
kept by version belong to that stretch, and "all conversations up to this number" means the same whatever was
deployed in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.crashpoint import crashpoint
from common.ids import new_ulid
from common.model.flow_settings import RunningConversations
from common.store.audit import Audit
from common.store.database import Document
from common.store.flow_versions import next_number, version_document
from common.store.transaction import in_transaction

_MOST_SECONDS: Final = 2.5  # that a person waits at most
_NO_FLOW_DATA: Final = {"flowData": 0}
# What an audit entry tells of a version that goes live, and of one that goes offline.
_TOLD: Final = ("versionNumber", "revision", "note", "runningConversations", "copyOf", "rolledBackFrom")
_TOLD_OFFLINE: Final = ("versionNumber",)


class Why(StrEnum):
    """Why a deploy was not made."""

    GONE = "GONE"  # the bot or the flow is not there any more
    LOCKED = "LOCKED"
    DRAFT_MOVED = "DRAFT_MOVED"  # it is not at the revision that was checked
    LIVE_MOVED = "LIVE_MOVED"  # another version went live meanwhile
    CONFIG_MOVED = "CONFIG_MOVED"  # something that the draft was checked against changed
    ALREADY_LIVE = "ALREADY_LIVE"  # the live version is this very revision of the draft
    NOT_LIVE = "NOT_LIVE"
    IS_DEFAULT = "IS_DEFAULT"  # and other flows of the bot are live


class DeployRefused(Exception):  # noqa: N818 - what the deploy is
    """Nothing was changed. `found` is what stands in the way: the lock, the draft, the live version."""

    def __init__(self, why: Why, found: Document | None = None) -> None:
        super().__init__(why.value)
        self.why = why
        self.found = found or {}


@dataclass(frozen=True, slots=True)
class Deploy:
    """What is to go live. `live_before` is the live version that whoever asks has seen (None: there was none).

    `revision` is that of the draft that `flow_data` comes from, `config_revision` the bot's before it was checked (None:
    whatever surrounds it). With the same `version_id` it is the same deploy, and done once. `audit` is the entry that
    is written along with it.
    """

    version_id: str
    bot_id: str
    flow_id: str
    flow_data: Mapping[str, Any]
    by: str
    revision: int
    live_before: str | None
    running: RunningConversations = RunningConversations.FINISH_ON_OLD
    note: str = ""
    config_revision: int | None = None
    audit: Document | None = None


class Deployments:
    """What `flow_versions`, `flows` and `bots` go through when a flow goes live or offline."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._bots = database["bots"]
        self._flows = database["flows"]
        self._drafts = database["flow_drafts"]
        self._versions = database["flow_versions"]
        self._sessions = database["sessions"]
        self._audit = Audit(database)

    # Going live

    def deploy(self, order: Deploy) -> Document:
        """Put the draft live as it was at `order.revision`; the new version. Raises DeployRefused."""

        def check(live: Document | None, tx: ClientSession) -> None:
            this = {"_id": order.flow_id, "botId": order.bot_id}
            draft = self._drafts.find_one(this, _NO_FLOW_DATA, session=tx)
            if draft is None or draft["revision"] != order.revision:
                raise DeployRefused(Why.DRAFT_MOVED, draft)
            is_copy = live is not None and "copyOf" in live
            if live is not None and live.get("draftRevision") == order.revision and not is_copy:
                raise DeployRefused(Why.ALREADY_LIVE, live)
            in_history = {"historyRevision": order.revision, "historyAt": utc_now()}
            self._drafts.update_one(this, {"$set": in_history}, session=tx)

        return self._exchange(order, check, {"draftRevision": order.revision})

    def roll_back(self, order: Deploy, copy_of: Document) -> Document:
        """Put the flow of an earlier version live once more, as a new version. Raises DeployRefused."""
        origin = {
            "copyOf": copy_of["_id"],
            "copyOfNumber": copy_of["versionNumber"],
            "rolledBackFrom": order.live_before,
            "draftRevision": copy_of.get("draftRevision"),
        }
        return self._exchange(order, _no_check, origin)

    def put_live(
        self, flow_id: str, flow_data: Mapping[str, Any], *, deployed_by: str, note: str = ""
    ) -> str:
        """Put this live whatever is there, without a draft; the new version's id. For seeding.

        Whether the flow is fit to go live is for the caller to check.
        """
        flow = self._flows.find_one({"_id": flow_id}, {"botId": 1})
        if flow is None:
            raise DeployRefused(Why.GONE)
        live = self.live(flow_id)
        order = Deploy(
            version_id=new_ulid(),
            bot_id=flow["botId"],
            flow_id=flow_id,
            flow_data=flow_data,
            by=deployed_by,
            revision=0,
            live_before=live["_id"] if live else None,
            note=note,
        )
        version_id: str = self._exchange(order, _no_check, {})["_id"]
        return version_id

    def _exchange(
        self, order: Deploy, check: Callable[[Document | None, ClientSession], None], origin: Document
    ) -> Document:
        made: list[Document] = []

        def write(tx: ClientSession) -> None:
            made[:] = [self._write(order, check, origin, tx)]
            crashpoint("D1")

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        crashpoint("D2")
        return made[0]

    def _write(
        self,
        order: Deploy,
        check: Callable[[Document | None, ClientSession], None],
        origin: Document,
        tx: ClientSession,
    ) -> Document:
        this = {"_id": order.version_id, "flowId": order.flow_id, "isDraft": False}
        known = self._versions.find_one(this, _NO_FLOW_DATA, session=tx)
        if known is not None:  # the same request once more, after its answer was lost
            return known
        now = utc_now()
        bot = self._unlocked(order.bot_id, order.flow_id, now, tx)
        live = self._live(order.flow_id, tx)
        if (live["_id"] if live else None) != order.live_before:
            raise DeployRefused(Why.LIVE_MOVED, live)
        check(live, tx)
        if order.config_revision not in (None, bot.get("configRevision", 0)):
            raise DeployRefused(Why.CONFIG_MOVED)
        # Before the old versions are retired: a default flow that is offline by now greets nobody.
        keeps_default = self._is_live(bot.get("activeFlowId"), tx)
        number = next_number(self._db, order.flow_id, tx)
        version = version_document(
            version_id=order.version_id,
            bot_id=order.bot_id,
            flow_id=order.flow_id,
            number=number,
            flow_data=order.flow_data,
            by=order.by,
            at=now,
            note=order.note,
            revision=order.revision,
        )
        version |= {
            "isDraft": False,
            "isProduction": True,
            "deployedAt": now,
            "deployedBy": order.by,
            "runningConversations": order.running.value,
            "replaces": order.live_before,
            **origin,
        }
        self._retire(order.flow_id, order.by, now, tx)
        self._versions.insert_one(version, session=tx)
        changes: Document = {"$set": {"deployedAt": now, "updatedAt": now}}
        if order.running is RunningConversations.RESTART_ON_NEW:
            changes["$max"] = {"restartUpTo": number - 1}
        # Written in every case: two deploys, or a deploy and a save, of one flow see each other.
        self._flows.update_one({"_id": order.flow_id}, changes, session=tx)
        default = {} if keeps_default else {"$set": {"activeFlowId": order.flow_id}}
        self._bots.update_one({"_id": order.bot_id}, {"$inc": {"configRevision": 1}, **default}, session=tx)
        self._write_down(order.audit, version, _TOLD, tx)
        return {key: value for key, value in version.items() if key != "flowData"}

    def _unlocked(self, bot_id: str, flow_id: str, now: datetime, tx: ClientSession) -> Document:
        """The bot, if neither it nor the flow is locked. Raises DeployRefused."""
        fields = {"activeFlowId": 1, "configRevision": 1, "deployLock": 1}
        bot = self._bots.find_one({"_id": bot_id}, fields, session=tx)
        flow = self._flows.find_one({"_id": flow_id, "botId": bot_id}, {"deployLock": 1}, session=tx)
        if bot is None or flow is None:
            raise DeployRefused(Why.GONE)
        for document in (bot, flow):
            lock = lock_of(document, now)
            if lock is not None:
                raise DeployRefused(Why.LOCKED, lock)
        return bot

    def _live(self, flow_id: str, tx: ClientSession | None = None) -> Document | None:
        return self._versions.find_one({"flowId": flow_id, "isProduction": True}, _NO_FLOW_DATA, session=tx)

    def _is_live(self, flow_id: str | None, tx: ClientSession) -> bool:
        live = {"flowId": flow_id, "isProduction": True}
        return bool(flow_id) and self._versions.find_one(live, {"_id": 1}, session=tx) is not None

    def _write_down(
        self, audit: Document | None, version: Document, told: tuple[str, ...], tx: ClientSession
    ) -> None:
        """Write the entry with what is known of the version only now."""
        if audit is not None:
            of_version = {key: version[key] for key in told if key in version}
            detail = {**audit["detail"], **of_version, "versionId": version["_id"]}
            self._audit.record({**audit, "detail": detail}, session=tx)

    def _retire(self, flow_id: str, by: str, now: datetime, tx: ClientSession) -> None:
        retired = {"isProduction": False, "retiredAt": now, "retiredBy": by, "updatedAt": now}
        self._versions.update_many({"flowId": flow_id, "isProduction": True}, {"$set": retired}, session=tx)

    # Going offline

    def undeploy(self, bot_id: str, flow_id: str, *, by: str, audit: Document | None = None) -> Document:
        """Take a flow offline; the version that was live. Raises DeployRefused.

        No conversation begins with it any more; those under way go on to their end. The default flow stays while
        other flows are live: whoever fits none of their triggers would get no answer.
        """
        taken: list[Document] = []

        def write(tx: ClientSession) -> None:
            now = utc_now()
            bot = self._unlocked(bot_id, flow_id, now, tx)
            live = self._live(flow_id, tx)
            if live is None:
                raise DeployRefused(Why.NOT_LIVE)
            if bot.get("activeFlowId") == flow_id:
                flows = self._flows.find({"botId": bot_id, "_id": {"$ne": flow_id}}, {"_id": 1}, session=tx)
                others = {"flowId": {"$in": [flow["_id"] for flow in flows]}, "isProduction": True}
                if self._versions.find_one(others, {"_id": 1}, session=tx) is not None:
                    raise DeployRefused(Why.IS_DEFAULT)
            self._retire(flow_id, by, now, tx)
            self._flows.update_one({"_id": flow_id}, {"$set": {"updatedAt": now}}, session=tx)
            self._bots.update_one({"_id": bot_id}, {"$inc": {"configRevision": 1}}, session=tx)
            self._write_down(audit, live, _TOLD_OFFLINE, tx)
            taken[:] = [live]

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return taken[0]

    # Locks

    def lock(
        self, bot_id: str, flow_id: str | None, *, reason: str, by: str, until: datetime | None,
        audit: Document | None = None,
    ) -> Document | None:  # fmt: skip
        """Let nothing of the flow (None: of any flow of the bot) be deployed; the lock, or None without such a flow."""
        lock = {"reason": reason, "by": by, "at": utc_now(), "until": until, "flowId": flow_id}
        before = self._set_lock(bot_id, flow_id, {"$set": {"deployLock": lock}}, lambda _: audit)
        return lock if before is not None else None

    def unlock(self, bot_id: str, flow_id: str | None, *, audit: Document | None = None) -> bool:
        """Take the lock off; False where there is none, or it is over."""
        now = utc_now()
        before = self._set_lock(
            bot_id,
            flow_id,
            {"$unset": {"deployLock": ""}},
            lambda before: audit if lock_of(before, now) else None,
        )
        return before is not None and lock_of(before, now) is not None

    def _set_lock(
        self, bot_id: str, flow_id: str | None, change: Document, entry: Callable[[Document], Document | None]
    ) -> Document | None:
        """What the bot or the flow was before; None if it is not there."""
        found: list[Document | None] = []

        def write(tx: ClientSession) -> None:
            if flow_id is None:
                where, this = self._bots, {"_id": bot_id}
            else:
                where, this = self._flows, {"_id": flow_id, "botId": bot_id}
            before = where.find_one_and_update(this, change, {"deployLock": 1}, session=tx)
            audit = entry(before) if before is not None else None
            if audit is not None:
                self._audit.record(audit, session=tx)
            found[:] = [before]

        in_transaction(self._db, write, most_seconds=_MOST_SECONDS)
        return found[0]

    # Looking

    def live(self, flow_id: str) -> Document | None:
        """A flow's live version, without its flow."""
        return self._live(flow_id)

    def previous(self, flow_id: str, before: int | None) -> Document | None:
        """The version that was live before the one of this number (None: the last one), with its flow."""
        query: Document = {"flowId": flow_id, "isDraft": False}
        if before is not None:
            query["versionNumber"] = {"$lt": before}
        return self._versions.find_one(query, sort=[("versionNumber", -1)])

    def deployed(self, flow_id: str, version_id: str) -> Document | None:
        """A version of the flow that is or was live, with its flow."""
        return self._versions.find_one({"_id": version_id, "flowId": flow_id, "isDraft": False})

    def standing(self, bot_id: str) -> dict[str, dict[str, int]]:
        """By version and node, how many customers' conversations of the bot are under way there.

        Reads an index and nothing else, however many conversations there are.
        """
        place = {"version": "$flowVersionId", "node": "$currentNodeId"}
        counted = self._sessions.aggregate(
            [
                {"$match": {"runsFor": bot_id}},
                {"$group": {"_id": place, "count": {"$sum": 1}}},
            ]
        )
        found: dict[str, dict[str, int]] = {}
        for group in counted:
            found.setdefault(group["_id"]["version"], {})[group["_id"]["node"] or ""] = group["count"]
        return found

    def figures(self, flow_id: str, version_ids: list[str]) -> list[Document]:
        """Those of these versions that are the flow's, the newest first, without their flows."""
        query = {"_id": {"$in": version_ids}, "flowId": flow_id}
        return list(self._versions.find(query, _NO_FLOW_DATA).sort("versionNumber", -1))

    def flow_data(self, version_ids: list[str]) -> dict[str, Document]:
        """What runs in these versions."""
        found = self._versions.find({"_id": {"$in": version_ids}}, {"flowData": 1})
        return {version["_id"]: version["flowData"] for version in found}


def lock_of(document: Document, now: datetime) -> Document | None:
    """The lock that a bot or a flow has, unless it is over."""
    lock: Document | None = document.get("deployLock")
    if lock is None or (lock["until"] is not None and lock["until"] <= now):
        return None
    return lock


def _no_check(live: Document | None, tx: ClientSession) -> None:
    del live, tx
