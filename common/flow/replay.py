"""Runs a conversation again from its log, to the same path, messages and variables.

A turn's log entry holds all that the turn was told: the event (with the answer of a call), the time, the bot's
variables that it read, who the customer is. Nothing else reaches the engine, so nothing else is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from common.flow.executor import run
from common.flow.restart import Restart, Resume, prepare, taken_up
from common.flow.turn import Surroundings
from common.model.events import Event, MessageKind, MessageReceived, event_from_json, event_to_json

if TYPE_CHECKING:
    from common.flow.definition import Flow
    from common.flow.turn import Turn
    from common.model.session import Session
    from common.model.turn_records import OutboundMessage, Step
    from common.model.values import Value


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """What one turn was told. `turn` is its number; ignored turns are not logged.

    `taken_up` is what was done to the session before the turn: an ended conversation goes on, or one that was under
    way begins again. Why, is not the engine's business; that it was done, it must know.
    """

    turn: int
    event: Event
    now: datetime
    bot_variables: Mapping[str, Value]
    user_name: str = ""
    user_phone: str = ""
    user_id: str = ""
    message_id: str = ""
    breakpoints: tuple[str, ...] = ()
    stops_at_each_node: bool = False
    taken_up: Resume | Restart | None = None

    @property
    def begins(self) -> bool:
        """Whether the conversation was made to begin (again), whatever the event is."""
        return isinstance(self.taken_up, Restart)

    def to_json(self) -> dict[str, Any]:
        """The entry as it stands in the log."""
        data: dict[str, Any] = {
            "turn": self.turn,
            "event": event_to_json(self.event),
            "now": self.now.isoformat(),
            "botVariables": dict(self.bot_variables),
            "userName": self.user_name,
            "userPhone": self.user_phone,
            "userId": self.user_id,
            "messageId": self.message_id,
        }
        if self.breakpoints or self.stops_at_each_node:
            data["breakpoints"] = list(self.breakpoints)
            data["stopsAtEachNode"] = self.stops_at_each_node
        if self.taken_up is not None:
            how = self.taken_up
            data["takenUp"] = {"resumes": how.node_id} if isinstance(how, Resume) else {"restarts": True}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoggedTurn:
        """The entry that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            turn=data["turn"],
            event=event_from_json(data["event"]),
            now=datetime.fromisoformat(data["now"]),
            bot_variables=data["botVariables"],
            user_name=data["userName"],
            user_phone=data["userPhone"],
            user_id=data["userId"],
            message_id=data["messageId"],
            breakpoints=tuple(data.get("breakpoints", ())),
            stops_at_each_node=data.get("stopsAtEachNode", False),
            taken_up=_taken_up(data.get("takenUp")),
        )


def _taken_up(data: Mapping[str, Any] | None) -> Resume | Restart | None:
    if data is None:
        return None
    return Resume(data["resumes"]) if "resumes" in data else Restart()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    path: list[str]
    messages: list[OutboundMessage]
    variables: dict[str, Value]
    session: Session


def log_turn(turn: Turn, event: Event, how: Resume | Restart | None = None) -> LoggedTurn:
    """The log entry of a turn that ran, and of how its session was taken up before."""
    told = turn.surroundings
    return LoggedTurn(
        turn=turn.session.turn,
        event=event,
        now=told.now,
        bot_variables=dict(turn.bot_variables_read),
        user_name=told.user_name,
        user_phone=told.user_phone,
        user_id=told.user_id,
        message_id=told.message_id,
        breakpoints=tuple(sorted(told.breakpoints)),
        stops_at_each_node=told.stops_at_each_node,
        taken_up=how,
    )


def replay(flow: Flow, session: Session, log: Iterable[LoggedTurn]) -> Replayed:
    """Run the logged turns from the state that the session had before the first of them.

    A message after the flow's END is taken as the log says or, where that says nothing, as the version's restart
    policy does, without leaving the flow.
    """
    path: list[str] = []
    messages: list[OutboundMessage] = []
    for entry in log:
        if entry.taken_up is not None:
            session = taken_up(session, flow, entry.taken_up)
        elif isinstance(entry.event, MessageReceived) and entry.event.message.kind is not MessageKind.PASSIVE:
            session = prepare(session, flow)
        turn = run(flow, session, entry.event, surroundings_of(entry), begins=entry.begins)
        session = turn.session
        path += path_of(turn.steps)
        messages += turn.messages
    return Replayed(path, messages, session.variables, session)


def surroundings_of(entry: LoggedTurn) -> Surroundings:
    """What the turn was told, but for how long its steps took."""
    return Surroundings(
        now=entry.now,
        bot_variables=entry.bot_variables,
        user_name=entry.user_name,
        user_phone=entry.user_phone,
        message_id=entry.message_id,
        user_id=entry.user_id,
        breakpoints=frozenset(entry.breakpoints),
        stops_at_each_node=entry.stops_at_each_node,
    )


def path_of(steps: Iterable[Step]) -> list[str]:
    """The nodes that were entered, in order. A START is only ever entered by a beginning."""
    path = []
    for step in steps:
        if step.node_type == "START" and step.handle is not None:
            path.append(step.node_id)
        if step.next_node_id is not None:
            path.append(step.next_node_id)
    return path
