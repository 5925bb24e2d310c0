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
from common.flow.restart import prepare
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
    """What one turn was told. `turn` is its number; ignored turns are not logged."""

    turn: int
    event: Event
    now: datetime
    bot_variables: Mapping[str, Value]
    user_name: str = ""
    user_phone: str = ""
    user_id: str = ""
    message_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry as it stands in the log."""
        return {
            "turn": self.turn,
            "event": event_to_json(self.event),
            "now": self.now.isoformat(),
            "botVariables": dict(self.bot_variables),
            "userName": self.user_name,
            "userPhone": self.user_phone,
            "userId": self.user_id,
            "messageId": self.message_id,
        }

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
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    path: list[str]
    messages: list[OutboundMessage]
    variables: dict[str, Value]
    session: Session


def log_turn(turn: Turn, event: Event) -> LoggedTurn:
    """The log entry of a turn that ran."""
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
    )


def replay(flow: Flow, session: Session, log: Iterable[LoggedTurn]) -> Replayed:
    """Run the logged turns from the state that the session had before the first of them.

    A message after the flow's END is taken as the flow's restart policy says, without leaving the flow.
    """
    path: list[str] = []
    messages: list[OutboundMessage] = []
    for entry in log:
        if isinstance(entry.event, MessageReceived) and entry.event.message.kind is not MessageKind.PASSIVE:
            session = prepare(session, flow)
        turn = run(flow, session, entry.event, _surroundings(entry))
        session = turn.session
        path += path_of(turn.steps)
        messages += turn.messages
    return Replayed(path, messages, session.variables, session)


def _surroundings(entry: LoggedTurn) -> Surroundings:
    return Surroundings(
        now=entry.now,
        bot_variables=entry.bot_variables,
        user_name=entry.user_name,
        user_phone=entry.user_phone,
        message_id=entry.message_id,
        user_id=entry.user_id,
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
