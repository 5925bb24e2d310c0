"""Where a flow ends."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from common.flow.forecast import Says
from common.flow.node import Finish, Look, NodeType
from common.flow.settings_fields import choice
from common.flow.settings_groups import NodeSettings, settings_class
from common.flow.settings_language import template
from common.model.session import SessionStatus

if TYPE_CHECKING:
    from common.flow.templates import Template
    from common.flow.turn import Turn


class EndType(StrEnum):
    NORMAL = "NORMAL"
    ERROR = "ERROR"


class SessionAction(StrEnum):
    KEEP_ACTIVE = "KEEP_ACTIVE"
    CLOSE_SESSION = "CLOSE_SESSION"


@settings_class
class EndSettings(NodeSettings):
    end_type: EndType = choice("Counts as", default=EndType.NORMAL, help="For the figures only.")
    final_message: Template = template("Last message", widget="message", says=Says.MESSAGE)
    session_action: SessionAction = choice(
        "The conversation",
        default=SessionAction.CLOSE_SESSION,
        labels={
            "KEEP_ACTIVE": "Stays open: the flow's restart policy decides what comes next",
            "CLOSE_SESSION": "Is closed: the next message begins a new one",
        },
    )


class End(NodeType[EndSettings]):
    kind = "END"
    look = Look("End", icon="square", tone="red", shape="circle", category="Flow Control")
    description = "The conversation ends here."
    exits = ()
    settings = EndSettings

    def keeps_open(self, settings: EndSettings) -> bool:
        return settings.session_action is SessionAction.KEEP_ACTIVE

    def enter(self, settings: EndSettings, turn: Turn) -> Finish:
        turn.say(settings.final_message)
        turn.step.detail["endType"] = settings.end_type.value
        return Finish(SessionStatus.COMPLETED if self.keeps_open(settings) else SessionStatus.CLOSED)
