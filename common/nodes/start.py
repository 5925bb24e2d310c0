"""Where a flow begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.flow.node import Go, Look, NodeType
from common.flow.settings_fields import next_node
from common.flow.settings_groups import NodeSettings, settings_class

if TYPE_CHECKING:
    from common.flow.turn import Turn


@settings_class
class StartSettings(NodeSettings):
    next_node_id: str | None = next_node("output")


class Start(NodeType[StartSettings]):
    kind = "START"
    look = Look("Start", icon="play", tone="green", shape="circle", category="Flow Control")
    description = "The conversation begins here."
    inputs = ()
    settings = StartSettings

    def enter(self, settings: StartSettings, turn: Turn) -> Go:
        del settings, turn
        return Go("output")
