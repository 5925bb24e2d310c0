"""What a node type is: its kind, look, settings and exits, and what it answers when it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from common.flow.expressions import Expression
from common.flow.facts import ANYTHING
from common.flow.forecast import Heard, Leaving, Said, Test
from common.flow.settings_groups import NodeSettings, parts, read_names, written_names
from common.flow.settings_language import TemplateField
from common.model.session import WaitKind

if TYPE_CHECKING:
    from datetime import datetime

    from common.flow.turn import Turn
    from common.model.calls import Request
    from common.model.events import Event
    from common.model.session import SessionStatus
    from common.model.values import VariableType


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

    # --- what can be said of runs beforehand: the checks before a deploy go by it

    def leaving(self, settings: S, handle: str) -> Leaving:
        """What is so once a run has left by this exit.

        Unless a type says more: an exit that belongs to a time-out's setting waited in vain; every other sets what
        the type writes, after an answer if the type waits for one.
        """
        timeout = self._timeout(settings, handle)
        if timeout is not None:
            return Leaving(waited_seconds=timeout)
        heard = Heard.ALWAYS if self.waits_for is WaitKind.REPLY else Heard.NEVER
        return Leaving(dict.fromkeys(self.writes(settings), ANYTHING), heard=heard)

    def _timeout(self, settings: S, handle: str) -> float | None:
        for place in self.exits:
            if isinstance(place, Exit) and place.handle == handle and place.when is not None:
                seconds = getattr(getattr(settings, place.when), "seconds", None)
                return seconds if isinstance(seconds, int | float) else None
        return None

    def says(self, settings: S) -> Iterator[Said]:
        """The texts that a run may send: those whose fields are declared with `says`."""
        for path, described, value, _ in parts(settings):
            if isinstance(described, TemplateField) and described.says is not None and value.source:
                yield Said(path, described.label, described.says, value, described.is_answer)

    def tests(self, settings: S) -> Iterator[Test]:
        """The conditions of the settings; those that choose an exit in the order in which they are tried."""
        for path, _, value, _ in parts(settings):
            if isinstance(value, Expression):
                yield Test(path, value.shape)

    def expects(self, settings: S) -> Mapping[str, VariableType]:
        """Variables that must be of a type, or read as one, for a run to succeed; unset is fine."""
        del settings
        return {}

    def asks_model(self, settings: S) -> str | None:
        """The chat model that a run asks, by the user's account."""
        del settings
        return None

    def keeps_open(self, settings: S) -> bool:
        """Whether a conversation that ends here may go on with its variables."""
        del settings
        return False

    # --- what happens

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
