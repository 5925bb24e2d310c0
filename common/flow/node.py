"""What a node type is: its kind, look, settings and exits, and what it answers when it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from common.flow.settings_groups import NodeSettings, read_names, written_names

if TYPE_CHECKING:
    from datetime import datetime

    from common.flow.turn import Turn
    from common.model.calls import Request
    from common.model.events import Event
    from common.model.session import SessionStatus, WaitKind


@dataclass(frozen=True, slots=True)
class Go:
    """Leave by an exit."""

    handle: str


@dataclass(frozen=True, slots=True)
class WaitReply:
    """Wait for the customer; `state` is given back to the node with the answer."""

    timeout_seconds: float | None = None
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Wait for a time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class WaitEffect:
    """Ask the outside world and wait for its answer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Finish:
    """End the conversation in this status."""

    status: SessionStatus


@dataclass(frozen=True, slots=True)
class KeepWaiting:
    """Go on with the wait that was there; the message is only recorded, under this name."""

    recorded_as: str


Outcome = Go | WaitReply | WaitUntil | WaitEffect | Finish | KeepWaiting


@dataclass(frozen=True, slots=True)
class Look:
    """How a node is drawn: `tone` names a colour of the theme, `icon` a lucide icon."""

    label: str
    icon: str
    tone: str
    shape: str = "rectangle"  # rectangle | circle | diamond
    category: str = "Messaging"  # Messaging | Logic | Integration | Flow Control


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit that has one place on the node. With `when`, it exists only if that setting is filled in."""

    handle: str
    label: str
    when: str | None = None


@dataclass(frozen=True, slots=True)
class ExitPerRow:
    """One exit for each row of a setting; the row's `handle` and `label` name it."""

    rows: str


S = TypeVar("S", bound=NodeSettings)

OUTPUT = Exit("output", "Next")


class NodeType(ABC, Generic[S]):
    """One kind of node. Instances hold nothing: all that a run needs is in the settings and the turn."""

    kind: ClassVar[str]
    look: ClassVar[Look]
    description: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("input",)
    exits: ClassVar[tuple[Exit | ExitPerRow, ...]] = (OUTPUT,)
    waits_for: ClassVar[WaitKind | None] = None
    bounds_cycles: ClassVar[bool] = False  # a cycle through such a node comes to an end by itself
    settings: type[S]

    def handles(self, settings: S) -> tuple[str, ...]:
        """The exits that a node with these settings has, in the order they are drawn."""
        return tuple(handle for handle, _ in self.labelled_exits(settings))

    def labelled_exits(self, settings: S) -> Iterator[tuple[str, str]]:
        """Each exit with the label that a person sees."""
        for place in self.exits:
            if isinstance(place, ExitPerRow):
                for row in getattr(settings, place.rows):
                    yield row.handle, row.exit_label
            elif place.when is None or getattr(settings, place.when) is not None:
                yield place.handle, place.label

    def reads(self, settings: S) -> frozenset[str]:
        """The variables that the settings look at."""
        return read_names(settings)

    def writes(self, settings: S) -> frozenset[str]:
        """The variables that a run may set."""
        return written_names(settings)

    def looks_back(self, settings: S) -> int:
        """How many messages of the conversation a run needs to see."""
        del settings
        return 0

    @abstractmethod
    def enter(self, settings: S, turn: Turn) -> Outcome:
        """The flow has come to this node."""

    def resume(self, settings: S, turn: Turn, event: Event) -> Outcome:
        """What the node waited for has happened. Only types that wait are asked."""
        raise NotImplementedError

    def stale_tap(self, settings: S, turn: Turn, button_id: str) -> Go | None:
        """A button of this node was tapped while the conversation stands elsewhere; None: nothing follows."""
        del settings, turn, button_id
        return None
