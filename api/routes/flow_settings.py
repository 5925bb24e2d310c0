"""What is set for a flow as a whole: the texts that start it, and what follows its end."""

from __future__ import annotations

from typing import Any, Final

from api.flow_paths import flow_of, stale
from api.rest.access import Access
from api.rest.call import Call, conflict, invalid, not_found
from api.rest.routes import Routes
from api.schemas.flow_settings import (
    DefaultFlowChoice,
    DefaultFlowView,
    FlowSettingsChange,
    FlowSettingsView,
    read_triggers,
)
from common.errors import AppError, ErrorCode
from common.model.flow_settings import FlowSettings, RestartPolicy
from common.model.triggers import Collision
from common.store.database import Document
from common.store.flow_drafts import NoSuchFlow, StaleRevision
from common.store.flow_settings import (
    FallbackRefused,
    NotAFallback,
    NotLive,
    TriggersCollide,
    settings_of,
    trigger_document,
    triggers_of,
)

routes = Routes("flow_settings", "/api/bots/<bot_id>", "What starts a flow, and what follows its end.")

_WHY: Final = {
    NotAFallback.UNKNOWN: "This bot has no such flow.",
    NotAFallback.ITSELF: "A flow cannot take over from itself. Let it restart instead.",
    NotAFallback.LEADS_BACK: "That flow, or one after it, hands over to this one again: nobody would get out.",
}


@routes.get("/flows/<flow_id>/settings", access=Access.READER, answer=FlowSettingsView)
def get_flow_settings(call: Call) -> Document:
    """Show a flow's settings and triggers."""
    return _shown(call, flow_of(call))


@routes.put(
    "/flows/<flow_id>/settings", access=Access.OWNER, body=FlowSettingsChange, answer=FlowSettingsView
)
def set_flow_settings(call: Call) -> Document:
    """Change a flow's settings and triggers.

    They take effect within a second, without a deploy. A first message is given to the trigger that fits best: EXACT
    goes before STARTS_WITH, and that before CONTAINS; the longer text goes first; who fits none gets the default flow.
    409 `trigger_conflict` where another flow of the bot has the same text for the same, and where a text would be
    STARTS_WITH for one flow and CONTAINS for another. 409 `revision_conflict` where somebody changed the flow meanwhile.
    """
    flow = flow_of(call)
    settings = FlowSettings(RestartPolicy(call.body["restart_policy"]), call.body["fallback_flow_id"])
    triggers = read_triggers(call.body["triggers"])
    try:
        changed = call.store.flow_settings.change(
            call.bot_id,
            flow["_id"],
            revision=call.body["revision"],
            by=call.user_id,
            settings=settings,
            triggers=triggers,
        )
    except NoSuchFlow:
        raise not_found("flow") from None
    except StaleRevision as revision:
        raise stale(call, revision) from None
    except FallbackRefused as refusal:
        raise invalid({"fallbackFlowId": [_WHY[refusal.why]]}) from None
    except TriggersCollide as colliding:
        raise _collision(colliding.collision) from None
    detail = {"before": _kept(flow), "after": _kept(changed)}
    call.audit("flow.settings_changed", target_type="flow", target_id=flow["_id"], detail=detail)
    return _shown(call, changed)


@routes.put("/default-flow", access=Access.OWNER, body=DefaultFlowChoice, answer=DefaultFlowView)
def set_default_flow(call: Call) -> Document:
    """Choose the flow that conversations begin with when no trigger fits. It has to be live."""
    flow_id = call.body["flow_id"]
    try:
        call.store.flow_settings.set_default(call.bot_id, flow_id)
    except NoSuchFlow:
        raise invalid({"flowId": ["This bot has no such flow."]}) from None
    except NotLive:
        message = "This flow is not live, so nobody would get an answer. Deploy it first."
        raise conflict(ErrorCode.CONFLICT, message) from None
    detail = {"before": call.bot.get("activeFlowId"), "after": flow_id}
    call.audit("bot.default_flow_changed", target_type="bot", target_id=call.bot_id, detail=detail)
    return {"botId": call.bot_id, "flowId": flow_id}


def _collision(found: Collision) -> AppError:
    other, theirs = found.other, found.other_trigger
    message = (
        f'The flow "{other.name}" has the trigger "{theirs.text}" already, so that nobody could say which of the '
        "two flows is meant. Choose another text."
    )
    return conflict(
        ErrorCode.TRIGGER_CONFLICT,
        message,
        {
            "text": found.trigger.text,
            "match": found.trigger.match.value,
            "flowId": other.flow_id,
            "flowName": other.name,
            "otherText": theirs.text,
            "otherMatch": theirs.match.value,
        },
    )


def _kept(flow: Document) -> dict[str, Any]:
    return {key: flow.get(key) for key in ("settings", "triggers")}


def _shown(call: Call, flow: Document) -> Document:
    """A flow's settings; where it has none of its own, those of its live version count."""
    settings = settings_of(flow) or _of_version(call, flow)
    return {
        "flowId": flow["_id"],
        "revision": flow.get("revision", 0),
        "restartPolicy": settings.restart_policy.value,
        "fallbackFlowId": settings.fallback_flow_id,
        "triggers": [trigger_document(trigger) for trigger in triggers_of(flow)],
        "isDefault": call.bot.get("activeFlowId") == flow["_id"],
    }


def _of_version(call: Call, flow: Document) -> FlowSettings:
    live = call.store.flow_versions.live_one(call.bot_id, flow["_id"])
    stored = (live or {}).get("flowData", {}).get("settings") or {}
    return settings_of({"settings": stored}) or FlowSettings()
