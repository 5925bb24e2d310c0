"""A person takes a contact's conversation over from the bot, and gives it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api.control import control
from api.rest.call import Call, not_found
from common.clock import utc_now
from common.model.contacts import Channel, alias_of_number
from common.model.control import Control, ControlAction
from common.model.conversation_jobs import Conversation, conversation_with
from common.store.contact_records import is_paused
from common.store.database import Document


def takeover_of(contact_id: str, contact: Document | None) -> dict[str, Any]:
    """For `TakeoverView`; a contact that nothing is known of is with the bot."""
    stored = contact or {}
    shown = stored if is_paused(stored, utc_now()) else {}
    return {
        "contactId": contact_id,
        "isPaused": bool(shown),
        "pausedAt": shown.get("botPausedAt"),
        "pausedUntil": shown.get("pausedUntil"),
        "pausedBy": shown.get("botPausedBy"),
    }


def conversation_of(call: Call, contact_id: str) -> Conversation:
    """Where a contact's controls go. Raises AppError 404."""
    contact = call.store.session_history.contact(call.bot_id, contact_id)
    if contact is None:
        raise not_found("contact")
    channel = Channel.SIMULATOR if contact.get("isTest") else Channel.WHATSAPP
    return Conversation(call.bot_id, channel, contact_id)


def conversation_by_number(call: Call, digits: str) -> Conversation:
    """The conversation with a phone number, also where nobody has written from it yet."""
    alias = alias_of_number(digits)
    known = call.store.contacts.owners(call.bot_id, [alias]).get(alias)
    if known is not None:
        return Conversation(call.bot_id, Channel.WHATSAPP, known.contact_id)
    return conversation_with(call.bot_id, digits)


def pause(call: Call, where: Conversation, minutes: int | None) -> tuple[Document, int]:
    """From now on the bot is silent; what the contact writes is recorded."""
    arguments = {} if minutes is None else {"until": (utc_now() + timedelta(minutes=minutes)).isoformat()}
    return _act(call, where, Control(ControlAction.PAUSE, by=call.user_id, arguments=arguments))


def resume(call: Call, where: Conversation) -> tuple[Document, int]:
    """The bot goes on."""
    return _act(call, where, Control(ControlAction.RESUME, by=call.user_id))


def _act(call: Call, where: Conversation, wanted: Control) -> tuple[Document, int]:
    controlled = control(call, where, wanted)
    call.audit(
        f"contact.{wanted.action.value.lower()}d",
        target_type="contact",
        target_id=where.contact_id,
        detail={"controlId": controlled.control_id, "outcome": controlled.outcome},
    )
    contact = call.store.session_history.contact(call.bot_id, where.contact_id)
    answer = {"control": controlled.as_document(), "contact": takeover_of(where.contact_id, contact)}
    return answer, controlled.status
