"""Wait for a while, then go on."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from common.flow.forecast import Heard, Leaving
from common.flow.node import Go, KeepWaiting, Look, NodeType, WaitUntil
from common.flow.settings_fields import choice, next_node, required_number
from common.flow.settings_groups import NodeSettings, settings_class
from common.flow.spans import Unit
from common.model.events import Event, MessageReceived
from common.model.issues import Issue
from common.model.session import WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow.turn import Turn

DELAY_MAX_SECONDS = 24 * 3600


class OnMessage(StrEnum):
    KEEP_WAITING = "KEEP_WAITING"
    CONTINUE = "CONTINUE"


@settings_class
class DelaySettings(NodeSettings):
    delay_duration: float = required_number("Wait", above=0, maximum=DELAY_MAX_SECONDS)
    delay_unit: Unit = choice("Unit", default=Unit.SECONDS)
    on_message: OnMessage = choice(
        "If the customer writes meanwhile",
        default=OnMessage.KEEP_WAITING,
        labels={"KEEP_WAITING": "Go on waiting", "CONTINUE": "Go on at once"},
    )
    next_node_id: str | None = next_node("output")

    @property
    def seconds(self) -> float:
        return self.delay_duration * self.delay_unit.seconds

    def findings(self) -> Iterator[Issue]:
        if self.seconds > DELAY_MAX_SECONDS:
            yield Issue.error("field.range", "A delay lasts at most 24 hours.", field="delayDuration")


class Delay(NodeType[DelaySettings]):
    kind = "DELAY"
    look = Look("Delay", icon="clock", tone="gray", category="Flow Control")
    description = "Waits for some seconds, minutes or hours."
    waits_for = WaitKind.TIME
    bounds_cycles = True
    settings = DelaySettings

    def leaving(self, settings: DelaySettings, handle: str) -> Leaving:
        del handle
        is_cut_short = settings.on_message is OnMessage.CONTINUE
        return Leaving(waited_seconds=settings.seconds, heard=Heard.PERHAPS if is_cut_short else Heard.NEVER)

    def enter(self, settings: DelaySettings, turn: Turn) -> WaitUntil:
        return WaitUntil(turn.now + timedelta(seconds=settings.seconds))

    def resume(self, settings: DelaySettings, turn: Turn, event: Event) -> Go | KeepWaiting:
        del turn
        if isinstance(event, MessageReceived) and settings.on_message is OnMessage.KEEP_WAITING:
            return KeepWaiting("during_delay")
        return Go("output")
