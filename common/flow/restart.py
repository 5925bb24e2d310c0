"""What a message does to a conversation whose flow has ended but which was kept open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from common.model.flow_settings import FlowSettings, RestartPolicy
from common.model.session import Session, SessionStatus, Wait, WaitKind

if TYPE_CHECKING:
    from common.flow.definition import Flow


@dataclass(frozen=True, slots=True)
class Resume:
    """The message answers the node that last waited for a reply."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The message begins the same flow again."""


@dataclass(frozen=True, slots=True)
class SwitchFlow:
    """The message begins another flow, in its live version; `Restart` where that flow has none."""

    flow_id: str


Decision = Resume | Restart | SwitchFlow


def decide(session: Session, flow: Flow, settings: FlowSettings | None = None) -> Decision:
    """What the next message does to a COMPLETED session, by the policy of the flow that it ran.

    `settings` are the flow's own as they are today, where it has any; else those of the version count.
    """
    settings = settings or flow.settings
    match settings.restart_policy:
        case RestartPolicy.RESUME_LAST_NODE:
            node = flow.nodes.get(session.last_reply_node_id or "")
            if node is not None and node.type.waits_for is WaitKind.REPLY:
                return Resume(node.node_id)
        case RestartPolicy.FALLBACK_FLOW:
            if settings.fallback_flow_id:
                return SwitchFlow(settings.fallback_flow_id)
        case RestartPolicy.RESTART:
            pass
    return Restart()


def resume(session: Session, node_id: str) -> Session:
    """The session as if it still waited at that node, with all its tries and no time-out."""
    wait = Wait(WaitKind.REPLY, wait_id=session.turn)
    return replace(session, status=SessionStatus.PAUSED, node_id=node_id, wait=wait)


def restart(session: Session, flow: Flow) -> Session:
    """The session ready to begin this flow (the same, another, or a newer version). Variables are kept.

    Whatever happens to it next begins it; a message is then what START was reached with.
    """
    return replace(
        session,
        flow_version_id=flow.version_id,
        status=SessionStatus.ACTIVE,
        node_id=None,
        wait=None,
        loops={},
        last_reply_node_id=None,
    )


def taken_up(session: Session, flow: Flow, how: Resume | Restart) -> Session:
    """The session as whoever took it up made it, before the turn."""
    return resume(session, how.node_id) if isinstance(how, Resume) else restart(session, flow)


def prepare(session: Session, flow: Flow) -> Session:
    """A COMPLETED session made ready for its next message as far as this flow decides; others as they are.

    Whoever can load other flows looks at `decide` first: here a `SwitchFlow` begins this flow again.
    """
    if session.status is not SessionStatus.COMPLETED:
        return session
    decision = decide(session, flow)
    return taken_up(session, flow, Restart() if isinstance(decision, SwitchFlow) else decision)
