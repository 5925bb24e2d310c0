"""Where a test stops to be looked at, and how it goes on.

It stops before a node, never in the middle of one. Messages that come meanwhile are kept, and answer the first
node that waits for one afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from common.flow.controls import ControlRefused, control_step
from common.model.control import Control, ControlAction
from common.model.events import MessageReceived, event_from_json, event_to_json
from common.model.session import Pace, SessionStatus, Wait, WaitKind
from common.model.turn_records import Step

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.turn import Turn

MOST_HELD: Final = 20


def stops_before(turn: Turn, node: Node) -> bool:
    """Whether the test is not to enter this node yet."""
    if node.node_id in turn.surroundings.breakpoints or turn.pace is Pace.STEP:
        return True
    return turn.surroundings.stops_at_each_node and turn.pace is None


def stop_before(turn: Turn, node: Node, *, came_back: bool) -> None:
    """Stand before this node until a person says how to go on."""
    session = turn.session
    if not turn.steps:
        turn.steps.append(Step(node.node_id, node.type.kind, detail={"stoppedBefore": node.node_id}))
    session.status, session.node_id = SessionStatus.PAUSED, node.node_id
    session.wait = Wait(WaitKind.BREAKPOINT, session.turn, state={"cameBack": came_back})


def hold(turn: Turn, event: MessageReceived) -> bool:
    """Keep a message that came at a breakpoint; False where enough are kept already."""
    if len(turn.session.held) >= MOST_HELD:
        return False
    turn.session.held.append(event_to_json(event))
    return True


def next_held(turn: Turn) -> MessageReceived | None:
    """The oldest message that was kept, if the conversation waits for one now."""
    session = turn.session
    if not session.held:
        return None
    if not session.status.is_open or session.status is SessionStatus.COMPLETED:
        turn.note("Messages that came at the breakpoint were not answered: the flow had ended.")
        session.held = []
        return None
    if session.wait is None or session.wait.kind not in (WaitKind.REPLY, WaitKind.TIME):
        return None
    event = event_from_json(session.held.pop(0))
    return event if isinstance(event, MessageReceived) else None


def go_on(turn: Turn, control: Control) -> Node:
    """Let a conversation go on that stands at a breakpoint; the node to enter. Raises ControlRefused."""
    wait = turn.session.wait
    node = turn.flow.nodes.get(turn.session.node_id or "")
    if wait is None or wait.kind is not WaitKind.BREAKPOINT or node is None:
        raise ControlRefused("The conversation does not stand at a breakpoint.")
    turn.pace = Pace.STEP if control.action is ControlAction.STEP else Pace.CONTINUE
    turn.came_back = bool(wait.state.get("cameBack"))
    turn.steps.append(control_step(control, node.node_id, node.type.kind))
    turn.session.status, turn.session.wait = SessionStatus.ACTIVE, None
    return node
