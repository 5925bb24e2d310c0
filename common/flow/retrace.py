"""Runs a logged conversation again turn by turn, to see what the log does not keep: values, texts, requests.

Unlike `replay`, which proves that a log is complete, this follows a conversation from one flow version to the next
and stops where the log says something else than the engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from common.flow.executor import run
from common.flow.replay import LoggedTurn, surroundings_of
from common.flow.restart import prepare, restart, taken_up
from common.model.control import Control, ControlAction
from common.model.events import MessageReceived
from common.model.session import Session, SessionStatus

if TYPE_CHECKING:
    from common.flow.definition import Flow
    from common.flow.turn import Turn

FindFlow = Callable[[str], "Flow | None"]


class CannotRetrace(Exception):  # noqa: N818 - what is the case
    """The log does not lead so far; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A turn of the log: what it was told, the version that it ran on, and the nodes with the exits they took.

    `is_cut_off`: the engine did not end it, we did (what it would have written could not be stored, say).
    """

    told: LoggedTurn
    version_id: str
    way: tuple[tuple[str, str | None], ...]
    is_cut_off: bool = False


@dataclass(frozen=True, slots=True)
class RanTurn:
    """A turn that ran again. `turn` is None where the engine had no part in it."""

    told: LoggedTurn
    before: Session
    turn: Turn | None
    after: Session


def retrace(session: Session, log: Iterable[LoggedRun], find_flow: FindFlow) -> list[RanTurn]:
    """Run these turns from the state before the first of them. Raises CannotRetrace."""
    ran: list[RanTurn] = []
    for entry in log:
        ran.append(_run_again(session, entry, find_flow))
        session = ran[-1].after
    return ran


def _run_again(session: Session, entry: LoggedRun, find_flow: FindFlow) -> RanTurn:
    told = entry.told
    if told.turn != session.turn + 1:
        raise CannotRetrace("The log of this conversation is not kept from its beginning any more.")
    if entry.is_cut_off:
        return RanTurn(told, session, None, _cut_off(session, told))
    flow = find_flow(entry.version_id)
    if flow is None:
        raise CannotRetrace("The flow version that this conversation ran on is not kept any more.")
    before = _as_found(session, entry, flow)
    turn = run(flow, before, told.event, surroundings_of(told), begins=told.begins)
    way = tuple((step.node_id, step.handle) for step in turn.steps)
    if turn.ignored or (turn.steps and way != entry.way):
        raise CannotRetrace("Run again, this conversation takes another way than its log says.")
    return RanTurn(told, before, turn, turn.session)


def _as_found(session: Session, entry: LoggedRun, flow: Flow) -> Session:
    """The session as the event finds it: one that had ended, or was moved to another version, is taken up again."""
    if session.turn == 0:
        session = replace(session, flow_version_id=entry.version_id)
    if entry.told.taken_up is not None:
        return taken_up(session, flow, entry.told.taken_up)
    if not isinstance(entry.told.event, MessageReceived):
        return session
    if session.flow_version_id != entry.version_id:
        return restart(session, flow)
    return prepare(session, flow)


def _cut_off(session: Session, told: LoggedTurn) -> Session:
    closes = isinstance(told.event, Control) and told.event.action in (
        ControlAction.CLOSE,
        ControlAction.RESET,
    )
    status = SessionStatus.CLOSED if closes else SessionStatus.FAILED
    return replace(session, status=status, turn=told.turn, wait=None)
