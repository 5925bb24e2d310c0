"""The 24-hour customer-service window: free-form messages are allowed after each message of the contact."""

from __future__ import annotations

from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
# A message takes time to reach Meta and our clock may be wrong; whoever sends in the last minute loses it.
MARGIN = timedelta(seconds=60)


def window_expires_at(last_inbound_at: datetime) -> datetime:
    """When the window closes that the contact's last message (by its own time stamp) opened."""
    return last_inbound_at + WINDOW


def is_window_open(last_inbound_at: datetime | None, now: datetime) -> bool:
    """Whether a free-form message may still be sent. A contact that never wrote has no window."""
    return last_inbound_at is not None and now < window_expires_at(last_inbound_at) - MARGIN
