"""Spans of time as settings give them, and the no-reply time-out that nodes share."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from common.flow.settings_fields import choice, next_node, required_number
from common.flow.settings_groups import SettingsPart, settings_class
from common.model.issues import Issue

NO_REPLY_MAX_SECONDS = 30 * 24 * 3600


class Unit(StrEnum):
    """The units that a person chooses from."""

    SECONDS = "SECONDS"
    MINUTES = "MINUTES"
    HOURS = "HOURS"

    @property
    def seconds(self) -> int:
        return {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}[self.value]


@settings_class
class NoReplyTimeout(SettingsPart):
    """How long to wait for an answer before going on without one."""

    duration: float = required_number("Wait", above=0, maximum=NO_REPLY_MAX_SECONDS)
    unit: Unit = choice("Unit", default=Unit.MINUTES)
    next_node_id: str | None = next_node(label="If nobody answers")

    handle = "timeout"

    @property
    def seconds(self) -> float:
        return self.duration * self.unit.seconds

    def findings(self) -> Iterator[Issue]:
        if self.seconds > NO_REPLY_MAX_SECONDS:
            yield Issue.error(
                "field.range", "A reply is waited for at most 30 days.", field="noReplyTimeout.duration"
            )
