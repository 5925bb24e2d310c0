"""Addresses: where a request goes is decided by the flow and the bot, never by what a customer wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.settings_groups import parts
from common.flow.templates import UrlTemplate
from common.flow.validation.check import Check, error

if TYPE_CHECKING:
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Hosts(Check):
    name = "hosts"
    title = "Web addresses lead to fixed hosts"
    rank = 180
    codes = (
        error(
            "api.host_from_conversation",
            "The host of a web address comes from a variable of the conversation. Only a variable of the bot can "
            "stand there, so that no customer chooses where a request goes; the call would fail every time.",
            "Write the host itself, or make the variable one of the bot's.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node in view.nodes:
            for path, _, value, _ in parts(node.settings):
                if not isinstance(value, UrlTemplate):
                    continue
                for name in sorted(value.host_names - view.variables.bot.keys()):
                    message = (
                        f'The address of "{node.label}" takes its host from "{name}", which is no variable of the bot. '
                        "Write the host itself, or add the variable to the bot."
                    )
                    yield self.issue("api.host_from_conversation", message, node.node_id, path)
