"""A bot taken apart: what makes it this bot, without ids, secrets, customers and history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from common.model.flow_settings import RestartPolicy, Trigger
from common.model.values import Value, VariableType

MOST_FLOWS: Final = 200  # of a bot


@dataclass(frozen=True, slots=True)
class VariablePart:
    """A bot variable."""

    name: str
    kind: VariableType
    value: Value
    description: str = ""


@dataclass(frozen=True, slots=True)
class FlowPart:
    """A flow with its draft. Flows name each other by name: `fallback` is the one that takes over after this one's end."""

    name: str
    description: str
    flow_data: dict[str, Any]
    restart_policy: RestartPolicy = RestartPolicy.RESTART
    fallback: str | None = None
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class BotParts:
    """`default_flow` is the name of the flow that conversations begin with; `retention` as its owner set it."""

    name: str
    description: str = ""
    retention: dict[str, int | None] = field(default_factory=dict)
    variables: tuple[VariablePart, ...] = ()
    flows: tuple[FlowPart, ...] = ()
    default_flow: str | None = None
