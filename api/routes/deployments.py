"""Deploys: a flow goes live, back to an earlier version, or offline; and locks against all of it."""

from __future__ import annotations

from typing import Any, Final

from api.deploying import (
    Candidate,
    check_deployable,
    draft_candidate,
    draft_moved,
    numbers_of,
    plan_for,
    preconditions,
    refused,
    rollback_candidate,
    show_lock,
)
from api.flow_paths import draft_of, flow_of
from api.rest.access import Access
from api.rest.call import Call, conflict, not_found
from api.rest.routes import Routes
from api.schemas.deployments import (
    DeployedView,
    DeployLockView,
    Deployment,
    DeployPlanQuery,
    DeployPlanView,
    NewDeployLock,
    Rollback,
    UndeployedView,
)
from common.errors import ErrorCode
from common.model.flow_settings import RunningConversations
from common.store.database import Document
from common.store.deployments import Deploy, DeployRefused, Why

routes = Routes("deployments", "/api/bots/<bot_id>", "Deploys: flows go live, back and offline.")
# So often a draft is checked anew because the bot was changed between the check and the deploy.
_TRIES: Final = 3


@routes.get(
    "/flows/<flow_id>/deploy-plan", access=Access.READER, query=DeployPlanQuery, answer=DeployPlanView
)
def get_deploy_plan(call: Call) -> Document:
    """Show what a deploy would do.

    Whether everything is ready, how many conversations stand at which node of which version, and what becomes of
    those nodes. With `versionId`: what a rollback to that version would do.
    """
    flow = flow_of(call)
    version_id = call.query["version_id"]
    if version_id is None:
        candidate = draft_candidate(call, flow, draft_of(call))
    else:
        candidate = rollback_candidate(call, flow, _deployed(call, version_id))
    found = preconditions(call, candidate)
    return {
        **plan_for(call, flow, candidate.flow_data),
        "targetVersionId": version_id,
        "targetVersionNumber": candidate.version["versionNumber"] if candidate.version else None,
        "targetRevision": candidate.draft["revision"] if candidate.draft else None,
        "isDeployable": all(one["isMet"] for one in found),
        "preconditions": found,
        "errorCount": len(candidate.validation.errors),
        "warningCount": len(candidate.validation.warnings),
    }


@routes.post(
    "/flows/<flow_id>/deploy", access=Access.OWNER, body=Deployment, answer=DeployedView, idempotent=True
)
def deploy_flow(call: Call) -> Document:
    """Put the draft live.

    It becomes an immutable version; the one that was live is kept. Every worker goes by it within a second. 409
    `not_deployable` with the issues where something stands in the way, `deploy_locked`, `revision_conflict` where the
    draft was saved since, `conflict` where another version went live meanwhile. The first flow of a bot that goes live
    becomes its default flow.
    """
    flow = flow_of(call)
    known = _made_before(call, flow)
    if known is not None:
        return known
    live_before = _live_before(call, call.store.deployments.live(flow["_id"]))
    try:
        return _deploy_draft(call, live_before, tries=_TRIES)
    except DeployRefused as refusal:
        raise refused(call, refusal) from None


@routes.post(
    "/flows/<flow_id>/rollback", access=Access.OWNER, body=Rollback, answer=DeployedView, idempotent=True
)
def roll_back_flow(call: Call) -> Document:
    """Go back to an earlier version.

    Its flow goes live once more, as a new version that says whose copy it is; the draft stays as it is. Without
    `versionId`, to the version that was live before the present one. What the version relies on and is not there any
    more (a variable of the bot, an account) is told in `issues`, and refuses nothing. A rollback needs no WhatsApp.
    """
    flow = flow_of(call)
    known = _made_before(call, flow)
    if known is not None:
        return known
    live = call.store.deployments.live(flow["_id"])
    if call.body["version_id"] is None:
        version = call.store.deployments.previous(flow["_id"], live["versionNumber"] if live else None)
        if version is None:
            raise conflict(ErrorCode.CONFLICT, "There is no earlier version to go back to.")
    else:
        version = _deployed(call, call.body["version_id"])
    if live is not None and version["_id"] == live["_id"]:
        raise conflict(ErrorCode.CONFLICT, f"Version {version['versionNumber']} is live already.")
    candidate = rollback_candidate(call, flow, version)
    try:
        return _go_live(call, candidate, "flow.rolled_back", _live_before(call, live))
    except DeployRefused as refusal:
        raise refused(call, refusal) from None


@routes.post("/flows/<flow_id>/undeploy", access=Access.OWNER, answer=UndeployedView)
def undeploy_flow(call: Call) -> Document:
    """Take a flow offline.

    No conversation begins with it any more; those under way go on to their end. 409 where it is the bot's default
    flow and other flows are live: whoever fits none of their triggers would get no answer. If it is the bot's only
    live flow, the bot then answers nobody who is not in a conversation already.
    """
    flow = flow_of(call)
    audit = call.audit_entry("flow.undeployed", target_type="flow", target_id=flow["_id"])
    try:
        live = call.store.deployments.undeploy(call.bot_id, flow["_id"], by=call.user_id, audit=audit)
    except DeployRefused as refusal:
        raise refused(call, refusal) from None
    under_way = plan_for(call, flow, {})["conversations"]
    return {"version": _shown(call, {**live, "isProduction": False}), "conversations": under_way}


@routes.post("/flows/<flow_id>/deploy-lock", access=Access.OWNER, body=NewDeployLock, answer=DeployLockView)
def lock_flow_deploys(call: Call) -> Document:
    """Lock a flow's deploys.

    Nothing of it goes live, back or offline until the lock is over or taken off. A second lock replaces the first.
    """
    return _lock(call, flow_of(call)["_id"])


@routes.delete("/flows/<flow_id>/deploy-lock", access=Access.OWNER)
def unlock_flow_deploys(call: Call) -> None:
    """Take the lock off a flow's deploys."""
    _unlock(call, flow_of(call)["_id"])


@routes.post("/deploy-lock", access=Access.OWNER, body=NewDeployLock, answer=DeployLockView)
def lock_bot_deploys(call: Call) -> Document:
    """Lock the deploys of all flows of a bot."""
    return _lock(call, None)


@routes.delete("/deploy-lock", access=Access.OWNER)
def unlock_bot_deploys(call: Call) -> None:
    """Take the lock off a bot's deploys; locks on its flows stay."""
    _unlock(call, None)


def _deployed(call: Call, version_id: str) -> Document:
    version = call.store.deployments.deployed(call.path["flow_id"], version_id)
    if version is None:
        raise not_found("version that was live")
    return version


def _live_before(call: Call, live: Document | None) -> str | None:
    """The live version that the caller has seen; whoever does not say takes the one of now."""
    seen: str | None = call.body.get("live_version_id", live["_id"] if live else None)
    return seen


def _made_before(call: Call, flow: Document) -> Document | None:
    """The answer to a request that was carried out already, and whose answer was lost.

    The draft, the bot and what is live may be different by now. The numbers and the issues are those of now.
    """
    version = call.store.deployments.deployed(flow["_id"], call.new_id)
    if version is None:
        return None
    candidate = rollback_candidate(call, flow, version)
    return _answer(call, version, candidate, _numbers(call, candidate))


def _deploy_draft(call: Call, live_before: str | None, *, tries: int) -> Document:
    """Check the draft and put it live; anew if what it was checked against changed meanwhile. Raises DeployRefused."""
    revision = call.store.bots.revisions([call.bot_id]).get(call.bot_id)  # before anything is looked at
    flow, draft = flow_of(call), draft_of(call)
    if draft["revision"] != call.body["revision"]:
        raise draft_moved(call, draft)
    candidate = draft_candidate(call, flow, draft)
    try:
        return _go_live(call, candidate, "flow.deployed", live_before, config_revision=revision)
    except DeployRefused as refusal:
        if tries == 1 or refusal.why is not Why.CONFIG_MOVED:
            raise
    return _deploy_draft(call, live_before, tries=tries - 1)


def _go_live(
    call: Call, candidate: Candidate, action: str, live_before: str | None, config_revision: int | None = None
) -> Document:
    """Raises AppError where a precondition is not met, and DeployRefused."""
    deployments, flow, source = call.store.deployments, candidate.flow, candidate.version
    check_deployable(call, candidate)
    numbers = _numbers(call, candidate)
    detail = {"conversations": numbers["conversations"]}
    order = Deploy(
        version_id=call.new_id,
        bot_id=call.bot_id,
        flow_id=flow["_id"],
        flow_data=candidate.flow_data,
        by=call.user_id,
        revision=candidate.draft["revision"] if candidate.draft else (source or {}).get("revision", 0),
        live_before=live_before,
        running=RunningConversations(call.body["running_conversations"]),
        note=call.body["note"],
        config_revision=config_revision,
        audit=call.audit_entry(action, target_type="flow", target_id=flow["_id"], detail=detail),
    )
    version = deployments.deploy(order) if source is None else deployments.roll_back(order, source)
    return _answer(call, version, candidate, numbers)


def _numbers(call: Call, candidate: Candidate) -> Document:
    running = RunningConversations(call.body["running_conversations"])
    return numbers_of(plan_for(call, candidate.flow, candidate.flow_data), running)


def _answer(call: Call, version: Document, candidate: Candidate, numbers: Document) -> Document:
    verdict = candidate.validation.to_json()
    return {
        "version": _shown(call, version),
        "replacedVersionId": version["replaces"],
        **numbers,
        "issues": verdict["issues"],
        "moreIssues": verdict["moreIssues"],
    }


def _shown(call: Call, version: Document) -> Document:
    """A version as `DeployedVersionView` reads it."""
    by = version.get("deployedBy")
    return {
        **version,
        "note": version.get("note") or "",
        "deployedBy": call.store.flows.emails([by]).get(by or ""),
    }


def _lock(call: Call, flow_id: str | None) -> Document:
    reason = call.body["reason"]
    lock = call.store.deployments.lock(
        call.bot_id,
        flow_id,
        reason=reason,
        by=call.user_id,
        until=call.body["until"],
        audit=_lock_entry(call, "flow.deploy_locked", flow_id, {"reason": reason}),
    )
    if lock is None:
        raise not_found("flow")
    return show_lock(call, lock)


def _unlock(call: Call, flow_id: str | None) -> None:
    audit = _lock_entry(call, "flow.deploy_unlocked", flow_id, {})
    call.store.deployments.unlock(call.bot_id, flow_id, audit=audit)


def _lock_entry(call: Call, action: str, flow_id: str | None, detail: dict[str, Any]) -> Document:
    kind = "flow" if flow_id else "bot"
    return call.audit_entry(action, target_type=kind, target_id=flow_id or call.bot_id, detail=detail)
