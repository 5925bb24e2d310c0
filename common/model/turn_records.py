"""What a turn leaves behind: messages to send, and one step for each node that ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.model.values import Value


@dataclass(frozen=True, slots=True)
class ReplyButton:
    """A reply button as WhatsApp takes it: id ≤ 256 characters, title 1–20."""

    button_id: str
    title: str


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message to send, legal as it stands: a text of 1–4096 characters, or 1–1024 with 1–3 buttons."""

    node_id: str
    text: str
    buttons: tuple[ReplyButton, ...] = ()


@dataclass(slots=True)
class Step:
    """One node that ran (or heard an event). `next_node_id` is None where the turn paused or ended there.

    `handle` is the exit taken. `changes` holds variables set in this step (None in `deleted`'s place means a
    null value; deleted names stand in `deleted`). `detail` says why: the branch and the values it saw, the
    request, tokens, "title cut to 20", … (JSON). `error` is a stable dotted code, `message` its sentence.
    `sent` counts the messages of the turn that this step sent.
    """

    node_id: str
    node_type: str
    handle: str | None = None
    next_node_id: str | None = None
    changes: dict[str, Value] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    message: str | None = None
    duration_ms: float = 0.0
    sent: int = 0
