"""Send a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.flow.forecast import Says
from common.flow.node import Go, Look, NodeType
from common.flow.settings_fields import next_node
from common.flow.settings_groups import NodeSettings, settings_class
from common.flow.settings_language import template

if TYPE_CHECKING:
    from common.flow.templates import Template
    from common.flow.turn import Turn


@settings_class
class MessageSettings(NodeSettings):
    message_content: Template = template(
        "Message",
        required=True,
        widget="message",
        says=Says.MESSAGE,
        help="Write {{name}} to put in a variable.",
    )
    next_node_id: str | None = next_node("output")


class Message(NodeType[MessageSettings]):
    kind = "MESSAGE"
    look = Look("Message", icon="message-square", tone="blue")
    description = "Sends a text and goes on."
    settings = MessageSettings

    def enter(self, settings: MessageSettings, turn: Turn) -> Go:
        turn.say(settings.message_content)
        return Go("output")
