"""What stands before a deploy: the preconditions, each with a sentence, and the plan for the conversations under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.flow_validation import validate_flow
from api.rest.call import Call, conflict
from api.rest.schemas import Moment
from common.clock import utc_now
from common.errors import AppError, ErrorCode
from common.flow.definition import load_flow
from common.flow.deploy_plan import Now, Running, plan
from common.flow.validation.verdict import Validation
from common.model.flow_content import runnable
from common.model.flow_settings import RunningConversations
from common.store.database import Document
from common.store.deployments import DeployRefused, Why, lock_of

# Versions of which the nodes are looked at; conversations on still older ones are only counted.
_MOST_VERSIONS: Final = 20
_WORDS: Final = {
    Why.GONE: "This flow was deleted meanwhile.",
    Why.CONFIG_MOVED: "This bot is being changed all the time just now. Try again in a moment.",
    Why.NOT_LIVE: "This flow is not live.",
    Why.IS_DEFAULT: (
        "New conversations begin with this flow, and other flows are live. Choose another default flow first."
    ),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What would go live: the draft, or (a rollback) an earlier version."""

    flow: Document
    flow_data: dict[str, Any]
    validation: Validation
    version: Document | None = None  # of a rollback
    draft: Document | None = None
    refuses: bool = False  # whether what was found stands in the way


def draft_candidate(call: Call, flow: Document, draft: Document) -> Candidate:
    """The draft, as it would run. Every error stands in the way."""
    flow_data = runnable(draft["flowData"], flow)
    validation = validate_flow(call.store, flow, draft["flowData"])
    return Candidate(flow, flow_data, validation, draft=draft, refuses=not validation.is_deployable)


def rollback_candidate(call: Call, flow: Document, version: Document) -> Candidate:
    """An earlier version, exactly as it was.

    It was live before: that the bot lacks something by now, a variable or an account, is told and refuses nothing,
    for going back must be possible when things are bad. Only what cannot run at all stays where it is.
    """
    is_broken = bool(load_flow(version["flowData"], version["_id"]).errors)
    validation = validate_flow(call.store, flow, version["flowData"])
    return Candidate(flow, version["flowData"], validation, version=version, refuses=is_broken)


def preconditions(call: Call, candidate: Candidate) -> list[Document]:
    """Everything that must be so, as `PreconditionView` shows it. A rollback needs no WhatsApp: nothing is sent by it."""
    found = [_validation(candidate), _lock(call, candidate.flow)]
    return found if candidate.version is not None else [_whatsapp(call), *found]


def _met(name: str, message: str, *, is_met: bool) -> Document:
    return {"name": name, "isMet": is_met, "message": message}


def _whatsapp(call: Call) -> Document:
    account = call.store.bots.account_of(call.bot_id)
    if account is None:
        return _met("WHATSAPP", "This bot has no WhatsApp number yet. Connect one first.", is_met=False)
    if account.stopped_for is not None:
        message = "WhatsApp does not take this bot's messages at present. Reconnect WhatsApp first."
        return _met("WHATSAPP", message, is_met=False)
    return _met("WHATSAPP", "WhatsApp is connected.", is_met=True)


def _validation(candidate: Candidate) -> Document:
    errors = len(candidate.validation.errors)
    if candidate.refuses:
        what = "One problem has" if errors == 1 else f"{errors} problems have"
        return _met("VALIDATION", f"{what} to be solved first.", is_met=False)
    if errors:
        message = "It was live before and can be again, but not everything it relies on is there any more."
        return _met("VALIDATION", message, is_met=True)
    return _met("VALIDATION", "Nothing stands in the way.", is_met=True)


def _lock(call: Call, flow: Document) -> Document:
    lock = _locked(call, flow)
    if lock is None:
        return _met("LOCK", "Deploys are not locked.", is_met=True)
    return _met("LOCK", _lock_words(lock), is_met=False)


def _locked(call: Call, flow: Document) -> Document | None:
    now = utc_now()
    return lock_of(call.bot, now) or lock_of(flow, now)


def _lock_words(lock: Document) -> str:
    whole = "this flow" if lock.get("flowId") else "this bot"
    return f"Deploys of {whole} are locked: {lock['reason']}"


def show_lock(call: Call, lock: Document) -> Document:
    """A lock as `DeployLockView` reads it."""
    return {**lock, "by": call.store.flows.emails([lock["by"]]).get(lock["by"])}


def locked_error(call: Call, lock: Document) -> AppError:
    """409: nothing is deployed now."""
    shown = show_lock(call, lock)
    fields = {
        "reason": lock["reason"],
        "by": shown["by"],
        "at": _moment(lock["at"]),
        "until": _moment(lock["until"]),
    }
    return conflict(ErrorCode.DEPLOY_LOCKED, _lock_words(lock), fields)


def check_deployable(call: Call, candidate: Candidate) -> None:
    """Raise AppError 409 where a precondition is not met."""
    lock = _locked(call, candidate.flow)
    if lock is not None:
        raise locked_error(call, lock)
    unmet = [one for one in preconditions(call, candidate) if not one["isMet"]]
    if unmet:
        verdict = candidate.validation.to_json()
        issues = [issue for issue in verdict["issues"] if issue["severity"] == "ERROR"]
        if not candidate.refuses:
            issues = []
        more = len(candidate.validation.errors) - len(issues) if candidate.refuses else 0
        fields = {"preconditions": unmet, "issues": issues, "moreIssues": more}
        sentences = " ".join(one["message"] for one in unmet)
        raise conflict(ErrorCode.NOT_DEPLOYABLE, f"This cannot go live yet. {sentences}", fields)


def plan_for(call: Call, flow: Document, flow_data: Mapping[str, Any]) -> Document:
    """The conversations under way, and what would become of them."""
    deployments = call.store.deployments
    standing = deployments.standing(call.bot_id)
    versions = deployments.figures(flow["_id"], list(standing))
    seen = deployments.flow_data([version["_id"] for version in versions[:_MOST_VERSIONS]])
    live = deployments.live(flow["_id"])
    running = [
        Running(
            version_id=version["_id"],
            number=version["versionNumber"],
            deployed_at=version.get("deployedAt"),
            by_node=standing[version["_id"]],
            flow_data=seen.get(version["_id"]),
        )
        for version in versions
    ]
    now = Now(live["_id"] if live else None, flow.get("restartUpTo", 0), running)
    return {
        **plan(now, flow_data),
        "liveVersionId": now.live_id,
        "liveVersionNumber": live["versionNumber"] if live else None,
    }


def numbers_of(made: Document, running: RunningConversations) -> Document:
    """What the choice means, in numbers."""
    chosen = made["restartOnNew" if running is RunningConversations.RESTART_ON_NEW else "finishOnOld"]
    return {"conversations": made["conversations"], **chosen, "onNodes": made["onNodes"]}


def refused(call: Call, refusal: DeployRefused) -> AppError:
    """What a refusal of the store is to the caller."""
    found, why = refusal.found, refusal.why
    if why is Why.LOCKED:
        return locked_error(call, found)
    if why is Why.DRAFT_MOVED:
        return draft_moved(call, found)
    if why is Why.LIVE_MOVED:
        return _live_moved(found)
    if why is Why.ALREADY_LIVE:
        message = f"This state of the draft is live already, as version {found['versionNumber']}."
        return conflict(ErrorCode.CONFLICT, message, {"versionId": found["_id"]})
    return conflict(ErrorCode.CONFLICT, _WORDS[why])


def draft_moved(call: Call, draft: Document) -> AppError:
    """409: what is in the draft now is not what was looked at."""
    saved_by: str | None = draft.get("savedBy")
    return conflict(
        ErrorCode.REVISION_CONFLICT,
        "The draft was saved meanwhile, perhaps in another window. Look at it again before you deploy.",
        {
            "revision": draft.get("revision", 0),
            "savedBy": call.store.flows.emails([saved_by]).get(saved_by or ""),
            "savedAt": _moment(draft.get("savedAt")),
        },
    )


def _live_moved(live: Document) -> AppError:
    what = f"version {live['versionNumber']} went live" if live else "the flow was taken offline"
    return conflict(
        ErrorCode.CONFLICT,
        f"Meanwhile {what}. Look at it again before you decide.",
        {
            "liveVersionId": live.get("_id"),
            "liveVersionNumber": live.get("versionNumber"),
            "deployedAt": _moment(live.get("deployedAt")),
        },
    )


def _moment(moment: datetime | None) -> Any:
    return Moment().serialize("at", {"at": moment})
