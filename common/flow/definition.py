"""A flow as it runs: immutable, compiled once for each version. `load_flow` makes it from the flow JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.model.flow_settings import FlowSettings, RestartPolicy
from common.model.issues import Issue, Severity

if TYPE_CHECKING:
    from common.flow.node import NodeType
    from common.model.values import Value, VariableType


@dataclass(frozen=True, slots=True)
class DeclaredVariables:
    """The flow's `variables`: names the bot provides, and the session's own with the type each must have.

    A type is None where the flow names the variable without one. `samples` are values given beside the bot's
    names; only a flow that is played without a bot uses them.
    """

    bot: frozenset[str] = frozenset()
    session: Mapping[str, VariableType | None] = field(default_factory=dict)
    samples: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Way:
    """Where an exit leads. With `comes_back`, it closes a loop: the LOOP node it enters goes on counting."""

    target_id: str
    comes_back: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a flow. `settings` is None where its config has errors: such a node cannot run."""

    node_id: str
    type: NodeType[Any]
    settings: Any
    ways: Mapping[str, Way]

    @property
    def label(self) -> str:
        """What a person calls the node."""
        return (self.settings.label if self.settings is not None else "") or self.node_id


@dataclass(frozen=True, slots=True)
class Flow:
    """A compiled flow version. `wire_prefix` names it in the ids of buttons."""

    version_id: str
    nodes: Mapping[str, Node]
    start_id: str
    settings: FlowSettings
    variables_declared: DeclaredVariables
    history_needed: int  # how many messages of the conversation its AI nodes look back
    wire_prefix: str
    flow_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class LoadedFlow:
    """What came of reading flow JSON.

    `flow` is None only if nothing could run at all: no object, no nodes, no START. A flow whose nodes have errors
    is there (a draft can be tried as far as it goes); `errors` says whether it may be deployed.
    """

    flow: Flow | None
    issues: tuple[Issue, ...]

    @property
    def errors(self) -> tuple[Issue, ...]:
        """The issues that refuse a deploy."""
        return tuple(issue for issue in self.issues if issue.severity is Severity.ERROR)


def load_flow(data: object, version_id: str) -> LoadedFlow:
    """Read flow JSON, whatever it holds. Never raises: what is wrong is among the issues."""
    from common.flow.reading import read_flow  # noqa: PLC0415 - reading makes what this module defines

    return read_flow(data, version_id)


__all__ = [
    "DeclaredVariables",
    "Flow",
    "FlowSettings",
    "LoadedFlow",
    "Node",
    "RestartPolicy",
    "Way",
    "load_flow",
]
