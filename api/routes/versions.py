"""A flow's history: what was saved and what was deployed; compare and restore it."""

from __future__ import annotations

from typing import Any

from api.flow_paths import flow_of, show_versions, stale, state_of, version_of
from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.routes.drafts import show_saved
from api.schemas.drafts import SavedDraftView
from api.schemas.versions import (
    ComparisonQuery,
    ComparisonView,
    Restoration,
    VersionDetailView,
    VersionNote,
    VersionsQuery,
    VersionView,
)
from common.flow.compare import compare
from common.model.flow_content import runnable
from common.store.database import Document
from common.store.flow_drafts import NoSuchFlow, StaleRevision
from common.store.paging import Page

routes = Routes(
    "versions",
    "/api/bots/<bot_id>/flows/<flow_id>",
    "A flow's history: what was saved and what was deployed; compare and restore it.",
)


@routes.get("/versions", access=Access.READER, query=VersionsQuery, answer=page_of(VersionView))
def list_versions(call: Call) -> Document:
    """List a flow's versions, the newest first."""
    page = call.store.flow_versions.page(
        call.bot_id,
        flow_of(call)["_id"],
        limit=call.query["limit"],
        cursor=call.query["cursor"],
        is_deployed=call.query["is_deployed"],
    )
    return Page(show_versions(call, page.items), page.next_cursor).as_document()


@routes.get("/versions/<version_id>", access=Access.READER, answer=VersionDetailView)
def get_version(call: Call) -> Document:
    """Load a version with its flow."""
    return show_versions(call, [version_of(call, call.path["version_id"])])[0]


@routes.patch("/versions/<version_id>", access=Access.OWNER, body=VersionNote, answer=VersionView)
def note_version(call: Call) -> Document:
    """Change the note beside a version. Its flow never changes."""
    flow_id = flow_of(call)["_id"]
    version = call.store.flow_versions.set_note(
        call.bot_id, flow_id, call.path["version_id"], call.body["note"]
    )
    if version is None:
        raise not_found("version")
    return show_versions(call, [version])[0]


@routes.post(
    "/versions/<version_id>/restore",
    access=Access.OWNER,
    body=Restoration,
    answer=SavedDraftView,
    idempotent=True,
)
def restore_version(call: Call) -> Document:
    """Make a version the draft.

    What the draft was goes into the history first, unless it is there. 409 `revision_conflict` where somebody saved
    meanwhile. What is live does not change.
    """
    version = version_of(call, call.path["version_id"])
    number = version["versionNumber"]
    try:
        saved = call.store.flows.save_draft(
            call.bot_id,
            call.path["flow_id"],
            version["flowData"],
            revision=call.body["revision"],
            by=call.user_id,
            is_manual=True,
            note=call.body["note"] or f"Version {number} restored",
            kept_note=f"Before version {number} was restored",
        )
    except NoSuchFlow:
        raise not_found("flow") from None
    except StaleRevision as revision:
        raise stale(call, revision) from None
    return show_saved(call, saved)


@routes.get("/compare", access=Access.READER, query=ComparisonQuery, answer=ComparisonView)
def compare_versions(call: Call) -> dict[str, Any]:
    """Compare two states of a flow: the draft, what is live, any version.

    Nodes added and removed, values changed field by field, nodes that only moved, connections, settings, variables.
    """
    flow = flow_of(call)
    before, after = (_as_it_runs(call, flow, call.query[at]) for at in ("from_", "to"))
    return compare(before, after)


def _as_it_runs(call: Call, flow: Document, at: str) -> dict[str, Any]:
    """What was not deployed would run with the flow settings of today; what was keeps those that it had."""
    found = state_of(call, at)
    data: dict[str, Any] = found["flowData"]
    return data if found.get("isDraft") is False else runnable(data, flow)
