"""The 24-hour customer-service window: free-form messages are allowed after each message of the contact."""

from __future__ import annotations

from datetime import datetime, timedelta

from common.model.contacts import Contact

WINDOW = timedelta(hours=24)
# A message takes time to reach Meta and our clock may be wrong; whoever sends in the last minute loses it.
MARGIN = timedelta(seconds=60)
# Meta's code for a free-form message after the window, and what we say about it.
WINDOW_CLOSED = 131047
WINDOW_CLOSED_REASON = "The 24-hour window of this contact is closed."
# Our own code where the bot has another number than the one that the contact wrote to: their window is open for that one.
NUMBER_CHANGED = "number_changed"
NUMBER_CHANGED_REASON = "The bot was connected to another number, which this contact has not written to."


def window_expires_at(last_inbound_at: datetime) -> datetime:
    """When the window closes that the contact's last message (by its own time stamp) opened."""
    return last_inbound_at + WINDOW


def why_unsendable(contact: Contact, phone_number_id: str, now: datetime) -> tuple[int | str, str] | None:
    """Code and reason where a free-form message from this number may not go to the contact; None where it may."""
    if not is_window_open(contact.last_inbound_at, now):
        return WINDOW_CLOSED, WINDOW_CLOSED_REASON
    if contact.last_inbound_number not in (None, phone_number_id):
        return NUMBER_CHANGED, NUMBER_CHANGED_REASON
    return None


def is_window_open(last_inbound_at: datetime | None, now: datetime) -> bool:
    """Whether a free-form message may still be sent. A contact that never wrote has no window."""
    return last_inbound_at is not None and now < window_expires_at(last_inbound_at) - MARGIN
