"""One conversation's state between two turns. All of it is stored; nothing is kept in a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from common.model.calls import ChatMessage
from common.model.values import Value


class SessionStatus(StrEnum):
    """FAILED and CLOSED are closed: the next message starts a new session. The rest are open."""

    ACTIVE = "ACTIVE"  # in the middle of a turn, or waiting for a call's answer
    PAUSED = "PAUSED"  # waiting for a reply or for a time
    COMPLETED = "COMPLETED"  # reached an END that keeps the session
    CLOSED = "CLOSED"
    FAILED = "FAILED"

    @property
    def is_open(self) -> bool:
        return self not in (SessionStatus.CLOSED, SessionStatus.FAILED)


class WaitKind(StrEnum):
    """What a paused session waits for."""

    REPLY = "REPLY"
    TIME = "TIME"
    EFFECT = "EFFECT"
    BREAKPOINT = "BREAKPOINT"  # a test stands before its node until a person lets it go on


class Pace(StrEnum):
    """How a test goes on from a breakpoint, until the node is left (STEP) or the customer is asked (CONTINUE)."""

    STEP = "STEP"
    CONTINUE = "CONTINUE"


@dataclass(slots=True)
class Wait:
    """`wait_id` is the number of the turn that began waiting: a timer or an answer for another one is stale.

    `at` is when a timer is due (None: none). `state` is the waiting node's own small memory (tries, …), JSON.
    `request` is the call that is waited for, as `calls.to_json` writes it; `answer` is its answer, where the bot
    was paused before that could be worked on.
    """

    kind: WaitKind
    wait_id: int
    at: datetime | None = None
    state: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    pace: Pace | None = None


@dataclass(slots=True)
class Session:
    """The state that a turn starts from and ends with."""

    session_id: str
    bot_id: str
    contact_id: str
    flow_version_id: str
    status: SessionStatus = SessionStatus.ACTIVE
    node_id: str | None = None  # where it stands; None: not started
    turn: int = 0  # turns run so far
    wait: Wait | None = None
    variables: dict[str, Value] = field(default_factory=dict)
    loops: dict[str, int] = field(default_factory=dict)  # LOOP node id -> iterations begun
    history: list[ChatMessage] = field(default_factory=list)  # only as long as the flow's AI nodes need
    last_message: str = ""
    last_reply_node_id: str | None = None  # the node that last waited for a reply
    held: list[dict[str, Any]] = field(default_factory=list)  # messages that came at a breakpoint, as events
