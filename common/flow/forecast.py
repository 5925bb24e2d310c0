"""What a node type can say of its runs beforehand: what is so after each exit, what it says, what it tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from common.flow.conditions import Condition
    from common.flow.facts import Fact
    from common.flow.templates import JsonTemplate, Template
    from common.model.values import VariableType


class Heard(StrEnum):
    """Whether the customer has just written when a run leaves."""

    NEVER = "NEVER"
    PERHAPS = "PERHAPS"
    ALWAYS = "ALWAYS"


@dataclass(frozen=True, slots=True)
class Filled:
    """The value that a template gives, in a type."""

    template: Template | JsonTemplate
    type: VariableType


Given: TypeAlias = "Fact | Filled"


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is so once a run has left by an exit.

    `sets` and `deletes` are variables; `waited_seconds` passed since the node was entered. With `rounds`, the exit
    is taken at most so often as long as the conversation keeps coming back; with `after_round`, it is never taken
    before the conversation has come back once.
    """

    sets: Mapping[str, Given] = field(default_factory=dict)
    deletes: frozenset[str] = frozenset()
    waited_seconds: float = 0
    heard: Heard = Heard.NEVER
    rounds: int | None = None
    after_round: bool = False


class Says(StrEnum):
    """What becomes of a text: a message of its own, the text above buttons, or a button's title."""

    MESSAGE = "MESSAGE"
    ABOVE_BUTTONS = "ABOVE_BUTTONS"
    TITLE = "TITLE"


@dataclass(frozen=True, slots=True)
class Said:
    """A text that a run may send: where it stands in the settings, and when it is said.

    Without a template, nobody knows the text beforehand. With `is_answer`, the customer has just written.
    """

    field: str
    label: str
    says: Says
    template: Template | None = None
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class Test:
    """A condition of the settings. With a handle, it decides about that exit, after the tests before it failed."""

    field: str
    condition: Condition
    handle: str | None = None
    label: str = ""
