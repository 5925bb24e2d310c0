"""Drafts of flows: one working copy each, saved by revision, with a history that grows as people work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.ids import new_ulid
from common.model.flow_content import content_bytes, content_hash, node_count, saved_hash, stamped
from common.store.database import Document
from common.store.flow_versions import next_number, version_document
from common.store.transaction import in_transaction

HISTORY_EVERY: Final = timedelta(minutes=10)
SAVING_SECONDS: Final = 2.5  # that a person waits for a save at most
_NO_FLOW_DATA: Final = {"flowData": 0}


class StaleRevision(Exception):  # noqa: N818 - what the save is
    """Somebody saved meanwhile. `saved_by` is a user's id."""

    def __init__(self, revision: int, saved_by: str | None, saved_at: datetime | None) -> None:
        super().__init__(f"it is at revision {revision} now")
        self.revision = revision
        self.saved_by = saved_by
        self.saved_at = saved_at


class NoSuchFlow(Exception):  # noqa: N818 - says what is the case
    """The flow is not there, or has just been deleted."""


@dataclass(frozen=True, slots=True)
class DraftSave:
    """What to save. `kept_note` is written beside the state that is replaced, if that goes into the history first."""

    flow_data: Mapping[str, Any]
    revision: int  # that it started from
    by: str
    is_manual: bool = False
    note: str = ""
    kept_note: str | None = None


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """The draft as it is now, without its flow. `version_id`: the entry that the save added to the history."""

    draft: Document
    version_id: str | None
    has_changed: bool


class FlowDrafts:
    """The `flow_drafts` collection. The flow's own document repeats the draft's figures, for lists."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._drafts = database["flow_drafts"]
        self._flows = database["flows"]
        self._versions = database["flow_versions"]

    def draft(self, bot_id: str, flow_id: str) -> Document | None:
        """A flow's draft."""
        return self._drafts.find_one({"_id": flow_id, "botId": bot_id})

    def save_draft(
        self, bot_id: str, flow_id: str, flow_data: Mapping[str, Any], *, revision: int, by: str,
        is_manual: bool = False, note: str = "", kept_note: str | None = None,
    ) -> SavedDraft:  # fmt: skip
        """Replace the draft, which must still be at `revision`. Raises StaleRevision and NoSuchFlow.

        A manual save, and the first one ten minutes after the last entry, becomes an entry of the history. What is
        replaced goes there first if it is not yet there and has stood for ten minutes, or if `kept_note` says so.
        Saving what is there already changes nothing, whatever the revision; saved manually, it gets its entry.
        """
        save = DraftSave(flow_data, revision, by, is_manual, note, kept_note)
        figures = _figures(flow_data)  # once, however often the transaction is tried
        saved: list[SavedDraft] = []

        def write(tx: ClientSession) -> None:
            saved[:] = [self._save(bot_id, flow_id, save, figures, tx)]

        in_transaction(self._db, write, most_seconds=SAVING_SECONDS)
        return saved[0]

    def _save(
        self, bot_id: str, flow_id: str, save: DraftSave, figures: Document, tx: ClientSession
    ) -> SavedDraft:
        draft = self._drafts.find_one({"_id": flow_id, "botId": bot_id}, _NO_FLOW_DATA, session=tx)
        flow = self._flows.find_one({"_id": flow_id, "botId": bot_id}, {"name": 1}, session=tx)
        if draft is None or flow is None:
            raise NoSuchFlow(flow_id)
        is_in_history = draft["historyRevision"] == draft["revision"]
        if draft["savedHash"] == figures["savedHash"]:
            if not save.is_manual or (is_in_history and not save.note):
                return SavedDraft(draft, None, has_changed=False)
            has_changed, revision = False, draft["revision"]
        elif draft["revision"] != save.revision:
            raise StaleRevision(draft["revision"], draft["savedBy"], draft["savedAt"])
        else:
            has_changed, revision = True, draft["revision"] + 1
        now = utc_now()
        draft.setdefault("bytes", figures["bytes"])  # older drafts do not say
        if has_changed and not is_in_history and _is_kept(draft, save, now):
            self._keep_replaced(bot_id, flow_id, save.kept_note or "", tx)
        data = stamped(save.flow_data, flow_id=flow_id, bot_id=bot_id, name=flow["name"])
        version_id = None
        if save.is_manual or now - draft["historyAt"] >= HISTORY_EVERY:
            version_id = self._add_version(bot_id, flow_id, data, revision, save.by, save.note, now, tx)
            draft |= {"historyRevision": revision, "historyAt": now}
        if has_changed:
            draft |= {"revision": revision, "savedBy": save.by, "savedAt": now, **figures}
        changes = {**draft, "flowData": data} if has_changed else draft
        self._drafts.update_one({"_id": flow_id}, {"$set": changes}, session=tx)
        # Also holds off everybody else who saves, deploys or deletes this flow at the same time.
        self._flows.update_one(
            {"_id": flow_id}, {"$set": {"draft": draft_figures(draft), "updatedAt": now}}, session=tx
        )
        return SavedDraft(draft, version_id, has_changed)

    def _keep_replaced(self, bot_id: str, flow_id: str, note: str, tx: ClientSession) -> None:
        draft = self._drafts.find_one({"_id": flow_id}, session=tx)
        if draft is not None:
            at, by = draft["savedAt"], draft["savedBy"]
            self._add_version(bot_id, flow_id, draft["flowData"], draft["revision"], by, note, at, tx)

    def _add_version(  # noqa: PLR0917 - private; all of it is needed
        self, bot_id: str, flow_id: str, flow_data: Document, revision: int, by: str, note: str, at: datetime,
        tx: ClientSession,
    ) -> str:  # fmt: skip
        version = version_document(
            version_id=new_ulid(),
            bot_id=bot_id,
            flow_id=flow_id,
            number=next_number(self._db, flow_id, tx),
            flow_data=flow_data,
            by=by,
            at=at,
            note=note,
            revision=revision,
        )
        self._versions.insert_one(version, session=tx)
        version_id: str = version["_id"]
        return version_id


def _is_kept(draft: Document, save: DraftSave, now: datetime) -> bool:
    """Whether what is replaced would be missed: it stood for a while, or whoever replaces it says so."""
    return save.kept_note is not None or now - draft["savedAt"] >= HISTORY_EVERY


def _figures(flow_data: Mapping[str, Any]) -> Document:
    return {
        "savedHash": saved_hash(flow_data),
        "contentHash": content_hash(flow_data),
        "nodeCount": node_count(flow_data),
        "bytes": content_bytes(flow_data),
    }


def draft_figures(draft: Document) -> Document:
    """What the flow's own document repeats of its draft."""
    return {key: draft[key] for key in ("revision", "contentHash", "nodeCount", "bytes", "savedAt")}


def new_draft(
    flow_id: str, bot_id: str, flow_data: Document, *, by: str, at: datetime, is_kept: bool
) -> Document:
    """A flow's first draft. `is_kept`: it is in the history already, or nothing that anybody would miss."""
    return {
        "_id": flow_id,
        "botId": bot_id,
        "revision": 1,
        "flowData": flow_data,
        **_figures(flow_data),
        "savedBy": by,
        "savedAt": at,
        "historyRevision": 1 if is_kept else 0,
        "historyAt": at,
    }
