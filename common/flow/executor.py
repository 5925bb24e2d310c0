"""Runs one turn: from what happened to a conversation to where it pauses or ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from common.flow import breakpoints
from common.flow.controls import ControlRefused, apply
from common.flow.node import Finish, Go, KeepWaiting, Outcome, WaitEffect, WaitReply, WaitUntil
from common.flow.settings_fields import is_id
from common.flow.templates import FillError
from common.flow.turn import Surroundings, Turn, VariableRefused
from common.flow.variables import clean_text
from common.model.calls import Effect, to_json
from common.model.control import Control, ControlAction
from common.model.events import (
    EffectAnswered,
    Event,
    InboundMessage,
    MessageKind,
    MessageReceived,
    TimerFired,
)
from common.model.session import Pace, Session, SessionStatus, Wait, WaitKind
from common.model.turn_records import Step

if TYPE_CHECKING:
    from common.flow.definition import Flow, Node
    from common.flow.settings_groups import NodeSettings

STEP_BUDGET = 200  # nodes that one turn may run: more is a circle that waits for nobody


class _Failed(Exception):  # noqa: N818 - never leaves this module
    """The flow cannot go on: the session fails with this step."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def run(
    flow: Flow, session: Session, event: Event, surroundings: Surroundings, *, begins: bool = False
) -> Turn:
    """Run one turn. The session is not changed; the turn holds the new one.

    A conversation begins with a message; with `begins`, one that was made ready for it begins with anything.
    A flow or conversation that cannot go on ends FAILED with an error step; nothing is raised but bugs.
    """
    turn = Turn(flow, session, surroundings)
    try:
        if isinstance(event, MessageReceived):
            _hear(turn, event)
        elif isinstance(event, Control):
            _control(turn, event)
        elif begins and session.node_id is None:
            turn.session.status = SessionStatus.ACTIVE
            _begin(turn, flow.nodes[flow.start_id])
        elif is_awaited(session, event):
            _resume(turn, event)
        else:
            turn.ignored, turn.session = True, session
        _hear_held(turn)
    except ControlRefused as refused:
        turn.ignored, turn.session, turn.steps, turn.refused = True, session, [], str(refused)
    except _Failed as failed:
        _fail(turn, failed.code, failed.message)
    except (VariableRefused, FillError) as refused:
        _fail(turn, refused.code, refused.message)
    return turn


def _control(turn: Turn, control: Control) -> None:
    if control.action not in (ControlAction.STEP, ControlAction.CONTINUE):
        apply(turn, control)
        return
    node = breakpoints.go_on(turn, control)
    _follow(turn, _enter(turn, node))


def _hear_held(turn: Turn) -> None:
    """What a customer wrote while the test stood at a breakpoint, one by one, as far as it is waited for now."""
    while not turn.ignored and (event := breakpoints.next_held(turn)) is not None:
        turn.tap, turn.recorded_as, turn.keeps_waiting = None, None, False
        turn.pace = turn.session.wait.pace if turn.session.wait else None
        turn.surroundings = replace(turn.surroundings, message_id=event.message.message_id)
        _answer(turn, event)


def is_awaited(session: Session, event: TimerFired | EffectAnswered) -> bool:
    """Whether this is what the session waits for; anything else came too late."""
    wait = session.wait
    if wait is None or not session.status.is_open:
        return False
    if isinstance(event, TimerFired):
        return wait.kind is not WaitKind.EFFECT and wait.at is not None and wait.wait_id == event.wait_id
    return wait.kind is WaitKind.EFFECT and event.effect_id == f"{session.session_id}:{wait.wait_id}"


def _hear(turn: Turn, event: MessageReceived) -> None:
    session, message = turn.session, event.message
    if message.kind is MessageKind.PASSIVE:
        _record(turn, "passive")
    elif not session.status.is_open or session.status is SessionStatus.COMPLETED:
        _record(turn, session.status.value.lower())
    elif session.node_id is None:
        session.status = SessionStatus.ACTIVE
        _take_up(turn, message)
        _begin(turn, turn.flow.nodes[turn.flow.start_id])
    elif session.wait is None:
        raise _Failed("session.lost", "The conversation is in the middle of a turn that never ended.")
    elif session.wait.kind is WaitKind.EFFECT:
        turn.remember("user", clean_text(message.text))
        _record(turn, "during_call")
    elif session.wait.kind is WaitKind.BREAKPOINT:
        _record(turn, "at_breakpoint" if breakpoints.hold(turn, event) else "too_many_at_breakpoint")
    else:
        _answer(turn, event)


def _begin(turn: Turn, start: Node) -> None:
    if breakpoints.stops_before(turn, start):
        breakpoints.stop_before(turn, start, came_back=False)
    else:
        _follow(turn, _enter(turn, start))


def _take_up(turn: Turn, message: InboundMessage) -> None:
    turn.session.last_message = clean_text(message.text)
    turn.remember("user", turn.session.last_message)


def _record(turn: Turn, reason: str) -> None:
    """The message changes nothing: it only stands in the log."""
    turn.recorded_as = reason
    node_id = turn.session.node_id or turn.flow.start_id
    node = turn.flow.nodes.get(node_id)
    kind = "" if node is None else node.type.kind
    turn.steps.append(Step(node_id, kind, detail={"recordedAs": reason}))


def _answer(turn: Turn, event: MessageReceived) -> None:
    """A message for a node that waits: an answer, a tap on one of its buttons, or a tap on an older one."""
    message, before = event.message, turn.session.last_message
    _take_up(turn, message)
    wait = turn.session.wait
    if message.button_id is not None and wait is not None and wait.kind is WaitKind.REPLY:
        version, node_id, button_id = _parse_button_id(message.button_id)
        if version == turn.flow.wire_prefix and node_id == turn.session.node_id:
            turn.tap = button_id
        elif version is not None:
            if _jump(turn, node_id, button_id):
                return
            turn.recorded_as = "stale_tap"
    _resume(turn, event)
    if turn.keeps_waiting:
        turn.session.last_message = before


def _parse_button_id(wire_id: str) -> tuple[str | None, str, str]:
    """(version, node, button) of a button that we sent; (None, "", "") for a button of somebody else's."""
    parts = wire_id.rsplit(":", 2)
    if len(parts) != 3 or not (is_id(parts[1]) and is_id(parts[2])):  # noqa: PLR2004 - version, node, button
        return None, "", ""
    return parts[0], parts[1], parts[2]


def _jump(turn: Turn, node_id: str, button_id: str) -> bool:
    """Go on from the older button's node, if it is still there and wants that."""
    node = turn.flow.nodes.get(node_id)
    if node is None or node.settings is None:
        return False
    standing, held = turn.session.node_id, turn.session.last_reply_node_id
    _begin_step(turn, node)
    outcome = node.type.stale_tap(node.settings, turn, button_id)
    if outcome is None:
        turn.steps.pop()
        turn.session.node_id, turn.session.last_reply_node_id = standing, held
        return False
    turn.step.detail["staleTap"] = True
    _follow(turn, outcome)
    return True


def _resume(turn: Turn, event: Event) -> None:
    """Hand the event to the node that waits for it."""
    node_id = turn.session.node_id or ""
    node = turn.flow.nodes.get(node_id)
    if node is None:
        raise _Failed(
            "flow.node_missing", f'The conversation stands at "{node_id}", which this flow does not have.'
        )
    _begin_step(turn, node)
    wait = turn.session.wait
    turn.state = {} if wait is None else wait.state
    _follow(turn, node.type.resume(_settings(node), turn, event))


def _enter(turn: Turn, node: Node) -> Outcome:
    _begin_step(turn, node)
    return node.type.enter(_settings(node), turn)


def _settings(node: Node) -> NodeSettings:
    settings: NodeSettings | None = node.settings
    if settings is None:
        raise _Failed("flow.node_broken", f'The settings of "{node.node_id}" have errors, so it cannot run.')
    return settings


def _begin_step(turn: Turn, node: Node) -> None:
    turn.node = node
    turn.session.node_id = node.node_id
    turn.step = Step(node.node_id, node.type.kind)
    turn.steps.append(turn.step)
    turn.started_at = turn.surroundings.stopwatch()


def _follow(turn: Turn, outcome: Outcome) -> None:
    """Go from node to node until one waits or ends."""
    while isinstance(outcome, Go):
        node, way = turn.node, turn.node.ways.get(outcome.handle)
        turn.step.handle = outcome.handle
        if way is None:
            raise _Failed("flow.open_exit", f'The exit "{outcome.handle}" of "{node.label}" leads nowhere.')
        turn.step.next_node_id = way.target_id
        _end_step(turn)
        if len(turn.steps) >= STEP_BUDGET:
            raise _Failed(
                "turn.too_many_steps",
                f"{STEP_BUDGET} nodes ran without waiting for anybody: the flow runs in a circle.",
            )
        target = turn.flow.nodes[way.target_id]
        if breakpoints.stops_before(turn, target):
            breakpoints.stop_before(turn, target, came_back=way.comes_back)
            return
        turn.came_back = way.comes_back
        outcome = _enter(turn, target)
    _settle(turn, outcome)
    _end_step(turn)


def _end_step(turn: Turn) -> None:
    turn.step.duration_ms = (turn.surroundings.stopwatch() - turn.started_at) * 1000


def _settle(turn: Turn, outcome: Outcome) -> None:
    """Write down what the conversation waits for now, or that it has ended."""
    session = turn.session
    number, now = session.turn, turn.surroundings.now
    match outcome:
        case WaitReply(timeout, state):
            at = None if timeout is None else now + timedelta(seconds=timeout)
            session.status, session.wait = SessionStatus.PAUSED, Wait(WaitKind.REPLY, number, at, state)
            session.last_reply_node_id = session.node_id
        case WaitUntil(at):
            session.status, session.wait = SessionStatus.PAUSED, Wait(WaitKind.TIME, number, at)
        case WaitEffect(request):
            session.status = SessionStatus.ACTIVE
            session.wait = Wait(WaitKind.EFFECT, number, request=to_json(request))
            turn.effect = Effect(f"{session.session_id}:{number}", turn.node.node_id, request=request)
        case Finish(status):
            session.status, session.wait = status, None
        case KeepWaiting(reason):
            turn.keeps_waiting, turn.recorded_as = True, reason
            turn.step.detail["recordedAs"] = reason
    _keep_pace(turn, outcome)


def _keep_pace(turn: Turn, outcome: Outcome) -> None:
    """How a test goes on outlasts the waits of the node; being asked something ends a CONTINUE."""
    wait = turn.session.wait
    if wait is not None and not (turn.pace is Pace.CONTINUE and isinstance(outcome, WaitReply)):
        wait.pace = turn.pace


def _fail(turn: Turn, code: str, message: str) -> None:
    """End the conversation FAILED, with an error step that says why."""
    session = turn.session
    if not turn.steps:
        node_id = session.node_id or turn.flow.start_id
        node = turn.flow.nodes.get(node_id)
        turn.steps.append(Step(node_id, "" if node is None else node.type.kind))
    step = turn.steps[-1]
    step.error, step.message = code, message
    session.status, session.wait = SessionStatus.FAILED, None
    turn.effect = None
