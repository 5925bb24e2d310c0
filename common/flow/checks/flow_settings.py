"""The settings of the flow as a whole: what happens after an END that keeps the conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from common.flow.definition import RestartPolicy
from common.flow.validation.check import Check, error, warning

if TYPE_CHECKING:
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_FIELD: Final = "settings.fallbackFlowId"


class SettingsOfFlow(Check):
    name = "flow_settings"
    title = "The flow's own settings fit"
    rank = 200
    codes = (
        error(
            "flow.restart_policy", "There is no such restart policy.", "Choose one in the flow's settings."
        ),
        error(
            "flow.no_fallback_flow",
            "After its end, another flow takes over, but none is chosen.",
            "Choose one in the flow's settings.",
        ),
        error(
            "flow.unknown_fallback_flow",
            "The flow that takes over after this one's end does not exist, or belongs to another bot.",
            "Choose another one in the flow's settings.",
        ),
        warning(
            "flow.own_fallback_flow",
            "The flow names itself as the one that takes over after its end, so it simply begins again.",
            "Choose the restart policy RESTART, or another flow.",
        ),
        warning(
            "flow.fallback_not_live",
            "The flow that takes over after this one's end is not live; until it is, this one begins again.",
            "Deploy the other flow too.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        settings, context = view.flow.settings, view.context
        fallback = settings.fallback_flow_id
        if settings.restart_policy is not RestartPolicy.FALLBACK_FLOW or fallback is None:
            return
        if fallback == (context.flow_id or view.flow.flow_id):
            message = "This flow is to take over after itself. Choose another flow, or let it restart."
            yield self.issue("flow.own_fallback_flow", message, field=_FIELD)
            return
        if context.other_flows is None:
            return
        other = context.other_flows.get(fallback)
        if other is None:
            message = (
                "The flow that is to take over when this one has ended does not exist. Choose another one."
            )
            yield self.issue("flow.unknown_fallback_flow", message, field=_FIELD)
        elif not other.is_live:
            message = f'"{other.name or other.flow_id}" takes over when this flow has ended, but it is not live yet.'
            yield self.issue("flow.fallback_not_live", message, field=_FIELD)
