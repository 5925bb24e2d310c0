"""What a message does to a conversation whose flow has ended but which was kept open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from common.flow.definition import RestartPolicy
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


def decide(session: Session, flow: Flow) -> Decision:
    """What the next message does to a COMPLETED session, by the policy of the flow that it ran."""
    match flow.settings.restart_policy:
        case RestartPolicy.RESUME_LAST_NODE:
            node = flow.nodes.get(session.last_reply_node_id or "")
            if node is not None and node.type.waits_for is WaitKind.REPLY:
                return Resume(node.node_id)
        case RestartPolicy.FALLBACK_FLOW:
            if flow.settings.fallback_flow_id:
                return SwitchFlow(flow.settings.fallback_flow_id)
        case RestartPolicy.RESTART:
            pass
    return Restart()


def resume(session: Session, node_id: str) -> Session:
    """The session as if it still waited at that node, with all its tries and no time-out."""
    wait = Wait(WaitKind.REPLY, wait_id=session.turn)
    return replace(session, status=SessionStatus.PAUSED, node_id=node_id, wait=wait)


def restart(session: Session, flow: Flow) -> Session:
    """The session ready to begin this flow (the same, another, or a newer version). Variables are kept."""
    return replace(
        session,
        flow_version_id=flow.version_id,
        status=SessionStatus.ACTIVE,
        node_id=None,
        wait=None,
        loops={},
        last_reply_node_id=None,
    )


def prepare(session: Session, flow: Flow) -> Session:
    """A COMPLETED session made ready for its next message as far as this flow decides; others as they are.

    Whoever can load other flows looks at `decide` first: here a `SwitchFlow` begins this flow again.
    """
    if session.status is not SessionStatus.COMPLETED:
        return session
    decision = decide(session, flow)
    return resume(session, decision.node_id) if isinstance(decision, Resume) else restart(session, flow)
