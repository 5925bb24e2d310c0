"""Taking a bot apart, and making one of parts: for files, and for copies."""

from __future__ import annotations

from typing import Any, Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.ids import derived_ulid
from common.model.bot_parts import MOST_FLOWS, BotParts, FlowPart, VariablePart
from common.model.flow_content import content_of
from common.model.flow_settings import FlowSettings, RestartPolicy
from common.model.values import VariableType
from common.store.bot_records import new_bot
from common.store.bot_variables import BotVariables, variable_document
from common.store.database import Document
from common.store.deletions import Deletions
from common.store.flow_settings import settings_of, trigger_document, triggers_of
from common.store.flow_versions import FlowVersions
from common.store.flows import Flows
from common.store.transaction import in_transaction

_MOST_SECONDS: Final = 2.5


class NotMade(Exception):  # noqa: N818 - what became of it
    """It took so long that the parts were taken for a failed attempt's."""


class TooLarge(Exception):  # noqa: N818 - what the bot is
    """Its flows are too many, or too much together, to be taken apart at once."""


class BotCopies:
    """Several collections, one bot."""

    def __init__(
        self, database: Database[Document], flows: Flows, variables: BotVariables, deletions: Deletions
    ) -> None:
        self._db = database
        self._flows = flows
        self._versions = FlowVersions(database)
        self._variables = variables
        self._deletions = deletions

    def take_apart(self, bot: Document, *, most_bytes: int) -> BotParts:
        """What makes this bot: of each flow its draft, or what is live where it has none. Raises TooLarge.

        All of it is in memory at once: it is measured first.
        """
        bot_id = bot["_id"]
        if self._size(bot_id) > most_bytes:
            raise TooLarge(bot_id)
        flows = sorted(self._flows.of_bot(bot_id), key=lambda flow: flow["name"])
        names = {flow["_id"]: flow["name"] for flow in flows}
        return BotParts(
            name=bot["name"],
            description=bot.get("description") or "",
            retention=dict((bot.get("settings") or {}).get("retention") or {}),
            variables=tuple(
                VariablePart(
                    one["variableName"],
                    VariableType(one["variableType"]),
                    one["variableValue"],
                    one["description"],
                )
                for one in self._variables.of_bot(bot_id)
            ),
            flows=tuple(self._flow_part(flow, names) for flow in flows),
            default_flow=names.get(bot.get("activeFlowId") or ""),
        )

    def make(self, bot_id: str, owner_id: str, parts: BotParts) -> Document:
        """The bot of these parts; with the same id once more, the same bot. Raises NotMade.

        It is there when it is complete: its parts come first, and a tombstone sees to them if that never happens.
        """
        known = self._db["bots"].find_one({"_id": bot_id, "userId": owner_id})
        if known is not None:
            return known
        self._deletions.begin_making(bot_id)
        flow_ids = {flow.name: derived_ulid(bot_id, f"flow:{flow.name}") for flow in parts.flows}
        for flow in parts.flows:
            self._make_flow(bot_id, owner_id, flow, flow_ids)
        self._make_variables(bot_id, owner_id, parts.variables)
        bot = new_bot(bot_id, owner_id, parts.name, parts.description, parts.retention)
        if parts.default_flow is not None:
            bot["activeFlowId"] = flow_ids[parts.default_flow]

        def show(tx: ClientSession) -> None:
            if not self._deletions.made(bot_id, tx):
                raise NotMade(bot_id)
            self._db["bots"].insert_one(bot, session=tx)

        in_transaction(self._db, show, most_seconds=_MOST_SECONDS)
        return bot

    def _size(self, bot_id: str) -> int:
        """How many bytes its flows have together, none of them loaded. Raises TooLarge where they are too many."""
        found = self._db["flows"].find({"botId": bot_id}, {"draft.bytes": 1}).limit(MOST_FLOWS + 1)
        sizes = {flow["_id"]: (flow.get("draft") or {}).get("bytes") for flow in found}
        if len(sizes) > MOST_FLOWS:
            raise TooLarge(bot_id)
        unknown = [flow_id for flow_id, size in sizes.items() if size is None]
        known: int = sum(size for size in sizes.values() if size is not None)
        if not unknown:
            return known
        drafts = self._measured("flow_drafts", {"_id": {"$in": unknown}, "botId": bot_id}, "$_id")
        live = {"flowId": {"$in": [one for one in unknown if one not in drafts]}, "isProduction": True}
        versions = self._measured("flow_versions", live, "$flowId")
        return known + sum(drafts.values()) + sum(versions.values())

    def _measured(self, collection: str, query: Document, flow_id: str) -> dict[str, int]:
        size = {"_id": flow_id, "bytes": {"$bsonSize": {"$ifNull": ["$flowData", {}]}}}
        found = self._db[collection].aggregate([{"$match": query}, {"$project": size}])
        return {each["_id"]: each["bytes"] for each in found}

    def _flow_part(self, flow: Document, names: dict[str, str]) -> FlowPart:
        bot_id, flow_id = flow["botId"], flow["_id"]
        state = self._flows.draft(bot_id, flow_id) or self._versions.live_one(bot_id, flow_id) or {}
        data = content_of(state.get("flowData") or {"nodes": [], "edges": []})
        # The flow's own settings stand beside its JSON; those inside count only where it has none.
        inside = data.pop("settings", None)
        settings = settings_of(flow) or _read_settings(inside)
        return FlowPart(
            name=flow["name"],
            description=flow.get("description") or "",
            flow_data=data,
            restart_policy=settings.restart_policy,
            fallback=names.get(settings.fallback_flow_id or ""),
            triggers=triggers_of(flow),
        )

    def _make_flow(self, bot_id: str, owner_id: str, flow: FlowPart, flow_ids: dict[str, str]) -> None:
        flow_id = flow_ids[flow.name]
        self._flows.create(
            bot_id,
            flow.name,
            flow_id=flow_id,
            by=owner_id,
            description=flow.description,
            flow_data=flow.flow_data,
            settings={
                "restartPolicy": flow.restart_policy.value,
                "fallbackFlowId": flow_ids.get(flow.fallback or ""),
            },
        )
        if flow.triggers:
            triggers = [trigger_document(trigger) for trigger in flow.triggers]
            self._db["flows"].update_one({"_id": flow_id}, {"$set": {"triggers": triggers}})

    def _make_variables(self, bot_id: str, owner_id: str, variables: tuple[VariablePart, ...]) -> None:
        documents = [
            variable_document(
                {"_id": derived_ulid(bot_id, f"variable:{one.name}"), "description": one.description},
                bot_id, one.name, one.value, one.kind, by=owner_id,
            )
            for one in variables
        ]  # fmt: skip
        if documents:
            self._db["bot_variables"].insert_many(documents)


def _read_settings(inside: Any) -> FlowSettings:
    """Settings as flow JSON has them."""
    given = inside if isinstance(inside, dict) else {}
    policy, fallback = given.get("restartPolicy"), given.get("fallbackFlowId")
    if not isinstance(policy, str) or policy not in RestartPolicy.__members__:
        return FlowSettings()
    return FlowSettings(RestartPolicy(policy), fallback if isinstance(fallback, str) else None)
