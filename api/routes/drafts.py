"""The working draft of a flow: load it, save it."""

from __future__ import annotations

from api.flow_paths import MOST_BODY_BYTES, draft_of, stale
from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.routes.flows import check_shape
from api.schemas.drafts import DraftChange, DraftView, SavedDraftView
from common.store.database import Document
from common.store.flow_drafts import NoSuchFlow, SavedDraft, StaleRevision

routes = Routes(
    "drafts", "/api/bots/<bot_id>/flows/<flow_id>/draft", "The working draft of a flow: load it, save it."
)


@routes.get("", access=Access.READER, answer=DraftView)
def get_draft(call: Call) -> Document:
    """Load a flow's draft."""
    draft = draft_of(call)
    return draft | {"savedBy": call.store.flows.emails([draft["savedBy"]]).get(draft["savedBy"] or "")}


@routes.put(
    "",
    access=Access.OWNER,
    body=DraftChange,
    answer=SavedDraftView,
    idempotent=True,
    most_bytes=MOST_BODY_BYTES,
)
def save_draft(call: Call) -> Document:
    """Save a flow's draft.

    An unfinished flow can be saved; only its shape is checked. AUTO saves replace the draft; a MANUAL save, and the
    first one ten minutes after the last entry, is an entry of the history too. Saving what is saved already changes
    nothing. 409 `revision_conflict` where somebody saved meanwhile, with who and when.
    """
    check_shape(call.body["flow_data"])
    try:
        saved = call.store.flows.save_draft(
            call.bot_id,
            call.path["flow_id"],
            call.body["flow_data"],
            revision=call.body["revision"],
            by=call.user_id,
            is_manual=call.body["kind"] == "MANUAL",
            note=call.body["note"],
        )
    except NoSuchFlow:
        raise not_found("flow") from None
    except StaleRevision as revision:
        raise stale(call, revision) from None
    return show_saved(call, saved)


def show_saved(call: Call, saved: SavedDraft) -> Document:
    """What became of a save, as `SavedDraftView` reads it."""
    saved_by = saved.draft["savedBy"]
    return {
        **saved.draft,
        "savedBy": call.store.flows.emails([saved_by]).get(saved_by or ""),
        "versionId": saved.version_id,
        "hasChanged": saved.has_changed,
    }
