"""How a flow is set as a whole, beside its nodes: the texts that start it, and what happens after its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RestartPolicy(StrEnum):
    """What a message does after an END that kept the conversation open."""

    RESTART = "RESTART"
    RESUME_LAST_NODE = "RESUME_LAST_NODE"
    FALLBACK_FLOW = "FALLBACK_FLOW"


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """What follows after a flow's end."""

    restart_policy: RestartPolicy = RestartPolicy.RESTART
    fallback_flow_id: str | None = None


class Match(StrEnum):
    """How a customer's text calls for a flow; in the order in which triggers are looked at."""

    EXACT = "EXACT"
    STARTS_WITH = "STARTS_WITH"
    CONTAINS = "CONTAINS"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A text that starts a flow when a conversation begins; with `interrupts`, also in the middle of another one."""

    text: str
    match: Match = Match.EXACT
    interrupts: bool = False


class RunningConversations(StrEnum):
    """What a deploy does to the conversations that are under way on older versions."""

    FINISH_ON_OLD = "FINISH_ON_OLD"
    RESTART_ON_NEW = "RESTART_ON_NEW"  # at the next thing that happens to each of them
