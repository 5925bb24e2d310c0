"""What a person's control does to a conversation, as far as no node runs: closing it, setting variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.flow.turn import VariableRefused
from common.flow.variables import VariableTypeError, check_name, coerce
from common.model.control import Control, ControlAction
from common.model.session import Session, SessionStatus
from common.model.turn_records import Step
from common.model.values import VariableType

if TYPE_CHECKING:
    from common.flow.turn import Turn


class ControlRefused(Exception):  # noqa: N818 - handled by the executor
    """The control makes no sense here; the message is a sentence for whoever gave it."""


def control_step(control: Control, node_id: str, node_type: str) -> Step:
    """The log's entry: who did what, and why."""
    told = {"action": control.action.value, "by": control.by, "why": control.why}
    return Step(node_id, node_type, detail={"control": {**told, **control.arguments}})


def close(session: Session) -> None:
    """End the conversation where it stands; the next message begins a new one."""
    session.status, session.wait, session.held = SessionStatus.CLOSED, None, []


def apply(turn: Turn, control: Control) -> None:
    """Do what needs no node. Raises ControlRefused."""
    if not turn.session.status.is_open:
        raise ControlRefused("The conversation is over.")
    _begin_step(turn, control)
    match control.action:
        case ControlAction.CLOSE | ControlAction.RESET:
            close(turn.session)
        case ControlAction.SET_VARIABLE:
            _set_variable(turn, control)
        case ControlAction.DELETE_VARIABLE:
            name = str(control.arguments.get("name", ""))
            if name not in turn.session.variables:
                raise ControlRefused(f'There is no variable "{name}" in this conversation.')
            turn.delete(name)
        case _:
            return  # it only stands in the log


def _begin_step(turn: Turn, control: Control) -> None:
    node_id = turn.session.node_id or turn.flow.start_id
    node = turn.flow.nodes.get(node_id)
    turn.step = control_step(control, node_id, "" if node is None else node.type.kind)
    turn.steps.append(turn.step)


def _set_variable(turn: Turn, control: Control) -> None:
    name, value = str(control.arguments.get("name", "")), control.arguments.get("value")
    wrong = check_name(name)
    if wrong:
        raise ControlRefused(wrong)
    try:
        wanted = control.arguments.get("type")
        turn.set(name, value if wanted is None else coerce(value, VariableType(wanted)))
    except VariableRefused as refused:
        raise ControlRefused(refused.message) from refused
    except VariableTypeError as refused:
        raise ControlRefused(f'"{name}" could not be set. {refused}') from refused
    except ValueError as error:
        raise ControlRefused("A variable is STRING, NUMBER, BOOLEAN, OBJECT or ARRAY.") from error
