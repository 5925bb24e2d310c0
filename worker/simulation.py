"""What is different in a test conversation: its clock, and that nothing is really sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from common.model.contacts import Contact
from common.model.outbox import MessageStatus
from common.model.reply_window import WINDOW_CLOSED, WINDOW_CLOSED_REASON, is_window_open
from common.model.session import WaitKind
from common.store.sessions import StoredSession
from common.store.turns import TurnWrites

# A timer of the pause itself comes when the pause is certainly over, by every worker's clock.
_AFTER_PAUSE = timedelta(seconds=1)


def clock_offset(contact: Contact) -> timedelta:
    """How far the contact's clock is ahead of the real one; nothing for a real customer."""
    return contact.test.clock_offset if contact.test else timedelta()


def resume_at(stored: StoredSession, contact: Contact) -> datetime | None:
    """When the session's timer is due, by the real clock: not while the bot is paused.

    The end of a pause that was set in advance wakes whoever waits for a time or a call.
    """
    wait = stored.session.wait
    if wait is None or not stored.session.status.is_open:
        return None
    due_at = wait.at - clock_offset(contact) if wait.at else None
    if not contact.is_bot_paused:
        return due_at
    if contact.paused_until is None or (due_at is None and wait.kind is not WaitKind.EFFECT):
        return None
    pause_ends_at = contact.paused_until + _AFTER_PAUSE
    return pause_ends_at if due_at is None else max(due_at, pause_ends_at)


def number(writes: TurnWrites) -> None:
    """Number a test's turn and all that it writes, so that whoever watches can go on where they stopped."""
    contact = writes.contact
    if contact is None or contact.test is None:
        return
    contact.conversation_turn += 1
    for document in (*writes.steps, *writes.messages):
        document["conversationTurn"] = contact.conversation_turn


def refuse_outside_window(document: dict[str, Any], contact: Contact, now: datetime) -> bool:
    """Mark a test's message as Meta would have refused it after 24 hours; whether that is so."""
    if is_window_open(contact.last_inbound_at, now):
        return False
    document["status"] = MessageStatus.FAILED.value
    document["rank"] = MessageStatus.FAILED.rank
    document["error"] = {"code": WINDOW_CLOSED, "message": WINDOW_CLOSED_REASON}
    return True
