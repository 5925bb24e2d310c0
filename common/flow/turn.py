"""One turn of a conversation: what a node sees and does while it runs, and afterwards the record of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from common.flow.message_limits import (
    BUTTON_TEXT_MAX,
    TEXT_MAX,
    fit_titles,
    is_blank,
    split,
    split_off_end,
    units,
)
from common.flow.variables import (
    MISSING,
    RESERVED_NAMES,
    Missing,
    Scope,
    VariableTypeError,
    admit,
    check_total,
    clean_text,
    coerce,
)
from common.model.calls import ChatMessage
from common.model.events import InboundMessage, MessageKind
from common.model.session import Pace, Session
from common.model.turn_records import OutboundMessage, ReplyButton, Step

if TYPE_CHECKING:
    from datetime import datetime

    from common.flow.definition import Flow, Node
    from common.model.calls import Effect
    from common.model.values import Value

BLANK_BODY = "…"  # WhatsApp refuses buttons without a text


class Fillable(Protocol):
    """A template that gives a text."""

    @property
    def source(self) -> str: ...

    def fill(self, scope: Scope, /) -> str: ...


class VariableRefused(Exception):  # noqa: N818 - the engine's own signal, handled by the executor
    """A value that a variable may not take: a stable code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def no_stopwatch() -> float:
    """A stopwatch that stands still: steps then last no time."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a turn is told besides the event. `stopwatch` gives seconds; only differences count."""

    now: datetime
    bot_variables: Mapping[str, Value] = field(default_factory=dict)
    user_name: str = ""
    user_phone: str = ""
    message_id: str = ""
    user_id: str = ""
    breakpoints: frozenset[str] = frozenset()  # nodes of a test that it stops before …
    stops_at_each_node: bool = False  # … or all of them
    stopwatch: Callable[[], float] = no_stopwatch


class BotScope:
    """The bot's own variables only; what is read is noted in the turn."""

    __slots__ = ("_read", "_values")

    def __init__(self, values: Mapping[str, Value], read: dict[str, Value]) -> None:
        self._values, self._read = values, read

    def lookup(self, name: str, /) -> Value | Missing:
        if name not in self._values:
            return MISSING
        value = self._read[name] = self._values[name]
        return value


class Turn:
    """Nodes use the verbs (say, ask, set, fill, note); whoever ran the turn reads the attributes.

    `session` is the new state. `recorded_as` says how a message was filed that did not count as an answer.
    With `ignored`, the event was stale, or refused for the reason in `refused`: `session` is the old one and there
    is nothing to write. `pace` is how a test goes on from a breakpoint.
    """

    __slots__ = (
        "bot_scope",
        "bot_variables_read",
        "came_back",
        "effect",
        "flow",
        "ignored",
        "keeps_waiting",
        "messages",
        "node",
        "pace",
        "recorded_as",
        "refused",
        "session",
        "started_at",
        "state",
        "step",
        "steps",
        "surroundings",
        "tap",
    )

    def __init__(self, flow: Flow, session: Session, surroundings: Surroundings) -> None:
        self.flow = flow
        self.session = _copy(session)
        self.surroundings = surroundings
        self.messages: list[OutboundMessage] = []
        self.effect: Effect | None = None
        self.steps: list[Step] = []
        self.bot_variables_read: dict[str, Value] = {}
        self.bot_scope = BotScope(surroundings.bot_variables, self.bot_variables_read)
        self.recorded_as: str | None = None
        self.ignored = False
        self.keeps_waiting = False
        self.started_at = 0.0
        self.node: Node
        self.step: Step
        self.state: Mapping[str, Any] = {}  # what the node kept while it waited
        self.tap: str | None = None  # the id of this node's button that was tapped
        self.came_back = False  # entered from the inside of a loop
        self.pace: Pace | None = None if session.wait is None else session.wait.pace
        self.refused: str | None = None

    # --- what a node asks

    @property
    def now(self) -> datetime:
        """The time at which this turn happens."""
        return self.surroundings.now

    @property
    def last_message(self) -> str:
        """The text of the customer's last message."""
        return self.session.last_message

    def lookup(self, name: str, /) -> Value | Missing:
        """A variable: the reserved names first, then the session's, the bot's, the system's."""
        if name in self.session.variables:
            return self.session.variables[name]
        if name in self.surroundings.bot_variables and name not in RESERVED_NAMES:
            value = self.bot_variables_read[name] = self.surroundings.bot_variables[name]
            return value
        return self._system(name)

    def _system(self, name: str) -> Value | Missing:
        read = _SYSTEM.get(name)
        return MISSING if read is None else read(self)

    def typed(self, message: InboundMessage) -> str | None:
        """The words of an answer. A picture has none, nor has a tap on one of our buttons, this node's or an older one."""
        if message.kind not in (MessageKind.TEXT, MessageKind.BUTTON) or self.tap or self.recorded_as:
            return None
        return message.text

    def fill(self, template: Fillable) -> str:
        """The text with its placeholders filled in."""
        return template.fill(self)

    # --- what a node does

    def set(self, name: str, value: object) -> None:
        """Set a session variable. Raises VariableRefused if its type or size does not allow the value."""
        admitted = self.admit(name, value)
        self.session.variables[name] = admitted
        self.step.changes[name] = admitted
        if name in self.step.deleted:
            self.step.deleted = tuple(other for other in self.step.deleted if other != name)

    def admit(self, name: str, value: object) -> Value:
        """The value as the variable would hold it. Raises VariableRefused."""
        declared = self.flow.variables_declared.session.get(name)
        try:
            admitted = admit(value) if declared is None else coerce(value, declared)
        except VariableTypeError as refused:
            raise VariableRefused("variable.refused", f'"{name}" could not be set. {refused}') from refused
        if isinstance(admitted, str | list | dict) and (
            wrong := check_total({**self.session.variables, name: admitted})
        ):
            raise VariableRefused("variable.total", f'"{name}" could not be set. {wrong}')
        return admitted

    def delete(self, name: str) -> None:
        """Remove a session variable, if it is there."""
        if self.session.variables.pop(name, MISSING) is not MISSING:
            self.step.changes.pop(name, None)
            self.step.deleted = (*self.step.deleted, name)

    def say(self, text: Fillable | str) -> None:
        """Send a text: split where it is too long, left out where it is blank."""
        filled = clean_text(text if isinstance(text, str) else text.fill(self))
        if is_blank(filled):
            if text if isinstance(text, str) else text.source:
                self.note("A text was blank and was not sent.")
            return
        pieces = (
            [filled] if len(filled) <= TEXT_MAX // 2 or units(filled) <= TEXT_MAX else split(filled, TEXT_MAX)
        )
        if len(pieces) > 1:
            self.note(f"A text of {units(filled)} characters was sent in {len(pieces)} messages.")
        for piece in pieces:
            self._send(piece)

    def ask(self, text: Fillable | str, buttons: Iterable[tuple[str, str]]) -> None:
        """Send a text with reply buttons, given as (id, label): all made to fit."""
        filled = clean_text(text if isinstance(text, str) else text.fill(self))
        if is_blank(filled):
            self.note(f'The text of the buttons was blank; "{BLANK_BODY}" was sent.')
            filled = BLANK_BODY
        surplus, body = split_off_end(filled, BUTTON_TEXT_MAX)
        if surplus:
            self.note(
                f"A text of {units(filled)} characters is too long for buttons; its beginning went ahead."
            )
            self.say(surplus)
        places = list(buttons)
        made = []
        for (button_id, _), (title, note) in zip(
            places, fit_titles(label for _, label in places), strict=True
        ):
            if note:
                self.note(note)
            made.append(ReplyButton(self.button_id(button_id), title))
        self._send(body, tuple(made))

    def button_id(self, button_id: str) -> str:
        """A button's id as WhatsApp gives it back: flow version, node, button."""
        return f"{self.flow.wire_prefix}:{self.node.node_id}:{button_id}"

    def _send(self, text: str, buttons: tuple[ReplyButton, ...] = ()) -> None:
        self.messages.append(OutboundMessage(self.node.node_id, text, buttons))
        self.step.sent += 1
        self.remember("assistant", text)

    def note(self, sentence: str) -> None:
        """Say in the step's log what the engine did on its own."""
        self.step.notes.append(sentence)

    def fault(self, code: str, message: str) -> None:
        """Mark the step: something went wrong, and the flow goes on by its failure exit."""
        self.step.error, self.step.message = code, message

    # --- what the executor does

    def remember(self, role: Any, text: str) -> None:
        """Keep what was said, as far back as the flow's AI nodes look."""
        keep = self.flow.history_needed
        if keep and text:
            history = self.session.history
            history.append(ChatMessage(role, text))
            if len(history) > keep:
                del history[:-keep]


_SYSTEM: Final[dict[str, Callable[[Turn], Value]]] = {
    "lastMessage": lambda turn: turn.session.last_message,
    "userName": lambda turn: turn.surroundings.user_name,
    "userPhone": lambda turn: turn.surroundings.user_phone,
    "sessionId": lambda turn: turn.session.session_id,
    "botId": lambda turn: turn.session.bot_id,
    "userId": lambda turn: turn.surroundings.user_id,
    "messageId": lambda turn: turn.surroundings.message_id,
    "timestamp": lambda turn: turn.surroundings.now.isoformat(),
}


def _copy(session: Session) -> Session:
    """A session that may be changed. Values of variables are shared: they are never changed in place."""
    return Session(
        session.session_id,
        session.bot_id,
        session.contact_id,
        session.flow_version_id,
        session.status,
        session.node_id,
        session.turn + 1,
        session.wait,
        dict(session.variables),
        dict(session.loops),
        list(session.history),
        session.last_message,
        session.last_reply_node_id,
        list(session.held),
    )
