"""What a person does to a conversation from the outside: close it, pause the bot, and, in a test, the debugger's commands.

A control is a job in the conversation's lane like any other, and an event in its log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from common.model.parking import ParkedFor

MOST_SECONDS = 366 * 24 * 3600  # that a test's clock moves at a time …
MOST_OFFSET_SECONDS = 10 * MOST_SECONDS  # … and altogether
_MOST_REASON_CHARACTERS = 500


class ControlAction(StrEnum):
    """CLOSE to RESUME are for every conversation, the rest for tests only."""

    CLOSE = "CLOSE"
    RESET = "RESET"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    ADVANCE_CLOCK = "ADVANCE_CLOCK"
    SET_VARIABLE = "SET_VARIABLE"
    DELETE_VARIABLE = "DELETE_VARIABLE"
    SET_BREAKPOINTS = "SET_BREAKPOINTS"
    SET_CALLS = "SET_CALLS"
    STEP = "STEP"
    CONTINUE = "CONTINUE"

    @property
    def is_for_tests(self) -> bool:
        """Whether a conversation with a real customer refuses it."""
        return self not in _FOR_ALL

    @property
    def unparks(self) -> tuple[ParkedFor, ...]:
        """The reasons for which a lane may be parked and do this at once all the same, without sending anything.

        Only a pause cuts a back-off short: what would be sent again is held from then on.
        """
        if self is ControlAction.PAUSE:
            return (ParkedFor.BOT_STOPPED, ParkedFor.RETRY_SEND)
        return (ParkedFor.BOT_STOPPED,)


_FOR_ALL = frozenset({ControlAction.CLOSE, ControlAction.RESET, ControlAction.PAUSE, ControlAction.RESUME})


class CallMode(StrEnum):
    """How a test's API and AI calls are answered."""

    REAL = "REAL"
    STAND_IN = "STAND_IN"


class ControlOutcome(StrEnum):
    """What became of a control job; its `outcome`."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"  # it was so already
    REFUSED = "refused"  # it makes no sense here; `outcomeReason` says why


@dataclass(frozen=True, slots=True)
class Control:
    """`by` is the user's id; `arguments` is JSON, by action:

    CLOSE, RESET: sessionId (optional: only that session) · PAUSE: until (ISO 8601, optional) ·
    ADVANCE_CLOCK: seconds, or toNextTimer · SET_VARIABLE: name, value, type and sessionId (optional) ·
    DELETE_VARIABLE: name, sessionId (optional) ·
    SET_BREAKPOINTS: nodeIds, stepMode · SET_CALLS: calls.
    """

    action: ControlAction
    by: str = ""
    why: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a job and in the log."""
        return {
            "action": self.action.value,
            "by": self.by,
            "why": self.why[:_MOST_REASON_CHARACTERS],
            "arguments": self.arguments,
        }


def control_from_json(data: dict[str, Any]) -> Control:
    """The control that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    return Control(
        action=ControlAction(data["action"]),
        by=str(data.get("by", "")),
        why=str(data.get("why", "")),
        arguments=dict(data.get("arguments", {})),
    )
