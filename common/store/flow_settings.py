"""What is set for a flow as a whole: its triggers and what follows its end. Workers go by it within a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.clock import utc_now
from common.model.flow_settings import FlowSettings, Match, RestartPolicy, Trigger
from common.model.triggers import Claimed, Collision, collision
from common.store.database import Document
from common.store.flow_drafts import SAVING_SECONDS, NoSuchFlow, StaleRevision
from common.store.transaction import in_transaction

_RULES: Final = {"name": 1, "triggers": 1, "settings": 1}


def settings_of(flow: Document) -> FlowSettings | None:
    """A flow's own settings; None where it has none, and those in its version's JSON count."""
    stored = flow.get("settings")
    if not stored or not stored.get("restartPolicy"):
        return None
    return FlowSettings(RestartPolicy(stored["restartPolicy"]), stored.get("fallbackFlowId"))


def triggers_of(flow: Document) -> tuple[Trigger, ...]:
    """A flow's triggers."""
    return tuple(
        Trigger(stored["text"], Match(stored["match"]), stored.get("interrupts", False))
        for stored in flow.get("triggers", ())
    )


def trigger_document(trigger: Trigger) -> Document:
    """A trigger as a flow's document keeps it."""
    return {"text": trigger.text, "match": trigger.match.value, "interrupts": trigger.interrupts}


class TriggersCollide(Exception):  # noqa: N818 - what the triggers do
    """One of them cannot stand beside another flow's."""

    def __init__(self, collision_: Collision) -> None:
        super().__init__("a trigger collides with another flow's")
        self.collision = collision_


class NotAFallback(StrEnum):
    """Why a flow cannot take over after another one's end."""

    UNKNOWN = "UNKNOWN"
    ITSELF = "ITSELF"
    LEADS_BACK = "LEADS_BACK"


class FallbackRefused(Exception):  # noqa: N818 - what the fallback is
    """The flow that is to take over cannot."""

    def __init__(self, why: NotAFallback) -> None:
        super().__init__(why.value)
        self.why = why


class NotLive(Exception):  # noqa: N818 - what the flow is
    """The flow has no live version."""


class SettingsOfFlows:
    """Settings, triggers and the default flow, of the `flows` and `bots` collections."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database
        self._flows = database["flows"]
        self._bots = database["bots"]

    def change(
        self, bot_id: str, flow_id: str, *, revision: int, by: str, settings: FlowSettings,
        triggers: Sequence[Trigger],
    ) -> Document:  # fmt: skip
        """Set all of it; the flow as it is then.

        Raises NoSuchFlow, StaleRevision, FallbackRefused and TriggersCollide. Two at once see each other.
        """
        changed: list[Document] = []

        def write(tx: ClientSession) -> None:
            # First: whoever else sets a flow of this bot at the same time has to wait, and then sees this.
            self._tell_workers(bot_id, tx)
            flows = {flow["_id"]: flow for flow in self._flows.find({"botId": bot_id}, _RULES, session=tx)}
            if flow_id not in flows:
                raise NoSuchFlow(flow_id)
            _check_fallback(flow_id, settings, flows)
            _check_triggers(flow_id, triggers, flows)
            changed[:] = [self._write(bot_id, flow_id, revision, by, settings, triggers, tx)]

        in_transaction(self._db, write, most_seconds=SAVING_SECONDS)
        return changed[0]

    def _tell_workers(self, bot_id: str, tx: ClientSession) -> None:
        self._bots.update_one({"_id": bot_id}, {"$inc": {"configRevision": 1}}, session=tx)

    def _write(  # noqa: PLR0917 - private; all of it is needed
        self, bot_id: str, flow_id: str, revision: int, by: str, settings: FlowSettings,
        triggers: Sequence[Trigger], tx: ClientSession,
    ) -> Document:  # fmt: skip
        this = {"_id": flow_id, "botId": bot_id}
        flow = self._flows.find_one_and_update(
            {**this, "revision": revision or {"$in": [0, None]}},
            {
                "$set": {
                    "settings": {
                        "restartPolicy": settings.restart_policy.value,
                        "fallbackFlowId": settings.fallback_flow_id,
                    },
                    "triggers": [trigger_document(trigger) for trigger in triggers],
                    "updatedAt": utc_now(),
                    "updatedBy": by,
                },
                "$inc": {"revision": 1},
            },
            return_document=ReturnDocument.AFTER,
            session=tx,
        )
        if flow is not None:
            return flow
        now = self._flows.find_one(this, session=tx) or {}
        raise StaleRevision(now.get("revision", 0), now.get("updatedBy"), now.get("updatedAt"))

    def set_default(self, bot_id: str, flow_id: str) -> None:
        """Make this live flow the one that conversations begin with when no trigger fits.

        Raises NoSuchFlow and NotLive.
        """

        def write(tx: ClientSession) -> None:
            self._tell_workers(bot_id, tx)
            if self._flows.find_one({"_id": flow_id, "botId": bot_id}, {"_id": 1}, session=tx) is None:
                raise NoSuchFlow(flow_id)
            live = {"flowId": flow_id, "isProduction": True}
            if self._db["flow_versions"].find_one(live, {"_id": 1}, session=tx) is None:
                raise NotLive(flow_id)
            self._bots.update_one({"_id": bot_id}, {"$set": {"activeFlowId": flow_id}}, session=tx)

        in_transaction(self._db, write, most_seconds=SAVING_SECONDS)


def _check_fallback(flow_id: str, settings: FlowSettings, flows: Mapping[str, Document]) -> None:
    if settings.fallback_flow_id is None:
        return
    if settings.fallback_flow_id not in flows:
        raise FallbackRefused(NotAFallback.UNKNOWN)
    if settings.restart_policy is not RestartPolicy.FALLBACK_FLOW:
        return
    if settings.fallback_flow_id == flow_id:
        raise FallbackRefused(NotAFallback.ITSELF)
    seen: set[str] = set()
    ahead: str | None = settings.fallback_flow_id
    while ahead is not None and ahead not in seen:
        if ahead == flow_id:
            raise FallbackRefused(NotAFallback.LEADS_BACK)
        seen.add(ahead)
        then = settings_of(flows[ahead]) if ahead in flows else None
        hands_over = then is not None and then.restart_policy is RestartPolicy.FALLBACK_FLOW
        ahead = then.fallback_flow_id if then is not None and hands_over else None


def _check_triggers(flow_id: str, triggers: Sequence[Trigger], flows: Mapping[str, Document]) -> None:
    others = (
        Claimed(flow["_id"], flow["name"], triggers_of(flow))
        for flow in flows.values()
        if flow["_id"] != flow_id
    )
    found = collision(triggers, others)
    if found is not None:
        raise TriggersCollide(found)
