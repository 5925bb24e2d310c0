"""The flow, draft or version that a path names, and how flows and versions are shown."""

from __future__ import annotations

from collections.abc import Sequence

from api.rest.call import Call, not_found
from api.stale_save import stale_save
from common.errors import AppError
from common.flow.shape import MOST_BYTES
from common.store.database import Document
from common.store.flow_drafts import StaleRevision

# A flow of the largest size, and what stands around it. Written in ASCII, text can take thrice the room.
MOST_BODY_BYTES = 3 * MOST_BYTES + 64 * 1024


def flow_of(call: Call) -> Document:
    """The flow that the path names. Raises AppError 404."""
    flow = call.store.flows.find(call.bot_id, call.path["flow_id"])
    if flow is None:
        raise not_found("flow")
    return flow


def draft_of(call: Call) -> Document:
    """The draft of the flow that the path names. Raises AppError 404."""
    draft = call.store.flows.draft(call.bot_id, call.path["flow_id"])
    if draft is None:
        raise not_found("flow")
    return draft


def version_of(call: Call, version_id: str) -> Document:
    """A version of the flow that the path names, with its flow. Raises AppError 404."""
    flow_of(call)  # versions of a deleted flow stay, for its conversations only
    version = call.store.flow_versions.find(call.bot_id, call.path["flow_id"], version_id)
    if version is None:
        raise not_found("version")
    return version


def state_of(call: Call, at: str) -> Document:
    """The draft (`draft`), the live version (`live`) or the version of this id, with its flow. Raises AppError 404."""
    if at == "draft":
        return draft_of(call)
    if at != "live":
        return version_of(call, at)
    live = call.store.flow_versions.live_one(call.bot_id, flow_of(call)["_id"])
    if live is None:
        raise not_found("live version")
    return live


def stale(call: Call, revision: StaleRevision) -> AppError:
    """409: somebody saved meanwhile, with who and when."""
    return stale_save(call, revision.revision, revision.saved_by, revision.saved_at)


def show_flows(call: Call, flows: Sequence[Document]) -> list[Document]:
    """Flows as `FlowView` reads them."""
    live = call.store.flow_versions.live([flow["_id"] for flow in flows])
    return [_shown_flow(flow, live.get(flow["_id"]), call.bot.get("activeFlowId")) for flow in flows]


def _shown_flow(flow: Document, live: Document | None, default_id: str | None) -> Document:
    draft = flow.get("draft") or {}
    return {
        **flow,
        "description": flow.get("description") or "",
        "revision": flow.get("revision", 0),
        "draftRevision": draft.get("revision"),
        "nodeCount": draft.get("nodeCount", 0),
        "liveVersionId": live["_id"] if live else None,
        "liveVersionNumber": live["versionNumber"] if live else None,
        "deployedAt": live.get("deployedAt") if live else None,
        "isDefault": flow["_id"] == default_id,
        "hasUnpublishedChanges": bool(draft)
        and (live is None or draft["contentHash"] != live["contentHash"]),
    }


def show_versions(call: Call, versions: Sequence[Document]) -> list[Document]:
    """Versions as `VersionView` reads them."""
    emails = call.store.flows.emails([v.get(key) for v in versions for key in ("createdBy", "deployedBy")])
    return [
        {
            **version,
            "note": version.get("note") or "",
            "isDraft": bool(version.get("isDraft")),
            "isProduction": bool(version.get("isProduction")),
            "createdBy": emails.get(version.get("createdBy") or ""),
            "deployedBy": emails.get(version.get("deployedBy") or ""),
        }
        for version in versions
    ]
