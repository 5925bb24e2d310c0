"""Checking a flow with all that surrounds it: the bot's variables and accounts, its other flows."""

from __future__ import annotations

from typing import Any, Final

from common.flow.definition import load_flow
from common.flow.settings_groups import written_fields
from common.flow.validation.context import BotVariable, CheckContext, OtherFlow
from common.flow.validation.validate import validate
from common.flow.validation.verdict import Validation
from common.model.bots import BotConfig
from common.model.flow_content import runnable
from common.model.flow_settings import RestartPolicy
from common.store.database import Document
from common.store.store import Store

# Of so many flows that hand over to the one under check, their variables are looked at.
_MOST_GIVERS: Final = 20


def validate_flow(store: Store, flow: Document, flow_data: dict[str, Any]) -> Validation:
    """Check flow JSON as this flow would run it. Never raises because of what the JSON holds."""
    return validate(runnable(flow_data, flow), check_context(store, flow["botId"], flow["_id"]))


def check_context(store: Store, bot_id: str, flow_id: str) -> CheckContext:
    """What surrounds a flow as it is now."""
    config = store.bots.load(bot_id)
    if config is None:
        return CheckContext(flow_id=flow_id)
    others = [flow for flow in store.flows.of_bot(bot_id) if flow["_id"] != flow_id]
    live = {flow.flow_id for flow in config.flows}
    return CheckContext(
        bot_variables={name: BotVariable(value) for name, value in config.variables.items()},
        has_openai_account=config.openai_key is not None,
        is_whatsapp_connected=config.account is not None,
        other_flows={
            flow["_id"]: OtherFlow(
                flow["_id"],
                flow["name"],
                flow["_id"] in live,
                tuple(trigger["text"] for trigger in flow.get("triggers", ())),
            )
            for flow in others
        },
        brought_along=_brought_along(store, config, [flow for flow in others if _hands_over(flow, flow_id)]),
        flow_id=flow_id,
    )


def _hands_over(flow: Document, flow_id: str) -> bool:
    settings = flow.get("settings") or {}
    return bool(
        settings.get("restartPolicy") == RestartPolicy.FALLBACK_FLOW
        and settings.get("fallbackFlowId") == flow_id
    )


def _brought_along(store: Store, config: BotConfig, givers: list[Document]) -> frozenset[str]:
    """The variables that conversations may have which come from another flow's end."""
    names: set[str] = set()
    for giver in givers[:_MOST_GIVERS]:
        live = config.live(giver["_id"])
        version = store.bots.version(live.version_id) if live else None
        flow = load_flow(version.flow_data, version.version_id).flow if version else None
        for node in flow.nodes.values() if flow else ():
            if node.settings is not None:
                names |= {name for _, name in written_fields(node.settings)}
    return frozenset(names)
